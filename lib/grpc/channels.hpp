#pragma once

#include <rangeio/client.hpp>

#include "grpc/endpoint.hpp"
#include "runtime/context_service.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace grpc {
class Channel;
class ChannelCredentials;
class ClientContext;
}  // namespace grpc

namespace rangeio::grpc_transport {

/// The channels of one client, and what each call on them carries.
///
/// Shared by the client and all streams and calls, and destroyed on the client's executor whoever lets go of
/// it last: on a gRPC thread, dropping the last channel would make gRPC join that very thread.
class channels {
public:
    static std::shared_ptr<channels> make(
        const asio::any_io_executor& executor, const client_options& options
    );
    ~channels();
    channels(const channels&) = delete;
    channels& operator=(const channels&) = delete;

    /// For a stream: the next channel in turn. It is connected when a call needs it.
    std::shared_ptr<grpc::Channel> next();
    /// For a call that is soon over: always the same, so that the streams keep their turns.
    std::shared_ptr<grpc::Channel> first();
    /// Puts the headers of a call on `bucket` into its context. `routing_token` may be empty.
    void prepare(grpc::ClientContext& context, const std::string& bucket, const std::string& routing_token)
        const;

    const std::string& endpoint() const noexcept { return endpoint_.shown(); }
    const std::shared_ptr<runtime::context_core>& core() const noexcept { return core_; }

private:
    channels(std::shared_ptr<runtime::context_core> core, const client_options& options);

    const std::shared_ptr<runtime::context_core> core_;
    std::shared_ptr<grpc::Channel> at(std::size_t index);

    grpc_transport::endpoint endpoint_;
    std::string user_project_;
    std::string api_client_;
    std::shared_ptr<grpc::ChannelCredentials> credentials_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<grpc::Channel>> channels_;
    std::size_t turn_ = 0;
};

/// `projects/_/buckets/B`, as requests name the bucket.
std::string bucket_resource(const std::string& bucket);

}  // namespace rangeio::grpc_transport
