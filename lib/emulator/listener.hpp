#pragma once

#include "emulator/open_calls.hpp"
#include "emulator/reactors.hpp"
#include "emulator/service.hpp"

#include <grpcpp/server.h>

#include <memory>
#include <string>

namespace rangeio::emulator {

/// A gRPC server on an address: what takes connections, and has them.
class listener {
public:
    /// `shared_port`: another listener may have the address, too; connections go to either.
    /// Throws: rangeio::error that says why the address cannot be listened on.
    listener(service& shared, const std::string& address, bool shared_port);
    /// Cancels the calls, and waits for their end.
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    /// Tells the clients of its connections to go away, ends the streams with UNAVAILABLE and lets other calls go on for a
    /// second, and waits for the end of all. Nothing is listened for any more.
    void go_away();

    int port() const noexcept { return port_; }

private:
    void shut_down(gpr_timespec deadline);

    open_calls calls_;
    dispatcher dispatcher_;
    std::unique_ptr<grpc::Server> server_;
    int port_ = 0;
};

}  // namespace rangeio::emulator
