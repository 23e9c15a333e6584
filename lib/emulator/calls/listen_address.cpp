#include "emulator/calls/listen_address.hpp"

#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::string_view unix_scheme = "unix:";

[[noreturn]] void refuse(const std::string& address, error_code why, const std::string& text) {
    throw error(error_value(why, fmt::format("cannot listen on {}: {}", address, text)));
}

[[noreturn]] void refuse_errno(const std::string& address, int code) {
    const error_code why(code, boost::system::system_category());
    refuse(address, why, why.message());
}

// An empty result: the address cannot be listened on, and errno has the reason.
unique_fd listen_at(const sockaddr* where, socklen_t size) {
    unique_fd fd(::socket(where->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fd;
    const int on = 1;
    if (where->sa_family != AF_UNIX) {
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        // Accepted connections inherit this option.
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (::bind(fd.get(), where, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) return {};
    return fd;
}

int port_of(const unique_fd& socket) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    if (bound.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
    return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

void set_port(sockaddr* where, int port) {
    const in_port_t network = htons(static_cast<std::uint16_t>(port));
    if (where->sa_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6*>(where)->sin6_port = network;
    } else {
        reinterpret_cast<sockaddr_in*>(where)->sin_port = network;
    }
}

listening listen_on_path(const std::string& address) {
    listening out;
    out.address = address;
    std::string path = address.substr(unix_scheme.size());
    if (path.starts_with("///")) path.erase(0, 2);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof where.sun_path) {
        refuse(address, make_error_code(errc::invalid_argument), "the path is empty or too long");
    }
    std::memcpy(where.sun_path, path.c_str(), path.size());
    // Removes the socket that an earlier server left behind. A socket that is being served is replaced, too: all that
    // can be seen of it is its name.
    struct stat st{};
    if (::lstat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode)) ::unlink(path.c_str());
    unique_fd fd = listen_at(reinterpret_cast<const sockaddr*>(&where), sizeof where);
    if (!fd) refuse_errno(address, errno);
    out.sockets.push_back(std::move(fd));
    out.path = std::move(path);
    return out;
}

}  // namespace

listening listen_on(const std::string& address) {
    if (address.starts_with(unix_scheme)) return listen_on_path(address);
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const std::string port = colon == std::string::npos ? std::string() : address.substr(colon + 1);
    if (host.empty() || port.empty() || port.find_first_not_of("0123456789") != std::string::npos ||
        port.size() > 5 || std::stoi(port) > 65535) {
        refuse(address, make_error_code(errc::invalid_argument), "the address is not of the form host:port");
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
        refuse(address, make_error_code(errc::invalid_argument), ::gai_strerror(code));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    listening out;
    int chosen = std::stoi(port);
    int why = EADDRNOTAVAIL;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        set_port(at->ai_addr, chosen);
        unique_fd fd = listen_at(at->ai_addr, at->ai_addrlen);
        if (fd) {
            chosen = port_of(fd);
            out.sockets.push_back(std::move(fd));
            continue;
        }
        why = errno;
        // A name may have an address of a family that is switched off.
        if (why != EADDRNOTAVAIL && why != EAFNOSUPPORT) refuse_errno(address, why);
    }
    if (out.sockets.empty()) refuse_errno(address, why);
    out.address = fmt::format("{}:{}", address.substr(0, colon), chosen);
    return out;
}

}  // namespace rangeio::emulator
