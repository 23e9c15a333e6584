#include "emulator/listener.hpp"

#include <rangeio/error.hpp>

#include "emulator/listen_address.hpp"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <fmt/format.h>

namespace rangeio::emulator {

listener::listener(service& shared, const std::string& address, bool shared_port)
    : dispatcher_(shared, calls_) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(&dispatcher_);
    // Otherwise a second emulator could listen on the same port, and each would get half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, shared_port ? 1 : 0);
    // Clients may keep their connections alive as often as they like.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) {
        const error_code why = why_not_listening(address);
        throw error(failure(
            why ? why : make_error_code(errc::invalid_argument),
            fmt::format(
                "cannot listen on {}: {}",
                address,
                why ? why.message() : "it is not an address of the form host:port"
            )
        ));
    }
}

listener::~listener() {
    // A deadline in the past: calls are cancelled at once.
    shut_down(gpr_inf_past(GPR_CLOCK_MONOTONIC));
}

void listener::go_away() {
    // By a status of their own: what gRPC cancels, its clients may see as CANCELLED.
    calls_.shut_down();
    shut_down(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(1, GPR_TIMESPAN)));
}

void listener::shut_down(gpr_timespec deadline) {
    if (server_) {
        server_->Shutdown(deadline);
        calls_.wait_empty();
        server_.reset();
    }
}

}  // namespace rangeio::emulator
