#include "gcs/page_cursor.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <limits>
#include <utility>

namespace rangeio::gcs {
namespace {

constexpr std::string_view mark = "rangeio-1.";
// Both are far above the names and tokens of a service; a token is part of every request.
constexpr std::size_t max_name_bytes = 4096;
constexpr std::size_t max_token_bytes = 16384;

// FNV-1a. Two different tokens of one listing with the same hash are improbable, and end the listing with an error.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t out = 0xcbf29ce484222325;
    for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return out;
}

[[noreturn]] void reject(std::string_view why) {
    throw error(error_value(errc::invalid_argument, fmt::format("page_token: {}", why)));
}

std::uint64_t take_number(std::string_view& text) {
    std::uint64_t out = 0;
    const char* const end = text.data() + text.size();
    const auto [at, problem] = std::from_chars(text.data(), end, out);
    if (problem != std::errc() || at == end || *at != '.') reject("not a token of a listing");
    text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
    return out;
}

std::string take_text(std::string_view& text, std::uint64_t size) {
    if (size > text.size()) reject("not a token of a listing");
    std::string out(text.substr(0, size));
    text.remove_prefix(size);
    return out;
}

error_value broken(std::string what) {
    return {errc::protocol_error, std::move(what)};
}

error_value increase(std::string& last, const std::string& next, std::string_view what) {
    if (next.size() > max_name_bytes) {
        return broken(fmt::format("a name of {} bytes in the {}", next.size(), what));
    }
    if (next <= last) return broken(fmt::format("the names of the {} do not increase", what));
    last = next;
    return {};
}

}  // namespace

page_cursor page_cursor::parse(std::string_view token) {
    if (!is_utf8(token)) reject("not UTF-8");
    page_cursor out;
    if (!token.starts_with(mark)) {
        if (token.size() > max_token_bytes) reject(fmt::format("{} bytes are too many", token.size()));
        out.token_ = token;
        return out;
    }
    token.remove_prefix(mark.size());
    out.empty_pages_ = take_number(token);
    out.kept_token_ = take_number(token);
    out.pages_ = take_number(token);
    out.keep_after_ = take_number(token);
    const std::uint64_t object_bytes = take_number(token);
    const std::uint64_t prefix_bytes = take_number(token);
    out.last_object_ = take_text(token, object_bytes);
    out.last_prefix_ = take_text(token, prefix_bytes);
    out.token_ = token;
    if (token.empty() || token.size() > max_token_bytes) reject("not a token of a listing");
    return out;
}

std::string page_cursor::text() const {
    return fmt::format(
        "{}{}.{}.{}.{}.{}.{}.{}{}{}",
        mark,
        empty_pages_,
        kept_token_,
        pages_,
        keep_after_,
        last_object_.size(),
        last_prefix_.size(),
        last_object_,
        last_prefix_,
        token_
    );
}

error_value page_cursor::take(list_page& page, unsigned max_empty_pages) {
    if (const error_value why = check_names(page)) return why;
    if (page.next_page_token.empty()) return {};
    empty_pages_ = page.objects.empty() && page.prefixes.empty() ? empty_pages_ + 1 : 0;
    if (empty_pages_ > max_empty_pages) {
        return broken(fmt::format("{} pages in a row without a name", empty_pages_));
    }
    if (const error_value why = check_token(page.next_page_token)) return why;
    token_ = std::move(page.next_page_token);
    page.next_page_token = text();
    return {};
}

error_value page_cursor::check_names(const list_page& page) {
    for (const object_info& object : page.objects) {
        if (const error_value why = increase(last_object_, object.name, "objects")) return why;
    }
    for (const std::string& prefix : page.prefixes) {
        if (const error_value why = increase(last_prefix_, prefix, "prefixes")) return why;
    }
    return {};
}

error_value page_cursor::check_token(const std::string& next) {
    if (next.size() > max_token_bytes) {
        return broken(fmt::format("a page token of {} bytes is longer than {}", next.size(), max_token_bytes)
        );
    }
    const std::uint64_t hash = hash_of(next);
    if (next == token_ || (pages_ > 0 && hash == kept_token_)) return broken("a page token is repeated");
    if (++pages_ >= keep_after_) {
        kept_token_ = hash;
        pages_ = 1;
        if (keep_after_ <= std::numeric_limits<std::uint64_t>::max() / 2) keep_after_ *= 2;
    }
    return {};
}

}  // namespace rangeio::gcs
