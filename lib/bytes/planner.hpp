#pragma once

#include <rangeio/byte_range.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace rangeio::bytes {

/// Limits for the merging of scattered ranges into reads. Not an aggregate, like every option type here.
class planner_options {
public:
    planner_options() noexcept = default;

    /// Ranges at most this many bytes apart are read as one, and the bytes of the gap are dropped; 0 merges ranges that
    /// touch or overlap.
    std::uint64_t max_gap = 0;
    /// A range joins a merged one only if the result has at most this many bytes; at least 1. A single range may be
    /// longer.
    std::uint64_t max_merged_bytes = std::uint64_t(64) << 20;
    /// No read is longer than this many bytes; at least 1.
    std::uint64_t unit_bytes = std::uint64_t(8) << 20;
};

/// Computes the reads that serve a list of ranges: merge, cap, split. The reads are ordered by offset and disjoint, so
/// no byte is read twice: if the cap prevents a merge of overlapping ranges, the second read begins at the end of the
/// first. Each read contains requested bytes; a unit that consists of a gap only is not read.
class read_planner {
public:
    explicit read_planner(const planner_options& options) noexcept : options_(options) {}

    /// Ranges in the order of their offsets. They may overlap and repeat; an empty one has no effect.
    void add(byte_range next);
    /// The reads; to be called after the last range.
    std::vector<byte_range> take() { return std::move(reads_); }

private:
    void extend(std::uint64_t from, std::uint64_t to);

    planner_options options_;
    std::vector<byte_range> reads_;
    std::uint64_t start_ = 0;  // of the merged range that the last read belongs to
    std::uint64_t end_ = 0;    // of the same
};

/// Calls `use(part)` for each part of `range`, of at most `unit` bytes.
template <class Use>
void split_to_unit(byte_range range, std::uint64_t unit, Use use) {
    for (auto at = range.offset(); at < range.end(); at += std::min(unit, range.end() - at)) {
        use(byte_range(at, std::min(unit, range.end() - at)));
    }
}

}  // namespace rangeio::bytes
