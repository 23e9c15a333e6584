#pragma once

#include "emulator/store/stored_object.hpp"

#include <cstdint>
#include <optional>

namespace rangeio::emulator {

/// Files have no metadata of their own that could change.
inline constexpr std::int64_t metageneration = 1;

/// The generation that a request is about, and the preconditions of the request.
struct conditions {
    /// Zero: the live generation.
    std::int64_t generation = 0;
    std::optional<std::int64_t> if_generation_match;
    std::optional<std::int64_t> if_generation_not_match;
    std::optional<std::int64_t> if_metageneration_match;
    std::optional<std::int64_t> if_metageneration_not_match;
};

/// The conditions of any of the three request messages, in which the fields have different numbers and the same names.
template <class Request>
conditions conditions_of(const Request& request) {
    conditions wanted;
    wanted.generation = request.generation();
    if (request.has_if_generation_match()) {
        wanted.if_generation_match = request.if_generation_match();
    }
    if (request.has_if_generation_not_match()) {
        wanted.if_generation_not_match = request.if_generation_not_match();
    }
    if (request.has_if_metageneration_match()) {
        wanted.if_metageneration_match = request.if_metageneration_match();
    }
    if (request.has_if_metageneration_not_match()) {
        wanted.if_metageneration_not_match = request.if_metageneration_not_match();
    }
    return wanted;
}

/// Throws: call_error: NOT_FOUND when the generation is not the live one, FAILED_PRECONDITION when a `match` does not
///         hold, ABORTED when a `not_match` does not hold (as the service's own testbench answers).
void check(const conditions& wanted, const stored_object& object);

}  // namespace rangeio::emulator
