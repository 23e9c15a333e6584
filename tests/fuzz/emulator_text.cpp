#include "emulator/protocol/read_handle.hpp"
#include "emulator/protocol/request_params.hpp"
#include "emulator/protocol/status.hpp"
#include "emulator/store/object_names.hpp"
#include "emulator/store/page_token.hpp"
#include "fuzz/targets.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rangeio::fuzz {
namespace {

using emulator::status_code;

// What `parse` makes of a text; nothing if it refuses it, which is the peer's fault then.
template <class Parse>
auto read_from_peer(Parse parse) -> std::optional<decltype(parse())> {
    try {
        return parse();
    } catch (const emulator::call_error& e) {
        const auto code = e.why().code;
        check(
            code == status_code::invalid_argument || code == status_code::not_found,
            "wrong text is another error than the peer's"
        );
        check(!e.why().message.empty(), "a text is refused without a reason");
        return std::nullopt;
    }
}

void check_params(std::string_view header, std::string_view token) {
    const emulator::request_params given({std::string(header)});
    const bool passes = read_from_peer([&] {
                            given.check_routing_token(token);
                            return true;
                        }).has_value();
    check(passes || !given.has_routing_token(token), "the token that a header has is refused");
    if (token.find('&') != std::string_view::npos) return;
    const emulator::request_params right({"a=b", "bucket=x&routing_token=" + std::string(token)});
    check(right.has_routing_token(token), "a token is not found where it stands");
}

void check_page_token(std::string_view text, std::uint32_t query) {
    if (const auto position = read_from_peer([&] { return emulator::parse_page_token(text, query); })) {
        check(emulator::make_page_token(*position, query) == text, "a token of ours is not as we make them");
    }
    for (const bool is_prefix : {false, true}) {
        const emulator::list_position position{std::string(text), is_prefix};
        const std::string token = emulator::make_page_token(position, query);
        check(
            read_from_peer([&] { return emulator::parse_page_token(token, query); }) == position,
            "a token is lost"
        );
        check(
            !read_from_peer([&] { return emulator::parse_page_token(token, ~query); }),
            "another listing's token passes"
        );
    }
}

void check_handle(std::string_view text, std::int64_t generation, std::uint64_t number) {
    const auto generation_of = [](std::string_view handle, std::string_view object) {
        return read_from_peer([=] { return emulator::generation_of_handle(handle, "bucket", object); });
    };
    generation_of(text, "object");
    const std::string made = emulator::make_read_handle("bucket", text, generation, number);
    check(generation_of(made, text) == generation, "a handle loses its generation");
    check(!generation_of(made, std::string(text) + "x"), "another object's handle passes");
}

void check_names(std::string_view text) {
    if (const auto bucket = read_from_peer([text] { return emulator::bucket_of(text); })) {
        check(emulator::bucket_resource(*bucket) == text, "a bucket is not written as it was read");
        check(
            bucket->find('/') == std::string::npos && bucket->front() != '.', "a bucket is not one directory"
        );
    }
    if (const auto components = read_from_peer([text] { return emulator::components_of("bucket", text); })) {
        std::string joined;
        for (const std::string& one : *components) {
            check(!one.empty() && one != "." && one != "..", "a path leaves its directory");
            joined += (joined.empty() ? "" : "/") + one;
        }
        check(joined == text, "a path is another one than its object's name");
    }
    check(emulator::display_name("bucket", text).size() <= 320, "a name is shown at any length");
}

}  // namespace

void emulator_text(std::string_view input) {
    const std::uint32_t small = take_byte(input);
    const std::size_t line = input.find('\n');
    const bool two = line != std::string_view::npos;
    check_params(input.substr(0, line), two ? input.substr(line + 1) : input);
    check_page_token(input, small);
    check_handle(input, small, small % 3);
    check_names(input);
}

}  // namespace rangeio::fuzz
