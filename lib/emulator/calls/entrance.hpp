#pragma once

#include "emulator/store/unique_fd.hpp"

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace rangeio::emulator {

/// The sockets that listen on an address, and the thread that accepts connections there.
///
/// gRPC could listen by itself. But version 1.51 never accepts again on a socket once descriptors have run out, reports
/// only in its log why it cannot listen, and needs a shared port for servers that follow one another.
class entrance {
public:
    /// Receives a connection, on the accepting thread.
    using taker = std::function<void(unique_fd connection)>;

    /// `address`: HOST:PORT or unix:PATH. Accepts connections from now on.
    ///
    /// Throws: rangeio::error with the reason why the address cannot be listened on.
    entrance(const std::string& address, taker take);
    /// Calls stop().
    ~entrance();
    entrance(const entrance&) = delete;
    entrance& operator=(const entrance&) = delete;

    /// Stops accepting; no `take` is running afterwards. Idempotent.
    ///
    /// Threads: not to be called from two threads at once.
    void stop() noexcept;

    /// `address`, with the port that was chosen.
    const std::string& address() const noexcept { return address_; }
    std::uint64_t accepted() const noexcept { return accepted_; }
    /// The number of times that there was no descriptor or memory for one more connection. Such a connection waits, and
    /// is accepted later.
    std::uint64_t failures() const noexcept { return failures_; }

private:
    void accept_until_stopped() noexcept;
    /// False: descriptors or memory have run out for now.
    bool accept_waiting(const unique_fd& socket) noexcept;

    std::string address_;
    std::string path_;  // of a Unix socket, removed by the destructor
    taker take_;
    std::vector<unique_fd> sockets_;
    unique_fd stop_;
    std::vector<pollfd> watched_;  // stop_, then the sockets
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::uint64_t> failures_{0};
    std::thread thread_;
};

}  // namespace rangeio::emulator
