#include "emulator/calls/listener.hpp"

#include <rangeio/error.hpp>

#include <grpcpp/security/server_credentials.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace rangeio::emulator {
namespace {

std::shared_ptr<grpc::ServerCredentials> credentials_of(const server_options& options) {
    if (options.certificate().empty()) return grpc::InsecureServerCredentials();
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({options.private_key(), options.certificate()});
    return grpc::SslServerCredentials(tls);
}

}  // namespace

listener::listener(service& shared, const server_options& options) : dispatcher_(shared, calls_) {
    grpc::ServerBuilder builder;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials_of(options)
    );
    builder.RegisterCallbackGenericService(&dispatcher_);
    // The frequency of pings is limited by gRPC's defaults: clients have to work with those.
    for (const testing::fault& f : options.faults().faults) {
        if (f.kind != testing::fault_kind::max_streams) continue;
        constexpr std::uint64_t most = std::numeric_limits<int>::max();
        builder.AddChannelArgument(
            GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(std::min(f.bytes, most))
        );
    }
    server_ = builder.BuildAndStart();
    if (!server_) {
        constexpr const char* insecure = "gRPC cannot start a server";
        constexpr const char* secure = "the TLS certificate and its key cannot be used";
        throw error(error_value(errc::invalid_argument, options.certificate().empty() ? insecure : secure));
    }
}

listener::~listener() {
    // A deadline in the past: calls are cancelled at once.
    shut_down(gpr_inf_past(GPR_CLOCK_MONOTONIC));
}

void listener::take(unique_fd connection) {
    const std::lock_guard lock(mutex_);
    if (!acceptor_) return;
    acceptor::NewConnectionParameters given;
    given.fd = connection.release();
    acceptor_->HandleNewConnection(&given);
}

void listener::go_away() {
    // The streams end with a status of their own: the clients of calls that gRPC cancels may see CANCELLED.
    calls_.shut_down();
    shut_down(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(1, GPR_TIMESPAN)));
}

void listener::shut_down(gpr_timespec deadline) {
    {
        const std::lock_guard lock(mutex_);
        acceptor_.reset();
    }
    if (server_) {
        server_->Shutdown(deadline);
        calls_.wait_empty();
        server_.reset();
    }
}

}  // namespace rangeio::emulator
