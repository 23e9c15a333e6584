#include "grpc/endpoint.hpp"

#include <rangeio/client.hpp>
#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>

namespace rangeio::grpc_transport {
namespace {

constexpr const char* service_endpoint = "storage.googleapis.com:443";
constexpr const char* emulator_variable = "STORAGE_EMULATOR_HOST_GRPC";
constexpr std::size_t max_text_bytes = 1024;
constexpr std::size_t max_host_bytes = 253;
constexpr std::size_t max_path_bytes = 107;  // of a Unix socket
constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view forms =
    "write HOST:PORT, [IPV6]:PORT, unix:/PATH, http://HOST:PORT (no encryption), https://HOST:PORT, "
    "dns:///HOST:PORT, "
    "ipv4:ADDRESS:PORT, ipv6:[ADDRESS]:PORT or google-c2p:///HOST";

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 200)) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    return out;
}

/// The parser of one text.
class reader {
public:
    explicit reader(std::string_view text) : whole_(text) {}

    [[noreturn]] void reject(std::string_view why) const {
        throw error(
            error_value(errc::invalid_argument, fmt::format("endpoint '{}': {}", printable(whole_), why))
        );
    }

    struct place {
        std::string host;  // in lower case, IPv6 in brackets
        int port = 0;      // 0: none was given
        bool local = false;
    };

    place host_and_port(std::string_view text) const {
        if (text.find('/') != text.npos)
            reject(fmt::format("a path after the host is not allowed; {}", forms));
        if (text.starts_with('[')) return bracketed(text);
        const std::size_t colon = text.find(':');
        if (colon != text.npos && text.find(':', colon + 1) != text.npos) {
            reject(fmt::format("an IPv6 address must be in brackets; {}", forms));
        }
        place out = named(text.substr(0, colon));
        if (colon != text.npos) out.port = port(text.substr(colon + 1));
        return out;
    }

private:
    int port(std::string_view digits) const {
        int out = 0;
        const char* const end = digits.data() + digits.size();
        const auto [at, problem] = std::from_chars(digits.data(), end, out);
        const bool number = !digits.empty() && digits.front() >= '0' && digits.front() <= '9';
        if (problem != std::errc() || at != end || !number || out < 1 || out > 65535) {
            reject(fmt::format("port: '{}' is not in 1..65535; {}", printable(digits), forms));
        }
        return out;
    }

    place bracketed(std::string_view text) const {
        const std::size_t close = text.find(']');
        in6_addr address{};
        const std::string inner(text.substr(1, close == text.npos ? close : close - 1));
        if (close == text.npos || ::inet_pton(AF_INET6, inner.c_str(), &address) != 1) {
            reject(fmt::format("the text in brackets is not an IPv6 address; {}", forms));
        }
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && !rest.starts_with(':')) {
            reject(fmt::format("only a port may follow the brackets; {}", forms));
        }
        place out;
        char text6[INET6_ADDRSTRLEN] = {};
        ::inet_ntop(AF_INET6, &address, text6, sizeof text6);
        out.host = fmt::format("[{}]", text6);
        // The address that listens on all interfaces is reached on this machine.
        if (IN6_IS_ADDR_UNSPECIFIED(&address)) out.host = "[::1]";
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127;
        out.local = out.host == "[::1]" || mapped;
        if (!rest.empty()) out.port = port(rest.substr(1));
        return out;
    }

    place named(std::string_view text) const {
        place out;
        out.host = text;
        std::ranges::transform(out.host, out.host.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        if (out.host.empty()) reject(fmt::format("the host is missing; {}", forms));
        const bool spelled =
            out.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == out.host.npos;
        if (!spelled || out.host.size() > max_host_bytes || out.host.find("..") != out.host.npos ||
            out.host.starts_with('.')) {
            reject(fmt::format("not a host name; {}", forms));
        }
        // A trailing dot is the root domain.
        if (out.host.ends_with('.')) out.host.pop_back();
        if (out.host == "localhost") out.local = true;
        // A name whose last label is a number is an address; some resolvers accept fewer than four numbers, or
        // hexadecimal ones.
        const std::string last = out.host.substr(out.host.rfind('.') + 1);
        if (!last.starts_with("0x") && last.find_first_not_of("0123456789") != last.npos) return out;
        in_addr address{};
        if (::inet_pton(AF_INET, out.host.c_str(), &address) != 1) {
            reject("an IPv4 address has four numbers in 0..255, such as 127.0.0.1");
        }
        if (address.s_addr == 0) out.host = "127.0.0.1";
        out.local = out.host.starts_with("127.");
        return out;
    }

    std::string_view whole_;
};

// Removes `name` from the front of `text`, ignoring case. False: `text` does not begin with it.
bool take(std::string_view& text, std::string_view name) {
    if (text.size() < name.size()) return false;
    const bool same = std::ranges::equal(text.substr(0, name.size()), name, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
    });
    if (same) text.remove_prefix(name.size());
    return same;
}

// gRPC decodes the path as a part of a URI.
std::string encoded(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("/-._~:").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string socket_path(const reader& in, std::string_view text) {
    if (text.starts_with("//")) {
        text.remove_prefix(2);
        if (!text.starts_with('/')) in.reject("a host name is not allowed; write unix:/PATH");
    }
    if (text.empty() || text.size() > max_path_bytes || text.find('\0') != text.npos) {
        in.reject(fmt::format("a socket path must have 1 to {} bytes, and no NUL", max_path_bytes));
    }
    return std::string(text);
}

}  // namespace

endpoint endpoint::parse(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(blanks), text.size());
    text = text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
    const reader in(text);
    if (text.empty()) in.reject(fmt::format("empty; {}", forms));
    if (text.size() > max_text_bytes) in.reject(fmt::format("more than {} bytes", max_text_bytes));
    endpoint out;
    std::string_view rest = text;
    if (take(rest, "unix:")) {
        const std::string path = socket_path(in, rest);
        out.local_ = true;
        out.shown_ = "unix:" + path;
        out.target_ = "unix:" + encoded(path);
        return out;
    }
    int usual_port = 443;
    bool c2p = false;
    std::string_view family;
    if (take(rest, "http://")) {
        out.security_ = security::plain;
        usual_port = 80;
    } else if (take(rest, "https://")) {
        out.security_ = security::tls;
    } else if (take(rest, "dns:///")) {
    } else if (take(rest, "google-c2p:///")) {
        c2p = true;
    } else if (take(rest, "ipv4:")) {
        family = "ipv4";
    } else if (take(rest, "ipv6:")) {
        family = "ipv6";
    } else if (take(rest, "dns:")) {
        if (rest.starts_with("//")) in.reject("a name server is not allowed; write dns:///HOST:PORT");
    } else if (text.find("://") != text.npos) {
        in.reject(fmt::format("'{}' is not a scheme; {}", printable(text.substr(0, text.find(':'))), forms));
    }
    if (!family.empty() && rest.starts_with("///")) rest.remove_prefix(3);
    while (rest.ends_with('/')) rest.remove_suffix(1);
    const auto where = in.host_and_port(rest);
    const bool is_v6 = where.host.starts_with('[');
    const bool is_v4 = !is_v6 && where.host.find_first_not_of("0123456789.") == std::string::npos;
    if ((family == "ipv4" && !is_v4) || (family == "ipv6" && !is_v6)) {
        in.reject(fmt::format("not an {} address", family));
    }
    if (c2p) {
        if (where.local) in.reject("google-c2p does not reach this machine; write HOST:PORT");
        out.shown_ = "google-c2p:///" + where.host;
        if (where.port != 0) out.shown_ += fmt::format(":{}", where.port);
        out.target_ = out.shown_;
        return out;
    }
    if (where.port == 0 && where.local) {
        in.reject(fmt::format("the port is missing; write {}:PORT", where.host));
    }
    out.local_ = where.local;
    out.shown_ = fmt::format("{}:{}", where.host, where.port == 0 ? usual_port : where.port);
    out.target_ = is_v4   ? "ipv4:" + out.shown_
                  : is_v6 ? "ipv6:" + encoded(out.shown_)
                          : "dns:///" + out.shown_;
    return out;
}

chosen_endpoint choose_endpoint(const std::string& option) {
    chosen_endpoint out;
    const char* const variable = std::getenv(emulator_variable);
    const bool set = variable != nullptr && *variable != '\0';
    if (!option.empty()) {
        out.where = endpoint::parse(option);
    } else if (set) {
        out.from_environment = true;
        try {
            out.where = endpoint::parse(variable);
        } catch (const error& wrong) {
            throw error(wrong.why().with_context(emulator_variable));
        }
    } else {
        out.where = endpoint::parse(service_endpoint);
    }
    return out;
}

}  // namespace rangeio::grpc_transport

namespace rangeio {

void check_endpoint(std::string_view target) {
    (void)grpc_transport::endpoint::parse(target);
}

}  // namespace rangeio
