#pragma once

#include <rangeio/client.hpp>

#include "grpc/channels.hpp"
#include "grpc/connections.hpp"
#include "grpc/grpc_bidi_call.hpp"
#include "retry_policy.hpp"
#include "runtime/context_service.hpp"

#include <memory>
#include <string>

namespace rangeio::gcs {

/// What a client and its operations share.
class client_core {
public:
    client_core(asio::any_io_executor executor, const client_options& options)
        : executor_(std::move(executor)),
          runtime_(runtime::core_of(executor_)),
          rpc_timeout_(options.rpc_timeout()),
          retry_(checked(options.retry())),
          require_checksums_(options.require_checksums()),
          observer_(options.observed_by()),
          channels_(grpc_transport::channels::make(executor_, options)) {
        grpc_transport::connections::environment env;
        env.maker = grpc_transport::make_grpc_connections(channels_);
        env.core = runtime_;
        env.limits = channels_->limits();
        env.watch = channels_->watch();
        connector_ = std::make_shared<grpc_transport::connections>(std::move(env));
    }

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const std::shared_ptr<runtime::context_core>& runtime() const noexcept { return runtime_; }
    std::chrono::nanoseconds rpc_timeout() const noexcept { return rpc_timeout_; }
    const retry_policy& retry() const noexcept { return retry_; }
    bool require_checksums() const noexcept { return require_checksums_; }
    const std::shared_ptr<observer>& observed_by() const noexcept { return observer_; }
    const std::shared_ptr<grpc_transport::channels>& channels() const noexcept { return channels_; }
    const std::shared_ptr<grpc_transport::bidi_connector>& connector() const noexcept { return connector_; }

private:
    const asio::any_io_executor executor_;
    const std::shared_ptr<runtime::context_core> runtime_;
    const std::chrono::nanoseconds rpc_timeout_;
    const retry_policy retry_;
    const bool require_checksums_;
    const std::shared_ptr<observer> observer_;
    const std::shared_ptr<grpc_transport::channels> channels_;
    std::shared_ptr<grpc_transport::bidi_connector> connector_;
};

/// What every operation on a client that was moved from fails with.
failure no_client();
/// Throws that.
void require_client(const std::shared_ptr<client_core>& core);
/// The client's, for handlers that have none; of one that was moved from Asio's own choice.
asio::any_io_executor executor_of(const std::shared_ptr<client_core>& core);

/// Streams on `object`. They share what the first of them learns: generation, read handle.
std::shared_ptr<mrd_factory> make_factory(
    const client_core& core, object_ref object, const pool_options& options
);

}  // namespace rangeio::gcs
