#include <rangeio/error.hpp>
#include <rangeio/range_spec.hpp>

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <system_error>

namespace rangeio {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw error({errc::invalid_argument, fmt::format("range \"{}\": {}", text, why)});
}

std::uint64_t number(std::string_view text, std::string_view digits) {
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) {
        refuse(text, fmt::format("\"{}\" is not a number of bytes", digits));
    }
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failed != std::errc() || value > byte_range::max_end) {
        refuse(text, fmt::format("{} is above {}", digits, byte_range::max_end));
    }
    return value;
}

}  // namespace

range_spec range_spec::parse(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == text.npos) {
        refuse(text, text.empty() ? "empty; expected A-B, A- or -N" : "no dash; expected A-B, A- or -N");
    }
    const auto left = text.substr(0, dash);
    const auto right = text.substr(dash + 1);
    if (right.starts_with('-') || (left.empty() && right.find('-') != right.npos)) {
        refuse(text, "a number of bytes is negative");
    }
    if (left.empty() && right.empty()) refuse(text, "no number; expected A-B, A- or -N");
    if (left.empty()) return {form::last, number(text, right), 0};
    const auto first = number(text, left);
    if (right.empty()) return {form::from, first, 0};
    const auto end = number(text, right);
    if (end < first) refuse(text, fmt::format("end {} is before begin {}", end, first));
    return {form::from_to, first, end};
}

byte_range range_spec::resolve(std::uint64_t object_size) const {
    (void)byte_range(0, object_size);  // throws if no object can have this size
    if (form_ == form::last) {
        return byte_range::from_to(first_ < object_size ? object_size - first_ : 0, object_size);
    }
    const auto end = form_ == form::from_to ? second_ : object_size;
    if (first_ > object_size || end > object_size) {
        const auto asked = form_ == form::from_to ? to_string(byte_range::from_to(first_, second_))
                                                  : fmt::format("{} to the end", first_);
        throw error({
            errc::range_not_satisfiable,
            fmt::format("range {}: exceeds an object of {} bytes", asked, object_size),
        });
    }
    return byte_range::from_to(first_, end);
}

}  // namespace rangeio
