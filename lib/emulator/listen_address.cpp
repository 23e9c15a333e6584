#include "emulator/listen_address.hpp"

#include "emulator/unique_fd.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <memory>

namespace rangeio::emulator {

std::string with_port(const std::string& address, int port) {
    const std::size_t colon = address.rfind(':');
    // A path of a Unix socket has no port.
    if (colon == std::string::npos || address.starts_with("unix:")) {
        return address;
    }
    return address.substr(0, colon + 1) + std::to_string(port);
}

error_code why_not_listening(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) {
        return {};
    }
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) {
        return {};
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        const unique_fd probe(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
        const int on = 1;
        ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(probe.get(), at->ai_addr, at->ai_addrlen) != 0) {
            return {errno, boost::system::system_category()};
        }
    }
    return {};
}

}  // namespace rangeio::emulator
