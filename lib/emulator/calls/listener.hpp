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

/// A gRPC server: has the connections that it is given, and hears what they call.
class listener {
public:
    /// Throws: rangeio::error that says why it cannot serve.
    listener(service& shared, const server_options& options);
    /// Cancels the calls, and waits for their end.
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    /// Serves a connection; too late, it is closed.
    void take(unique_fd connection);

    /// Tells the clients of its connections to go away, ends the streams with UNAVAILABLE and lets other calls go on for a
    /// second, and waits for the end of all. Nothing is taken any more.
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
