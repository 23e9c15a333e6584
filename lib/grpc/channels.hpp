#pragma once

#include <rangeio/client.hpp>

#include "fsm/connections_fsm.hpp"
#include "grpc/endpoint.hpp"
#include "grpc/endpoint_watch.hpp"
#include "runtime/context_service.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace grpc {
class Channel;
class ChannelArguments;
class ChannelCredentials;
class ClientContext;
}  // namespace grpc

namespace rangeio::grpc_transport {

/// Makes the channels of one client, and sets the headers of each call on them.
///
/// Shared by the client and all streams and calls. This object and each channel are destroyed on the client's executor,
/// whichever thread drops the last reference: on a gRPC thread, the end of the last channel would make gRPC join that
/// thread.
class channels {
public:
    static std::shared_ptr<channels> make(
        const asio::any_io_executor& executor, const client_options& options
    );
    ~channels();
    channels(const channels&) = delete;
    channels& operator=(const channels&) = delete;

    /// A new channel with a connection of its own, which is made when a call needs it.
    std::shared_ptr<grpc::Channel> connect() const;
    /// The arguments of such a channel.
    grpc::ChannelArguments arguments() const;
    /// The channel for short calls: a separate one, so that streams cannot use up its capacity; the same until it is
    /// replaced.
    std::shared_ptr<grpc::Channel> metadata();
    /// A call on `stalled` had no answer: later calls use another channel.
    void replace_metadata(const grpc::Channel* stalled) noexcept;
    /// Puts the headers of a call on `bucket` into its context. `routing_token` may be empty.
    void prepare(grpc::ClientContext& context, const std::string& bucket, const std::string& routing_token)
        const;

    std::size_t max_message_bytes() const noexcept { return max_message_bytes_; }
    const std::string& endpoint() const noexcept { return endpoint_.shown(); }
    const std::shared_ptr<runtime::context_core>& core() const noexcept { return core_; }
    const std::shared_ptr<endpoint_watch>& watch() const noexcept { return watch_; }
    const fsm::connections_fsm::options& limits() const noexcept { return limits_; }

private:
    channels(const asio::any_io_executor& executor, const client_options& options);

    const asio::any_io_executor executor_;
    const std::shared_ptr<runtime::context_core> core_;
    fsm::connections_fsm::options limits_;
    std::shared_ptr<endpoint_watch> watch_;
    grpc_transport::endpoint endpoint_;
    std::string user_project_;
    std::size_t max_message_bytes_;
    std::string api_client_;
    std::shared_ptr<grpc::ChannelCredentials> credentials_;
    std::mutex mutex_;
    std::shared_ptr<grpc::Channel> metadata_;
};

/// `projects/_/buckets/B`, the name of the bucket in requests.
std::string bucket_resource(const std::string& bucket);

}  // namespace rangeio::grpc_transport
