#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rangeio::testing {

/// How a connection ends.
enum class tcp_end {
    reset,   ///< by RST, as from a machine that has lost the connection's state
    orderly  ///< by FIN, as from a process that ends
};

/// One connection through a proxy: that of the client, and the one that the proxy has made to its target for it.
class tcp_pair {
public:
    /// Source port of the client.
    std::uint16_t client_port = 0;
    /// Source port of the proxy: the peer as the target sees it. 0 until the target has accepted.
    std::uint16_t target_port = 0;
    /// Nothing is read or forwarded any more.
    bool silent = false;
};

/// Counters of a proxy since its start.
class tcp_proxy_stats {
public:
    std::uint64_t accepted = 0;  ///< connections of clients
    std::uint64_t open = 0;      ///< those of them that have not ended
    std::uint64_t bytes_to_target = 0;
    std::uint64_t bytes_to_client = 0;
};

/// A TCP proxy in this process that simulates network faults: for tests over real sockets. It forwards to one target;
/// its members inject faults at any time.
///
/// It serves on a thread of its own, from its constructor to its destructor, which ends all connections. The effect of
/// a member is complete when it returns: after silence(), no byte is read or forwarded; bytes that had reached the
/// proxy before are forwarded first, as far as the receiver takes them.
///
/// Threads: all members are safe to call at once, except the destructor.
class tcp_proxy {
public:
    /// `target` and `listen` are IP:PORT, or localhost:PORT. `listen` is a loopback address; port 0 means any free one.
    /// The target is not contacted before a client connects; a client whose target cannot be reached is reset.
    ///
    /// Throws: rangeio::error, errc::invalid_argument for an address of another form or, for `listen`, that is not of
    ///         the loopback interface; or the system's error if the proxy cannot listen on it.
    explicit tcp_proxy(const std::string& target, const std::string& listen = "127.0.0.1:0");
    ~tcp_proxy();
    tcp_proxy(const tcp_proxy&) = delete;
    tcp_proxy& operator=(const tcp_proxy&) = delete;

    /// The address that the proxy listens on, as HOST:PORT.
    std::string address() const;

    /// Silences the existing connections: nothing is read from them or forwarded any more, and their sockets remain
    /// open, whatever the two sides do. As on a path through a device that has lost its state.
    void silence();
    /// The same for one connection, by its target_port. False: there is none.
    bool silence(std::uint16_t target_port);
    /// Whether new connections are silent from the start: they are accepted, and nothing else happens.
    void silence_new(bool on);
    /// Silent connections continue where they were.
    void resume();

    /// Whether connections are refused. The proxy keeps the port.
    void refuse(bool on);
    /// Ends the existing connections; silent ones only for the target, because their clients receive nothing.
    void cut(tcp_end how = tcp_end::reset);
    /// refuse() and cut() at once; new connections are accepted again after `duration`. A second call does not shorten
    /// the first one.
    void go_away(std::chrono::nanoseconds duration);

    /// At most so many bytes a second, for all connections together, in each direction. They share the rate evenly, in
    /// pieces of up to a fiftieth of a second. 0, the default: no limit.
    void limit_rate(std::uint64_t bytes_per_second);

    /// Sends these bytes to the target on one connection, by its target_port, as if they were its client's, between two
    /// frames of HTTP/2. False: there is no such connection.
    bool inject(std::uint16_t target_port, std::string bytes);

    std::vector<tcp_pair> pairs() const;
    tcp_proxy_stats stats() const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace rangeio::testing
