#pragma once

#include <rangeio/testing/tcp_proxy.hpp>

#include "testing/faults/http2_frames.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rangeio::testing {

namespace asio = boost::asio;

/// The rate limit that all connections of a proxy share, in one direction.
class shared_line {
public:
    void limit(std::uint64_t bytes_per_second) {
        rate_ = bytes_per_second;
        free_at_ = {};
    }
    /// The number of bytes to take at once.
    std::size_t piece_bytes() const noexcept;
    /// The time at which so many more bytes have passed.
    std::chrono::steady_clock::time_point pass(std::size_t bytes);

private:
    std::uint64_t rate_ = 0;  // 0: no limit
    std::chrono::steady_clock::time_point free_at_;
};

/// State that the connections of a proxy share.
struct relay_shared {
    asio::ip::tcp::endpoint target;
    shared_line up;
    shared_line down;
    tcp_proxy_stats stats;
};

/// One connection of a proxy: moves bytes both ways until it is stopped. All on the proxy's thread.
class tcp_relay : public std::enable_shared_from_this<tcp_relay> {
public:
    tcp_relay(asio::ip::tcp::socket client, std::shared_ptr<relay_shared> shared);
    ~tcp_relay();
    tcp_relay(const tcp_relay&) = delete;
    tcp_relay& operator=(const tcp_relay&) = delete;

    void silence(bool on);
    /// Ends the connection; a silent one for the target only.
    void cut(tcp_end how);
    void end(tcp_end how);
    void inject(std::string bytes);

    bool ended() const noexcept { return ended_; }
    tcp_pair info() const noexcept { return {client_port_, target_port_, silent_}; }

private:
    struct direction {
        direction(asio::ip::tcp::socket& reads, asio::ip::tcp::socket& writes)
            : from(reads), to(writes), passing(reads.get_executor()) {}

        asio::ip::tcp::socket& from;
        asio::ip::tcp::socket& to;
        asio::steady_timer passing;
        std::string taken;  // read, and to be written
        std::size_t written = 0;
        bool waiting = false;
        bool end_read = false;
        bool over = false;
    };

    void begin();
    void pump(direction& d);
    void wait(direction& d, asio::ip::tcp::socket& on, asio::ip::tcp::socket::wait_type what);
    void drain(direction& d);
    bool write(direction& d);
    bool read(direction& d);
    void waited(direction& d);

    const std::shared_ptr<relay_shared> shared_;
    asio::ip::tcp::socket client_;
    asio::ip::tcp::socket target_;
    direction up_;
    direction down_;
    http2_frames frames_;   // of the bytes to the target
    std::string injected_;  // waits for the end of a frame
    std::uint16_t client_port_ = 0;
    std::uint16_t target_port_ = 0;
    bool begun_ = false;
    bool connected_ = false;
    bool silent_ = false;
    bool ended_ = false;
};

}  // namespace rangeio::testing
