#include "emulator/page_token.hpp"

#include <rangeio/crc32c.hpp>

#include "emulator/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>

namespace rangeio::emulator {
namespace {

constexpr std::size_t checksum_digits = 8;
constexpr std::string_view digits = "0123456789abcdef";

std::string checksum_of(std::string_view text, std::uint32_t query) {
    return fmt::format("{:08x}", crc32c_extend(query, std::as_bytes(std::span(text))));
}

}  // namespace

// The checksum, begun with the fingerprint of the query; 'o' or 'p'; the name in hexadecimal digits.
std::string make_page_token(const list_position& position, std::uint32_t query) {
    std::string body(1, position.is_prefix ? 'p' : 'o');
    for (const char c : position.name) {
        const auto byte = static_cast<unsigned char>(c);
        body += digits[byte >> 4];
        body += digits[byte & 15];
    }
    return checksum_of(body, query) + body;
}

list_position parse_page_token(std::string_view token, std::uint32_t query) {
    const std::string_view body = token.substr(std::min(token.size(), checksum_digits));
    // Whatever has the right checksum was made above.
    if (body.size() % 2 != 1 || token.substr(0, checksum_digits) != checksum_of(body, query)) {
        throw call_error(
            status_code::invalid_argument, "page_token is not one that was returned for this listing"
        );
    }
    list_position position;
    position.is_prefix = body.front() == 'p';
    for (std::size_t at = 1; at < body.size(); at += 2) {
        const std::size_t high = digits.find(body[at]);
        const std::size_t low = digits.find(body[at + 1]);
        position.name += static_cast<char>(high << 4 | low);
    }
    return position;
}

}  // namespace rangeio::emulator
