#include "emulator/store/page_token.hpp"

#include "emulator/protocol/status.hpp"
#include "emulator/store/text_checksum.hpp"

#include <algorithm>
#include <cstddef>

namespace rangeio::emulator {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

}  // namespace

// The checksum, which starts from the fingerprint of the query; 'o' or 'p'; the name in hexadecimal digits.
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
    list_position position;
    position.is_prefix = body.starts_with('p');
    for (std::size_t at = 1; at + 1 < body.size(); at += 2) {
        const std::size_t high = digits.find(body[at]);
        const std::size_t low = digits.find(body[at + 1]);
        position.name += static_cast<char>(high << 4 | low);
    }
    // A checksum is no signature: the rest of the token is compared with a token that is made for this position.
    if (make_page_token(position, query) != token) {
        throw call_error(
            status_code::invalid_argument, "page_token is not one that was returned for this listing"
        );
    }
    return position;
}

}  // namespace rangeio::emulator
