#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/detail/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

namespace rangeio {

/// The parts of one range: a list that is computed, not stored.
///
/// The parts are adjacent, in order, and together they are the range. All have the same length except the last, which
/// also has the rest. Made by `split_range()`; allocates nothing.
///
/// Threads:  as for any value.
class range_parts {
public:
    /// Iterates over the parts in order. Has a copy of the list, so it may outlive it.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::forward_iterator_tag;
        using value_type = byte_range;
        using difference_type = std::ptrdiff_t;
        using reference = byte_range;
        using pointer = void;

        constexpr iterator() noexcept = default;
        constexpr iterator(const range_parts& parts, std::size_t index) noexcept
            : whole_(parts.whole_), count_(parts.count_), index_(index) {}

        constexpr byte_range operator*() const noexcept { return part(whole_, count_, index_); }
        constexpr iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        constexpr iterator operator++(int) noexcept {
            iterator before = *this;
            ++index_;
            return before;
        }
        friend constexpr bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.index_ == b.index_;
        }

    private:
        byte_range whole_;
        std::size_t count_ = 1;
        std::size_t index_ = 0;
    };

    /// One part: the empty range at 0.
    constexpr range_parts() noexcept = default;

    /// The number of parts; at least 1.
    constexpr std::size_t size() const noexcept { return count_; }
    /// Requires: `index < size()`.
    constexpr byte_range operator[](std::size_t index) const noexcept { return part(whole_, count_, index); }
    constexpr iterator begin() const noexcept { return {*this, 0}; }
    constexpr iterator end() const noexcept { return {*this, count_}; }

private:
    friend range_parts split_range(byte_range range, std::size_t concurrency, std::uint64_t min_chunk);

    constexpr range_parts(byte_range whole, std::size_t count) noexcept : whole_(whole), count_(count) {}

    static constexpr byte_range part(byte_range whole, std::size_t count, std::size_t index) noexcept {
        const std::uint64_t each = whole.length() / count;
        const std::uint64_t offset = whole.offset() + each * index;
        return {offset, index + 1 < count ? each : whole.end() - offset};
    }

    byte_range whole_;
    std::size_t count_ = 1;
};

/// Splits a range into `min(concurrency, length / min_chunk)` parts, at least 1.
///
/// So no part is shorter than `min_chunk` bytes, unless the range itself is. An empty range is one empty part.
///
/// Units:   `min_chunk` in bytes; `concurrency` is a number of parts.
/// Throws:  errc::invalid_argument if `concurrency` or `min_chunk` is 0; the message has the name.
RANGEIO_API range_parts split_range(byte_range range, std::size_t concurrency, std::uint64_t min_chunk);

/// Divides `concurrency` among the adjacent ranges of one read in proportion to their lengths.
///
/// A range whose fair share is below 1 gets 1, and the others divide the remainder; a fraction is assigned to the
/// largest remainder first, then to the longer range, then to the earlier one.
///
/// Returns:  one number per range, in order: 0 for an empty one, at least 1 for any other. The sum is `concurrency`, or
///           the number of ranges that are not empty if that is larger, or 0 if there are none.
/// Units:    lengths in bytes.
/// Throws:   errc::invalid_argument if `concurrency` is 0; std::bad_alloc.
RANGEIO_API std::vector<std::size_t> share_concurrency(
    std::span<const std::uint64_t> lengths, std::size_t concurrency
);

}  // namespace rangeio
