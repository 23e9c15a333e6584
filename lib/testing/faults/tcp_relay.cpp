#include "testing/faults/tcp_relay.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace rangeio::testing {
namespace {

using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t max_piece_bytes = std::size_t{64} << 10;
// For bytes from the target. Small, so that the target notices a slow line, too.
constexpr int receive_buffer_bytes = 64 << 10;

bool may_come_later(const error_code& why) {
    return why == asio::error::would_block || why == asio::error::try_again ||
           why == asio::error::interrupted;
}

}  // namespace

std::size_t shared_line::piece_bytes() const noexcept {
    return rate_ == 0 ? max_piece_bytes : std::clamp<std::uint64_t>(rate_ / 50, 1, max_piece_bytes);
}

std::chrono::steady_clock::time_point shared_line::pass(std::size_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (rate_ == 0) return now;
    free_at_ = std::max(free_at_, now) + std::chrono::nanoseconds(bytes * 1'000'000'000 / rate_);
    return free_at_;
}

tcp_relay::tcp_relay(tcp::socket client, std::shared_ptr<relay_shared> shared)
    : shared_(std::move(shared)),
      client_(std::move(client)),
      target_(client_.get_executor()),
      up_(client_, target_),
      down_(target_, client_) {
    error_code gone;
    client_port_ = client_.remote_endpoint(gone).port();
    ++shared_->stats.accepted;
    ++shared_->stats.open;
}

tcp_relay::~tcp_relay() {
    end(tcp_end::orderly);
}

void tcp_relay::silence(bool on) {
    if (on && connected_ && !ended_ && !silent_) {
        drain(up_);
        drain(down_);
    }
    silent_ = on;
    if (silent_ || ended_) return;
    if (!begun_) {
        begin();
    } else if (connected_) {
        pump(up_);
        pump(down_);
    }
}

void tcp_relay::begin() {
    begun_ = true;
    error_code failed;
    target_.open(shared_->target.protocol(), failed);
    target_.set_option(tcp::socket::receive_buffer_size(receive_buffer_bytes), failed);
    target_.async_connect(shared_->target, [self = shared_from_this()](const error_code& why) {
        if (self->ended_) return;
        if (why) {
            self->end(tcp_end::reset);
            return;
        }
        error_code ignored;
        self->target_port_ = self->target_.local_endpoint(ignored).port();
        for (tcp::socket* s : {&self->client_, &self->target_}) {
            s->non_blocking(true, ignored);
            s->set_option(tcp::no_delay(true), ignored);
        }
        self->connected_ = true;
        self->pump(self->up_);
        self->pump(self->down_);
    });
}

void tcp_relay::pump(direction& d) {
    if (ended_ || silent_ || !connected_ || d.waiting || d.over) return;
    while (d.written < d.taken.size()) {
        if (!write(d)) return;
    }
    if (d.end_read) {
        error_code ignored;
        d.to.shutdown(tcp::socket::shutdown_send, ignored);
        d.over = true;
        if (up_.over && down_.over) end(tcp_end::orderly);
        return;
    }
    if (!read(d)) return;
    // Other connections have their turns between two pieces, which also have to pass the line.
    d.waiting = true;
    const auto passed = (&d == &up_ ? shared_->up : shared_->down).pass(d.taken.size());
    if (passed <= std::chrono::steady_clock::now()) {
        asio::post(client_.get_executor(), [self = shared_from_this(), &d] { self->waited(d); });
        return;
    }
    d.passing.expires_at(passed);
    d.passing.async_wait([self = shared_from_this(), &d](const error_code&) { self->waited(d); });
}

void tcp_relay::waited(direction& d) {
    d.waiting = false;
    pump(d);
}

void tcp_relay::wait(direction& d, tcp::socket& on, tcp::socket::wait_type what) {
    d.waiting = true;
    on.async_wait(what, [self = shared_from_this(), &d](const error_code&) { self->waited(d); });
}

bool tcp_relay::write(direction& d) {
    error_code why;
    const auto rest = asio::buffer(d.taken) + d.written;
    const std::size_t n = d.to.write_some(rest, why);
    d.written += n;
    (&d == &up_ ? shared_->stats.bytes_to_target : shared_->stats.bytes_to_client) += n;
    if (!why) return true;
    if (may_come_later(why)) {
        wait(d, d.to, tcp::socket::wait_write);
    } else {
        end(tcp_end::reset);
    }
    return false;
}

// True: there are bytes to forward, or the end.
bool tcp_relay::read(direction& d) {
    std::array<char, max_piece_bytes> piece;
    const std::size_t most = (&d == &up_ ? shared_->up : shared_->down).piece_bytes();
    error_code why;
    const std::size_t n = d.from.read_some(asio::buffer(piece.data(), most), why);
    if (why == asio::error::eof) {
        d.end_read = true;
        d.taken.clear();
        d.written = 0;
        return true;
    }
    if (why) {
        if (may_come_later(why)) {
            wait(d, d.from, tcp::socket::wait_read);
        } else {
            end(tcp_end::reset);
        }
        return false;
    }
    d.taken.assign(piece.data(), n);
    d.written = 0;
    if (&d == &up_) {
        const std::size_t between = frames_.take(d.taken);
        if (between != std::string::npos) d.taken.insert(between, std::exchange(injected_, {}));
    }
    return true;
}

// Forwards bytes that had been sent before, as far as they are here and the other side takes them.
void tcp_relay::drain(direction& d) {
    constexpr std::size_t most = std::size_t{1} << 20;
    std::array<char, max_piece_bytes> piece;
    error_code why;
    for (std::size_t moved = 0; moved < most && !why && !d.over && !d.end_read;) {
        const std::size_t n = d.to.write_some(asio::buffer(d.taken) + d.written, why);
        d.written += n;
        moved += n;
        (&d == &up_ ? shared_->stats.bytes_to_target : shared_->stats.bytes_to_client) += n;
        if (d.written < d.taken.size()) continue;
        const std::size_t got = d.from.read_some(asio::buffer(piece), why);
        d.taken.assign(piece.data(), got);
        d.written = 0;
        if (&d == &up_) frames_.take(d.taken);
    }
}

void tcp_relay::inject(std::string bytes) {
    if (!frames_.between()) {
        injected_ += bytes;
        return;
    }
    const bool at_once = up_.written == up_.taken.size();
    up_.taken += bytes;
    if (!at_once || silent_ || !connected_) return;
    // Bytes that do not fit now are sent before the next ones that are read.
    error_code full;
    up_.written += target_.write_some(asio::buffer(up_.taken) + up_.written, full);
}

void tcp_relay::cut(tcp_end how) {
    if (!silent_) {
        end(how);
        return;
    }
    error_code ignored;
    if (how == tcp_end::reset) target_.set_option(tcp::socket::linger(true, 0), ignored);
    target_.close(ignored);
}

void tcp_relay::end(tcp_end how) {
    if (std::exchange(ended_, true)) return;
    --shared_->stats.open;
    error_code ignored;
    if (how == tcp_end::reset) {
        client_.set_option(tcp::socket::linger(true, 0), ignored);
        target_.set_option(tcp::socket::linger(true, 0), ignored);
    }
    target_.close(ignored);
    client_.close(ignored);
    up_.passing.cancel();
    down_.passing.cancel();
}

}  // namespace rangeio::testing
