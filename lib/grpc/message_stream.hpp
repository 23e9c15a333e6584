#pragma once

#include <rangeio/error.hpp>

#include "grpc/channels.hpp"
#include "grpc/wire_reader.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>

namespace rangeio::grpc_transport {

/// Called by a message_stream, on gRPC's few threads, which serve all calls of the process. on_message() and
/// on_write_done() may run at the same time; on_done() is the last call.
class message_events {
public:
    /// A message; its bytes are valid during this call only. A failure ends the stream.
    virtual error_value on_message(std::span<const wire::slice> message) noexcept = 0;
    virtual void on_write_done() noexcept = 0;
    /// `broken`: the reason why this side ended the call; empty: it ended with `status`. `reached`: the service has
    /// answered.
    virtual void on_done(const grpc::Status& status, const error_value& broken, bool reached) noexcept = 0;

protected:
    ~message_events() = default;
};

/// One bidirectional streaming call of gRPC. Messages are bytes, which its user encodes and decodes. They are read one
/// after another from the start of the call; each write requires the end of the previous one.
class message_stream final : public std::enable_shared_from_this<message_stream>,
                             private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
public:
    /// `events` is kept until on_done() has returned.
    message_stream(
        std::shared_ptr<channels> of,
        std::shared_ptr<grpc::Channel> on,
        std::shared_ptr<message_events> events
    );

    /// Opens the call, with headers that name the bucket and the token (empty: none), and sends a first message.
    void start(
        const std::string& method,
        const std::string& bucket,
        const std::string& routing_token,
        const grpc::ByteBuffer& first
    );
    /// Only after the on_write_done() of the previous message; without effect after on_done().
    void write(grpc::ByteBuffer message);
    /// Ends the call; on_done() follows. At any time after start(), on any thread.
    void cancel() noexcept;

private:
    void OnReadInitialMetadataDone(bool ok) override;
    void OnReadDone(bool ok) override;
    void OnWriteDone(bool ok) override;
    void OnDone(const grpc::Status& status) override;
    error_value take() noexcept;

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::shared_ptr<grpc::Channel> channel_;
    std::shared_ptr<message_events> events_;
    std::shared_ptr<message_stream> self_;  // from start to OnDone
    std::atomic<bool> reached_{false};
    grpc::ClientContext context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;

    error_value broken_;  // used by the reads only, which run one at a time

    std::mutex mutex_;
    bool reading_ended_ = false;  // no write may be started any more
};

}  // namespace rangeio::grpc_transport
