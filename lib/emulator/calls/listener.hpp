#pragma once

#include "emulator/calls/open_calls.hpp"
#include "emulator/calls/reactors.hpp"
#include "emulator/service.hpp"
#include "emulator/store/unique_fd.hpp"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <mutex>

namespace rangeio::emulator {

/// A gRPC server: serves the connections that are handed to it.
class listener {
public:
    /// Throws: rangeio::error with the reason why it cannot serve.
    listener(service& shared, const server_options& options);
    /// Cancels the calls, and waits until they have ended.
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    /// Serves a connection; after the end of service the connection is closed.
    void take(unique_fd connection);

    /// Sends GOAWAY to the clients of its connections, ends the streams with UNAVAILABLE, lets other calls continue for
    /// a second, and waits until all have ended. No further connection is served.
    void go_away();

private:
    using acceptor = grpc::experimental::ExternalConnectionAcceptor;

    void shut_down(gpr_timespec deadline);

    open_calls calls_;
    dispatcher dispatcher_;
    std::mutex mutex_;
    std::unique_ptr<acceptor> acceptor_;  // empty: shut down
    std::unique_ptr<grpc::Server> server_;
};

}  // namespace rangeio::emulator
