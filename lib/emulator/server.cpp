#include <rangeio/emulator.hpp>
#include <rangeio/error.hpp>

#include "emulator/gate.hpp"
#include "emulator/listen_address.hpp"
#include "emulator/reactors.hpp"
#include "emulator/service.hpp"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <fmt/format.h>

#include <mutex>
#include <optional>

namespace rangeio::emulator {
namespace {

constexpr std::size_t max_max_chunk_bytes = std::size_t{2} << 20;

const server_options& checked(const server_options& options) {
    if (options.max_chunk_bytes() == 0 || options.max_chunk_bytes() > max_max_chunk_bytes) {
        throw error(failure(
            errc::invalid_argument,
            fmt::format(
                "max_chunk_bytes is {}, it must be 1 to {}", options.max_chunk_bytes(), max_max_chunk_bytes
            )
        ));
    }
    for (const std::string& object : options.unfinalized()) {
        if (object.find('/') == std::string::npos) {
            throw error(failure(
                errc::invalid_argument,
                fmt::format("unfinalized object '{}' is not of the form bucket/object", object)
            ));
        }
    }
    return options;
}

}  // namespace

class server::impl {
public:
    explicit impl(const server_options& options) : service_(checked(options)), dispatcher_(service_, calls_) {
        grpc::ServerBuilder builder;
        int port = 0;
        builder.AddListeningPort(options.listen(), grpc::InsecureServerCredentials(), &port);
        builder.RegisterCallbackGenericService(&dispatcher_);
        // Otherwise a second emulator could listen on the same port, and each would get half of the calls.
        builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
        // Clients may keep their connections alive as often as they like.
        builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
        builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
        server_ = builder.BuildAndStart();
        if (!server_ || port == 0) {
            const error_code why = why_not_listening(options.listen());
            throw error(failure(
                why ? why : make_error_code(errc::invalid_argument),
                fmt::format(
                    "cannot listen on {}: {}",
                    options.listen(),
                    why ? why.message() : "it is not an address of the form host:port"
                )
            ));
        }
        address_ = with_port(options.listen(), port);
    }

    ~impl() { shutdown(); }

    void shutdown() {
        // The second of two callers waits for the first.
        const std::lock_guard lock(shutdown_mutex_);
        service_.workers().request_stop();
        if (server_) {
            // A deadline in the past: calls are cancelled at once.
            server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
            calls_.wait_empty();
            server_.reset();
        }
    }

    const std::string& address() const noexcept { return address_; }
    server_stats stats() const noexcept { return service_.counters().read(); }

private:
    service service_;
    gate calls_;
    dispatcher dispatcher_;
    std::mutex shutdown_mutex_;
    std::unique_ptr<grpc::Server> server_;
    std::string address_;
};

server::server(server_options options) : impl_(std::make_unique<impl>(options)) {}

server::~server() = default;

std::string server::address() const {
    return impl_->address();
}

void server::shutdown() {
    impl_->shutdown();
}

server_stats server::stats() const {
    return impl_->stats();
}

}  // namespace rangeio::emulator
