#include "emulator/protocol/read_handle.hpp"

#include "emulator/protocol/status.hpp"
#include "emulator/store/object_names.hpp"
#include "emulator/store/text_checksum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace rangeio::emulator {
namespace {

// "rangeio-emulator:CHECKSUM:GENERATION:BUCKET/OBJECT"; the checksum covers the text after it. A number other than 0 is
// appended to the generation: "GENERATION#NUMBER".
constexpr std::string_view magic = "rangeio-emulator:";

}  // namespace

std::string make_read_handle(
    std::string_view bucket, std::string_view object, std::int64_t generation, std::uint64_t number
) {
    const std::string body = number == 0 ? fmt::format(":{}:{}/{}", generation, bucket, object)
                                         : fmt::format(":{}#{}:{}/{}", generation, number, bucket, object);
    return fmt::format("{}{}{}", magic, checksum_of(body), body);
}

std::int64_t generation_of_handle(std::string_view handle, std::string_view bucket, std::string_view object) {
    const auto refuse = [&](std::string_view why) {
        throw call_error(
            status_code::invalid_argument,
            fmt::format("{}: the read handle {}", display_name(bucket, object), why)
        );
    };
    if (!handle.starts_with(magic) || handle.size() < magic.size() + checksum_digits) {
        refuse("was not issued by this server");
    }
    const std::string_view checksum = handle.substr(magic.size(), checksum_digits);
    const std::string_view body = handle.substr(magic.size() + checksum_digits);
    std::int64_t generation = 0;
    if (checksum != checksum_of(body) || !body.starts_with(':')) {
        refuse("is damaged");
    }
    const auto [end, code] = std::from_chars(body.data() + 1, body.data() + body.size(), generation);
    if (code != std::errc()) {
        refuse("is damaged");
    }
    std::string_view rest = body.substr(static_cast<std::size_t>(end - body.data()));
    if (rest.starts_with('#')) rest.remove_prefix(std::min(rest.find(':'), rest.size()));
    if (rest != fmt::format(":{}/{}", bucket, object)) {
        refuse("belongs to another object");
    }
    return generation;
}

}  // namespace rangeio::emulator
