#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/range_spec.hpp>

#include "common/printable.hpp"
#include "common/units.hpp"
#include "fuzz/targets.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace rangeio::fuzz {
namespace {

// What `parse` makes of a text; nothing if it refuses it, which it does with an error of ours.
template <class Parse>
auto read_argument(Parse parse) -> std::optional<decltype(parse())> {
    try {
        return parse();
    } catch (const error& e) {
        check(e.code() == errc::invalid_argument, "wrong text is another error than invalid_argument");
        return std::nullopt;
    }
}

void check_range(std::string_view text) {
    const auto spec = read_argument([text] { return range_spec::parse(text); });
    if (!spec) return;
    for (const std::uint64_t size :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, byte_range::max_end}) {
        try {
            const byte_range range = spec->resolve(size);
            check(range.offset() + range.length() <= size, "a range ends past the object");
        } catch (const error& e) {
            check(e.code() == errc::range_not_satisfiable, "no such bytes is another error");
        }
    }
}

void check_uri(std::string_view text) {
    const auto object = read_argument([text] { return object_ref::parse(text); });
    if (!object) return;
    check(object->to_string() == text, "an object's name is not written as it was read");
    check(
        object->name().find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
        "a name has a line end"
    );
}

void check_units(std::string_view text) {
    if (const auto size = tool::parse_size(text)) {
        check(
            tool::parse_size(tool::size_option_text(*size)) == size, "a size is not written as it was read"
        );
    }
    if (const auto time = tool::parse_duration(text)) {
        check(
            tool::parse_duration(tool::duration_option_text(*time)) == time,
            "a time is not written as it was read"
        );
    }
    if (const auto number = tool::parse_number(text)) {
        const auto zeros = std::min(text.find_first_not_of('0'), text.size() - 1);
        check(std::to_string(*number) == text.substr(zeros), "a number is not written as it was read");
    }
}

void check_printable(std::string_view text) {
    const std::string shown = tool::printable(text);
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    check(std::ranges::none_of(shown, control), "printable text has a control character");
    check(tool::printable(shown) == shown, "printable text is not printable");
    check(
        tool::printable(std::string(text) + "\xe2\x80\xae").ends_with("\\xe2\\x80\\xae"),
        "a mark is shown as it is"
    );
}

}  // namespace

void command_text(std::string_view input) {
    check_range(input);
    check_uri(input);
    check_units(input);
    check_printable(input);
}

}  // namespace rangeio::fuzz
