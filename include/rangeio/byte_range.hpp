#pragma once

#include <rangeio/detail/visibility.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

namespace rangeio {

namespace detail {
[[noreturn]] RANGEIO_API void throw_range_too_far(std::uint64_t offset, std::uint64_t length);
[[noreturn]] RANGEIO_API void throw_range_reversed(std::uint64_t begin, std::uint64_t end);
}  // namespace detail

/// The bytes [offset, offset + length) of an object.
///
/// A value: cheap to copy, and valid by construction, so that code that uses a range needs no check for overflow.
///
/// Units:     bytes; offset and length are counted from 0.
/// Guarantee: `end()` is at most `max_end`, because the wire format counts in signed 64 bits.
/// Errors:    only the checked constructions throw: `rangeio::error` with `errc::invalid_argument`, whose message has
///            the numbers.
/// Threads:   as for any value.
class byte_range {
public:
    /// The largest `end()` of a range.
    static constexpr std::uint64_t max_end = std::numeric_limits<std::int64_t>::max();

    /// The empty range at 0.
    constexpr byte_range() noexcept = default;

    /// The `length` bytes from `offset`.
    ///
    /// Throws:  errc::invalid_argument if `offset + length` is above `max_end`.
    constexpr byte_range(std::uint64_t offset, std::uint64_t length) : offset_(offset), length_(length) {
        if (offset > max_end || length > max_end - offset) detail::throw_range_too_far(offset, length);
    }

    /// The bytes from `begin` up to `end`, which is excluded.
    ///
    /// Throws:  errc::invalid_argument if `end` is less than `begin` or above `max_end`.
    static constexpr byte_range from_to(std::uint64_t begin, std::uint64_t end) {
        if (end < begin) detail::throw_range_reversed(begin, end);
        return {begin, end - begin};
    }

    constexpr std::uint64_t offset() const noexcept { return offset_; }
    constexpr std::uint64_t length() const noexcept { return length_; }
    /// The offset of the first byte after the range.
    constexpr std::uint64_t end() const noexcept { return offset_ + length_; }
    constexpr bool empty() const noexcept { return length_ == 0; }

    /// Whether the byte at `position` belongs to the range.
    constexpr bool contains(std::uint64_t position) const noexcept {
        return position >= offset_ && position - offset_ < length_;
    }

    /// Whether the range has all of `other`; an empty `other` is contained at each position from `offset()` to `end()`.
    constexpr bool contains(const byte_range& other) const noexcept {
        return other.offset_ >= offset_ && other.end() <= end();
    }

    /// Whether the two ranges have a byte in common. An empty range overlaps nothing.
    constexpr bool overlaps(const byte_range& other) const noexcept { return !intersect(other).empty(); }

    /// The bytes that both ranges have; if there are none, an empty range at the larger of the two offsets.
    constexpr byte_range intersect(const byte_range& other) const noexcept {
        return between(std::max(offset_, other.offset_), std::min(end(), other.end()));
    }

    /// The bytes of the range that an object of `size` bytes has; if it has none, an empty range at `offset()`.
    constexpr byte_range clamp_to(std::uint64_t size) const noexcept {
        return between(offset_, std::min(end(), size));
    }

    friend constexpr bool operator==(const byte_range&, const byte_range&) noexcept = default;

private:
    static constexpr byte_range between(std::uint64_t begin, std::uint64_t end) noexcept {
        byte_range part;
        part.offset_ = begin;
        part.length_ = end > begin ? end - begin : 0;
        return part;
    }

    std::uint64_t offset_ = 0;
    std::uint64_t length_ = 0;
};

/// Returns the range in the form of the messages: "[a, b)", in bytes.
RANGEIO_API std::string to_string(const byte_range& range);

}  // namespace rangeio
