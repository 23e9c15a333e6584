#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rangeio {

/// Removes white space at the ends. For texts whose lines have been separated.
inline std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r");
    return begin == text.npos ? std::string_view()
                              : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// A number that consists of digits only.
inline std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

}  // namespace rangeio
