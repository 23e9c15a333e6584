#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace rangeio::emulator {

/// The bytes that a range stands for, or what is wrong with it.
struct resolved_range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::string_view problem;
};

/// What a range means on an object of `size` bytes: a negative offset counts from the end (and stops at the
/// beginning), length 0 means to the end, and what reaches past the end is cut. At the very end a range is
/// empty; beyond it, it is a mistake.
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
