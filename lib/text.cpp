#include "text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace rangeio {
namespace {

struct scalar {
    std::uint32_t value = 0;
    std::size_t bytes = 0;  // 0: not well-formed
};

// The first scalar value of a text that is not empty.
scalar first_of(std::string_view text) noexcept {
    const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = at(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() < length) return {};
    std::uint32_t value = lead & (0x7fU >> length);
    for (std::size_t k = 1; k < length; ++k) {
        if ((at(k) & 0xc0) != 0x80) return {};
        value = value << 6 | (at(k) & 0x3fU);
    }
    // Well-formed: encoded in the fewest bytes, not a surrogate, and at most U+10FFFF.
    constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < least.at(length) || surrogate || value > 0x10ffff) return {};
    return {value, length};
}

// Control characters, line separators, changes of the writing direction, and invisible characters.
bool disturbs(std::uint32_t c) noexcept {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t bytes = first_of(text).bytes;
        if (bytes == 0) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

bool fits_header(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::string printable(std::string_view text, std::size_t max_bytes) {
    constexpr std::string_view not_text = "\xef\xbf\xbd";
    constexpr std::string_view more = "...";
    std::string out;
    while (!text.empty()) {
        const scalar c = first_of(text);
        std::string_view part = text.substr(0, c.bytes);
        if (c.bytes == 0) part = not_text;
        if (c.bytes != 0 && disturbs(c.value)) part = " ";
        if (out.size() + part.size() > max_bytes) {
            while (out.size() + more.size() > max_bytes && !out.empty()) {
                // Remove a whole character, not a part of one.
                while ((static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
                out.pop_back();
            }
            return out.append(more.substr(0, max_bytes));
        }
        out.append(part);
        text.remove_prefix(std::max<std::size_t>(c.bytes, 1));
    }
    return out;
}

}  // namespace rangeio
