#include "bytes/planner.hpp"

#include <algorithm>

namespace rangeio::bytes {

void read_planner::add(byte_range next) {
    if (next.empty() || (!reads_.empty() && next.end() <= end_)) return;
    const bool near = next.offset() <= end_ || next.offset() - end_ <= options_.max_gap;
    if (reads_.empty() || !near || next.end() - start_ > options_.max_merged_bytes) {
        start_ = end_ = std::max(next.offset(), reads_.empty() ? 0 : end_);
        extend(start_, next.end());
    } else {
        extend(std::max(next.offset(), end_), next.end());
    }
    end_ = next.end();
}

// Adds requested bytes that lie after all earlier ones. The units of a merged range are counted from its start, and a
// read ends with its unit if the merged range continues after it.
void read_planner::extend(std::uint64_t from, std::uint64_t to) {
    const auto part_of = [this](std::uint64_t position) { return (position - start_) / options_.unit_bytes; };
    std::uint64_t at = from;
    if (end_ > start_) {
        byte_range& last = reads_.back();
        const std::uint64_t limit =
            last.offset() + std::min(options_.unit_bytes, byte_range::max_end - last.offset());
        last = byte_range::from_to(last.offset(), std::min(to, limit));
        at = std::max(at, last.end());
    }
    if (at >= to) return;
    at = start_ + part_of(at) * options_.unit_bytes;
    split_to_unit(byte_range::from_to(at, to), options_.unit_bytes, [this](byte_range part) {
        reads_.push_back(part);
    });
}

}  // namespace rangeio::bytes
