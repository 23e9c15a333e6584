#pragma once

#include <rangeio/byte_range.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace rangeio::bytes {

/// How scattered ranges become reads. Not an aggregate, as every option type here.
class planner_options {
public:
    planner_options() noexcept = default;

    /// Ranges at most this many bytes apart are read as one, and the gap is dropped; 0 merges those that
    /// touch or overlap.
    std::uint64_t max_gap = 0;
    /// A range joins a merged one only while that stays within so many bytes; at least 1. One range alone may
    /// be longer.
    std::uint64_t max_merged_bytes = std::uint64_t(64) << 20;
    /// No read is longer than this many bytes; at least 1.
    std::uint64_t unit_bytes = std::uint64_t(8) << 20;
};

/// The reads that serve a list of ranges: merge, cap, split. They are ordered by offset and disjoint, so no byte is read
/// twice: where the cap forbids to join overlapping ranges, the second read begins where the first one ends. Each has bytes
/// that are wanted; a part that is all gap is not read.
class read_planner {
public:
    explicit read_planner(const planner_options& options) noexcept : options_(options) {}

    /// Ranges in the order of their offsets. They may overlap and repeat; an empty one has no effect.
    void add(byte_range next);
    /// What to read, after the last range.
    std::vector<byte_range> take() { return std::move(reads_); }

private:
    void extend(std::uint64_t from, std::uint64_t to);

    planner_options options_;
    std::vector<byte_range> reads_;
    std::uint64_t start_ = 0;  // of the merged range that the last read belongs to, and its end
    std::uint64_t end_ = 0;
};

/// `use(part)` for each part of a range that is read on its own.
template <class Use>
void split_to_unit(byte_range range, std::uint64_t unit, Use use) {
    for (auto at = range.offset(); at < range.end(); at += std::min(unit, range.end() - at)) {
        use(byte_range(at, std::min(unit, range.end() - at)));
    }
}

}  // namespace rangeio::bytes
