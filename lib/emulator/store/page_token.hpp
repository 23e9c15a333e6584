#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// The position of a listing: after an object, or after a prefix, which sorts after an object of the same name.
struct list_position {
    std::string name;
    bool is_prefix = false;

    auto operator<=>(const list_position&) const = default;
};

/// The opaque form of a position. `query` is the fingerprint of the query.
std::string make_page_token(const list_position& position, std::uint32_t query);

/// Throws: call_error INVALID_ARGUMENT when the text is not a token, or not one of this query.
list_position parse_page_token(std::string_view token, std::uint32_t query);

}  // namespace rangeio::emulator
