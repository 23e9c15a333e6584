#include "grpc/grpc_connections.hpp"

#include "grpc/message_stream.hpp"
#include "grpc/request_encoder.hpp"
#include "grpc/response_intake.hpp"
#include "grpc/status.hpp"
#include "runtime/operation.hpp"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <utility>

namespace rangeio::grpc_transport {
namespace {

/// A BidiReadObject call on a message_stream.
class read_call final : public bidi_call,
                        public std::enable_shared_from_this<read_call>,
                        private message_events {
public:
    read_call(
        std::shared_ptr<channels> of,
        std::shared_ptr<grpc::Channel> on,
        std::shared_ptr<bidi_call_events> events
    )
        : channels_(std::move(of)), channel_(std::move(on)), events_(std::move(events)) {}

    void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) override {
        const auto request = encode_opening(spec, ranges);
        const std::shared_ptr<message_events> self(shared_from_this(), this);
        stream_ = std::make_shared<message_stream>(channels_, channel_, self);
        try {
            stream_->start(
                "/google.storage.v2.Storage/BidiReadObject", spec.object.bucket(), spec.routing_token, request
            );
        } catch (...) {
            stream_.reset();  // it owns this object, and will not report an end
            throw;
        }
    }
    void write(std::span<const fsm::wire_range> ranges) override { stream_->write(encode_ranges(ranges)); }
    void cancel() noexcept override {
        if (stream_ != nullptr) stream_->cancel();
    }

private:
    error_value on_message(std::span<const wire::slice> message) noexcept override {
        return take_response(message, *events_);
    }
    void on_write_done() noexcept override { events_->on_write_done(); }
    void on_done(const grpc::Status& status, const error_value& broken, bool reached) noexcept override {
        const auto events = std::move(events_);
        events->on_done(broken ? call_end(broken) : end(status, reached));
    }

    call_end end(const grpc::Status& status, bool reached) const noexcept {
        call_end out = end_from_status(status, channels_->max_message_bytes());
        if (reached) return out;
        if (error_value none = no_connection(status, *channel_, channels_->endpoint())) {
            out.why = std::move(none);
            out.unconnected = true;
        }
        return out;
    }

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::shared_ptr<grpc::Channel> channel_;
    std::shared_ptr<bidi_call_events> events_;
    std::shared_ptr<message_stream> stream_;  // from start(); owns this object until its end
};

/// A call that every server answers, at least with UNIMPLEMENTED. Its context waits for its end, because the channel
/// must not outlive the context.
class probe_call final : public runtime::tracked_operation {
public:
    probe_call(std::shared_ptr<channels> by, std::function<void()> answered)
        : channels_(std::move(by)), answered_(std::move(answered)) {
        const grpc::Slice nothing(std::size_t{0});
        request_ = grpc::ByteBuffer(&nothing, 1);
        context_.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    }

    void start(const std::shared_ptr<grpc::Channel>& on) {
        if (!channels_->core()->enter(*this)) return;
        grpc::GenericStub stub(on);
        auto self = std::static_pointer_cast<probe_call>(shared_from_this());
        stub.UnaryCall(
            &context_,
            "/grpc.health.v1.Health/Check",
            grpc::StubOptions(),
            &request_,
            &response_,
            [self = std::move(self)](const grpc::Status& status) mutable {
                const runtime::context_core::shutdown_hold hold(self->channels_->core());
                const auto alive = std::move(self);
                alive->ended(status.error_code());
            }
        );
    }

private:
    void ended(grpc::StatusCode code) {
        // Statuses that gRPC sets on this side, for silence and for a lost connection.
        const bool silent = code == grpc::StatusCode::DEADLINE_EXCEEDED ||
                            code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::CANCELLED;
        if (!silent) answered_();
        channels_->core()->leave(*this);
    }
    void on_shutdown() noexcept override { context_.TryCancel(); }

    const std::shared_ptr<channels> channels_;  // destroyed last: the context must not hold the last channel
    const std::function<void()> answered_;
    grpc::ClientContext context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
};

class grpc_connection final : public connection {
public:
    explicit grpc_connection(std::shared_ptr<channels> by)
        : channels_(std::move(by)), channel_(channels_->connect()) {}

    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        return std::make_shared<read_call>(channels_, channel_, std::move(events));
    }

    bool probe(std::function<void()> answered) override {
        std::make_shared<probe_call>(channels_, std::move(answered))->start(channel_);
        return true;
    }

private:
    const std::shared_ptr<channels> channels_;
    const std::shared_ptr<grpc::Channel> channel_;
};

class grpc_connection_maker final : public connection_maker {
public:
    explicit grpc_connection_maker(std::shared_ptr<channels> by) : channels_(std::move(by)) {}
    std::shared_ptr<connection> connect() override { return std::make_shared<grpc_connection>(channels_); }

private:
    const std::shared_ptr<channels> channels_;
};

}  // namespace

std::shared_ptr<connection_maker> make_grpc_connections(std::shared_ptr<channels> by) {
    return std::make_shared<grpc_connection_maker>(std::move(by));
}

}  // namespace rangeio::grpc_transport
