#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace rangeio::emulator {

/// The bytes that a range denotes, or an error.
struct resolved_range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::string_view problem;
};

/// Resolves a range on an object of `size` bytes: a negative offset counts from the end (and stops at the beginning),
/// length 0 means to the end, and bytes past the end are cut off. A range that begins at the end is empty; one that
/// begins after it is an error.
constexpr resolved_range resolve(std::int64_t offset, std::int64_t length, std::int64_t size) noexcept {
    if (length < 0) {
        return {0, 0, "the length is negative"};
    }
    if (offset > size) {
        return {0, 0, "the offset is beyond the end of the object"};
    }
    const std::int64_t begin = offset < 0 ? std::max<std::int64_t>(size + offset, 0) : offset;
    const bool to_end = length == 0 || length > size - begin;
    return {begin, to_end ? size : begin + length, {}};
}

}  // namespace rangeio::emulator
