#include "emulator/protocol/request_params.hpp"

#include "emulator/protocol/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace rangeio::emulator {
namespace {

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Invalid escapes are kept; so is '+', which is a plus sign in a token.
std::string percent_decoded(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '%' && text.size() - at > 2 && hex_value(text[at + 1]) >= 0 &&
            hex_value(text[at + 2]) >= 0) {
            decoded += static_cast<char>(hex_value(text[at + 1]) * 16 + hex_value(text[at + 2]));
            at += 2;
        } else {
            decoded += text[at];
        }
    }
    return decoded;
}

bool contains(const std::vector<std::string>& values, std::string_view wanted) {
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
        return value == wanted || percent_decoded(value) == wanted;
    });
}

}  // namespace

std::vector<std::string> request_params::values_of(std::string_view name) const {
    std::vector<std::string> values;
    for (const std::string_view header : headers_) {
        for (std::size_t at = 0; at <= header.size();) {
            const std::size_t end = std::min(header.find('&', at), header.size());
            const std::string_view parameter = header.substr(at, end - at);
            if (parameter.starts_with(name) && parameter.substr(name.size()).starts_with('=')) {
                values.emplace_back(parameter.substr(name.size() + 1));
            }
            at = end + 1;
        }
    }
    return values;
}

void request_params::require_bucket(std::string_view resource_name) const {
    const std::vector<std::string> values = values_of("bucket");
    if (values.empty()) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format("the header x-goog-request-params is missing or has no bucket={}", resource_name)
        );
    }
    if (!contains(values, resource_name)) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format(
                "the header x-goog-request-params does not have bucket={}, as the request", resource_name
            )
        );
    }
}

void request_params::check_routing_token(std::string_view token) const {
    const std::vector<std::string> values = values_of("routing_token");
    if (!values.empty() && !contains(values, token)) {
        throw call_error(
            status_code::invalid_argument,
            "the header x-goog-request-params has another routing_token than the request"
        );
    }
}

bool request_params::has_routing_token(std::string_view token) const {
    return contains(values_of("routing_token"), token);
}

}  // namespace rangeio::emulator
