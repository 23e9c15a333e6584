#include "emulator/store/conditions.hpp"

#include "emulator/protocol/status.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace rangeio::emulator {
namespace {

void check_pair(
    const stored_object& object,
    std::string_view what,
    std::int64_t actual,
    const std::optional<std::int64_t>& match,
    const std::optional<std::int64_t>& not_match
) {
    if (match && *match != actual) {
        throw call_error(
            status_code::failed_precondition,
            fmt::format(
                "{}: if_{}_match is {}, the object has {}", object.display_name(), what, *match, actual
            )
        );
    }
    if (not_match && *not_match == actual) {
        throw call_error(
            status_code::aborted,
            fmt::format(
                "{}: if_{}_not_match is {}, and so has the object", object.display_name(), what, actual
            )
        );
    }
}

}  // namespace

void check(const conditions& wanted, const stored_object& object) {
    if (wanted.generation != 0 && wanted.generation != object.generation()) {
        throw call_error(
            status_code::not_found,
            fmt::format(
                "{}: no generation {}, the live one is {}",
                object.display_name(),
                wanted.generation,
                object.generation()
            )
        );
    }
    check_pair(
        object, "generation", object.generation(), wanted.if_generation_match, wanted.if_generation_not_match
    );
    check_pair(
        object,
        "metageneration",
        metageneration,
        wanted.if_metageneration_match,
        wanted.if_metageneration_not_match
    );
}

}  // namespace rangeio::emulator
