#include "common/printable.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace rangeio::tool {
namespace {

struct code_points {
    std::uint32_t first;
    std::uint32_t last;
};
// Cc, Cf, Zl and Zp of Unicode 15, in order.
constexpr std::array<code_points, 23> invisible{{
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x0600, 0x0605},   {0x061c, 0x061c},
    {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x180e, 0x180e},
    {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x2064},   {0x2066, 0x206f},   {0xfeff, 0xfeff},
    {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f},
}};

bool is_invisible(std::uint32_t code) {
    const auto* const at = std::ranges::lower_bound(invisible, code, {}, &code_points::last);
    return at != invisible.end() && at->first <= code;
}

/// The character that a text begins with.
struct character {
    std::uint32_t code = 0;
    std::size_t bytes = 1;
    bool valid = false;
};

character first_of(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t bytes = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (bytes == 0 || bytes > text.size()) return {};
    std::uint32_t code = lead & (0x7fU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3fU);
    }
    const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (overlong || surrogate || code > 0x10ffff) return {};
    return {code, bytes, true};
}

// The text, in which `escape(character, bytes)` replaces invisible characters.
template <class Escape>
std::string escaped(std::string_view text, Escape escape) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const character next = first_of(text);
        const std::string_view bytes = text.substr(0, next.bytes);
        if (next.valid && !is_invisible(next.code)) {
            out += bytes;
        } else {
            out += escape(next, bytes);
        }
        text.remove_prefix(next.bytes);
    }
    return out;
}

}  // namespace

std::string printable(std::string_view text) {
    return escaped(text, [](const character&, std::string_view bytes) {
        std::string out;
        for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        return out;
    });
}

std::string json_text(const boost::json::value& value) {
    const auto escape = [](const character& c, std::string_view) {
        if (!c.valid) return std::string("\\ufffd");
        if (c.code < 0x10000) return fmt::format("\\u{:04x}", c.code);
        const std::uint32_t rest = c.code - 0x10000;
        return fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    };
    return escaped(boost::json::serialize(value), escape);
}

}  // namespace rangeio::tool
