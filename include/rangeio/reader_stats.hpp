#pragma once

#include <chrono>
#include <cstdint>

namespace rangeio {

/// The counts of a reader since it was made, and its present state.
class reader_stats {
public:
    reader_stats() = default;

    /// Reads whose bytes were all in memory; reads of which a part was in memory or under way; and reads that were
    /// requested entirely.
    std::uint64_t hits = 0, partial_hits = 0, misses = 0;
    /// Reads that had to wait for bytes, and the sum of their waits.
    std::uint64_t stalls = 0;
    std::chrono::nanoseconds stall_time{0};
    /// Bytes that were requested ahead of reads, and those of them that were dropped without having been read.
    std::uint64_t prefetched_bytes = 0, wasted_bytes = 0;
    /// Units that the budget took back, and units under way that a read began to wait for.
    std::uint64_t reclaims = 0, promotions = 0;
    /// The number of bytes that are to be ahead of the reader at present.
    std::uint64_t window_bytes = 0;
    /// Bytes that were requested ahead and have not arrived, and those of them that are not wanted any more.
    std::uint64_t under_way_bytes = 0, orphan_bytes = 0;
};

}  // namespace rangeio
