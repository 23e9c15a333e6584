#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rangeio::testing {

/// How a connection is ended.
enum class tcp_end {
    reset,   ///< by RST, as a machine that has forgotten the connection does
    orderly  ///< by FIN, as a process that ends does
};

/// One connection through a proxy: that of the client, and the one that the proxy has made to its target for it.
class tcp_pair {
public:
    /// Source port of the client.
    std::uint16_t client_port = 0;
    /// Source port of the proxy: what the target sees as its peer. 0 until the target has accepted.
    std::uint16_t target_port = 0;
    /// Nothing is read or forwarded any more.
    bool silent = false;
};

/// What a proxy has done since its start.
class tcp_proxy_stats {
public:
    std::uint64_t accepted = 0;  ///< connections of clients
    std::uint64_t open = 0;      ///< those of them that have not ended
    std::uint64_t bytes_to_target = 0;
    std::uint64_t bytes_to_client = 0;
};

/// A TCP proxy in this process, which does to connections what networks do: for tests over real sockets. It forwards to
/// one target, and is told at any time what goes wrong.
///
/// It serves on a thread of its own, from its constructor to its destructor, which ends all connections. What a member
/// asks for holds when it returns: after silence(), no byte is read or forwarded; what has reached the proxy before is
/// forwarded first, as far as the receiver takes it.
///
/// Threads: all members are safe to call at once, except the destructor.
class tcp_proxy {
public:
    /// `target` and `listen` are HOST:PORT. `listen` is a loopback address; port 0 means any free one. Nothing is asked of
    /// the target before a client connects; a client whose target cannot be reached is reset.
    ///
    /// Throws: rangeio::error, errc::invalid_argument for an address of another form or that is not of the loopback
    ///         interface, or the system's error if it cannot be listened on.
    explicit tcp_proxy(const std::string& target, const std::string& listen = "127.0.0.1:0");
    ~tcp_proxy();
    tcp_proxy(const tcp_proxy&) = delete;
    tcp_proxy& operator=(const tcp_proxy&) = delete;

    /// Where it listens, as HOST:PORT.
    std::string address() const;

    /// The connections that there are fall silent: nothing is read from them or forwarded any more, and their sockets
    /// stay open, whatever the two sides do. As a path through a device that has lost its state.
    void silence();
    /// The same for one, by its target_port. False: there is none.
    bool silence(std::uint16_t target_port);
    /// Whether connections that are made from now on are silent from the start: they are accepted, and that is all.
    void silence_new(bool on);
    /// Silent connections go on where they were.
    void resume();

    /// Whether connections are refused. The port stays this proxy's own.
    void refuse(bool on);
    /// Ends the connections that there are; silent ones only for the target, for their clients hear nothing.
    void cut(tcp_end how = tcp_end::reset);
    /// refuse() and cut() at once, and the end of the refusing after `duration`. A second one does not make the first one
    /// shorter.
    void go_away(std::chrono::nanoseconds duration);

    /// At most so many bytes a second, for all connections together, in each direction. They share it evenly, by pieces of
    /// up to a fiftieth of a second. 0, the default: no limit.
    void limit_rate(std::uint64_t bytes_per_second);

    /// Sends these bytes to the target on one connection, by its target_port, as if they were its client's, between two
    /// frames of HTTP/2. False: there is none.
    bool inject(std::uint16_t target_port, std::string bytes);

    std::vector<tcp_pair> pairs() const;
    tcp_proxy_stats stats() const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace rangeio::testing
