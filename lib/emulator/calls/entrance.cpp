#include "emulator/calls/entrance.hpp"

#include <rangeio/error.hpp>

#include "emulator/calls/listen_address.hpp"

#include <fmt/format.h>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <utility>

namespace rangeio::emulator {
namespace {

// There is no notification for a descriptor that becomes free.
constexpr int retry_ms = 50;

}  // namespace

entrance::entrance(const std::string& address, taker take) : take_(std::move(take)) {
    listening where = listen_on(address);
    address_ = std::move(where.address);
    path_ = std::move(where.path);
    sockets_ = std::move(where.sockets);
    stop_ = unique_fd(::eventfd(0, EFD_CLOEXEC));
    if (!stop_) {
        const error_code why(errno, boost::system::system_category());
        throw error(error_value(why, fmt::format("cannot listen on {}: {}", address, why.message())));
    }
    watched_.push_back({stop_.get(), POLLIN, 0});
    for (const unique_fd& socket : sockets_) watched_.push_back({socket.get(), POLLIN, 0});
    thread_ = std::thread([this] { accept_until_stopped(); });
}

entrance::~entrance() {
    stop();
}

void entrance::stop() noexcept {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    // The write cannot fail: the counter is far from its maximum.
    [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
    sockets_.clear();
    if (!path_.empty()) ::unlink(path_.c_str());
}

void entrance::accept_until_stopped() noexcept {
    bool full = false;
    while (true) {
        // While no connection can be accepted, poll would report the sockets ready all the time.
        const bool waits = std::exchange(full, false);
        const int ready = ::poll(watched_.data(), waits ? 1 : watched_.size(), waits ? retry_ms : -1);
        if (ready > 0 && watched_.front().revents != 0) return;
        for (const unique_fd& socket : sockets_) full = !accept_waiting(socket) || full;
    }
}

bool entrance::accept_waiting(const unique_fd& socket) noexcept {
    while (true) {
        unique_fd connection(::accept4(socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!connection) {
            // Any other error concerns that connection alone; poll reports whether another one waits.
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return true;
            ++failures_;
            return false;
        }
        ++accepted_;
        try {
            take_(std::move(connection));
        } catch (const std::exception&) {
            // Out of memory: the connection is closed.
        }
    }
}

}  // namespace rangeio::emulator
