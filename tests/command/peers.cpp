#include "command/peers.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace support {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// One end for the thread, the other, when it is closed, to stop it.
std::pair<unique_fd, unique_fd> make_stop() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

unique_fd connect_to(const std::string& target) {
    const auto port = static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)));
    const sockaddr_in address = loopback(port);
    unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::system_error(errno, std::generic_category(), "connect");
    }
    return fd;
}

}  // namespace

silent_peer::silent_peer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(fd(), reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(fd(), 16) != 0 ||
        ::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::system_error(errno, std::generic_category(), "listen");
    }
    port_ = ntohs(address.sin_port);
}

std::string silent_peer::address() const {
    return "127.0.0.1:" + std::to_string(port_);
}

babbling_peer::babbling_peer(std::string text) {
    auto [stopped, stop] = make_stop();
    stop_ = std::move(stop);
    thread_ = std::jthread([this, until = std::move(stopped), text = std::move(text)] {
        serve(until.get(), text);
    });
}

babbling_peer::~babbling_peer() {
    stop_.reset();
}

void babbling_peer::serve(int stop, const std::string& text) const {
    for (;;) {
        std::array<pollfd, 2> waited{pollfd{stop, POLLIN, 0}, pollfd{listener_.fd(), POLLIN, 0}};
        ::poll(waited.data(), waited.size(), -1);
        if (waited[0].revents != 0) return;
        const unique_fd client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        send_all(client.get(), text);
    }
}

proxy::proxy(std::string target, filter answers) {
    auto [stopped, stop] = make_stop();
    stop_ = std::move(stop);
    thread_ = std::jthread(
        [this, until = std::move(stopped), target = std::move(target), answers = std::move(answers)] {
            serve(until.get(), target, answers);
        }
    );
}

proxy::~proxy() {
    stop_.reset();
}

void proxy::serve(int stop, const std::string& target, const filter& answers) const {
    std::vector<std::pair<unique_fd, unique_fd>> pairs;  // client, target
    std::vector<char> block(std::size_t{64} << 10);
    bool open = true;
    const auto pass = [&](const unique_fd& from, const unique_fd& to, bool answer) {
        const ssize_t got = ::recv(from.get(), block.data(), block.size(), 0);
        if (got <= 0) return false;
        const std::span<char> said(block.data(), static_cast<std::size_t>(got));
        if (answer && !answers(said)) open = false;
        send_all(to.get(), {said.data(), said.size()});
        return true;
    };
    for (;;) {
        std::vector<pollfd> waited{pollfd{stop, POLLIN, 0}, pollfd{listener_.fd(), POLLIN, 0}};
        for (const auto& [client, server] : pairs) {
            waited.push_back({open ? client.get() : -1, POLLIN, 0});
            waited.push_back({open ? server.get() : -1, POLLIN, 0});
        }
        ::poll(waited.data(), waited.size(), -1);
        if (waited[0].revents != 0) return;
        for (std::size_t i = pairs.size(); i-- > 0;) {
            const auto& [client, server] = pairs[i];
            const bool asked = waited[2 + 2 * i].revents != 0;
            const bool answered = waited[3 + 2 * i].revents != 0;
            const bool client_left = asked && !pass(client, server, false);
            const bool server_left = answered && !pass(server, client, true);
            if (client_left || server_left) pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (waited[1].revents != 0) {
            unique_fd client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
            pairs.emplace_back(std::move(client), connect_to(target));
        }
    }
}

proxy::filter stall_after(std::size_t limit) {
    return [limit, said = std::size_t{0}](std::span<const char> bytes) mutable {
        said += bytes.size();
        return said < limit;
    };
}

proxy::filter replace(std::string text, std::string other) {
    return [text = std::move(text), other = std::move(other)](std::span<char> bytes) {
        for (auto found = std::ranges::search(bytes, text); !found.empty();
             found = std::ranges::search(found.end(), bytes.end(), text.begin(), text.end())) {
            std::ranges::copy(other, found.begin());
        }
        return true;
    };
}

creation_watch::creation_watch(const std::string& directory) : fd_(::inotify_init1(IN_CLOEXEC)) {
    if (::inotify_add_watch(fd_.get(), directory.c_str(), IN_CREATE) < 0) {
        throw std::system_error(errno, std::generic_category(), directory);
    }
}

void creation_watch::wait() const {
    pollfd created{fd_.get(), POLLIN, 0};
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(process::deadline);
    if (::poll(&created, 1, static_cast<int>(limit.count())) != 1)
        throw std::runtime_error("no file appeared");
}

}  // namespace support
