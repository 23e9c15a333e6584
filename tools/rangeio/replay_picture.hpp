#pragma once

#include <rangeio/byte_range.hpp>

#include "bench_report.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

namespace rangeio::tool {

/// One read of a replay, as a picture shows it. Times are those since the replay began.
struct replayed_read {
    byte_range range;
    std::chrono::nanoseconds asked{0};
    std::chrono::nanoseconds done{0};
    /// The memory of the reader afterwards: what has been fetched ahead, or is under way.
    std::uint64_t memory_bytes = 0;
    /// Whether it had to wait for bytes.
    bool stalled = false;
    /// Whether it used bytes that were fetched ahead, or had others fetched.
    bool prefetched = false;
};

/// Draws a replay as SVG, by time: the offsets of the reads and of what is ahead of them, stalls, and the memory.
///
/// Requires: `reads` is not empty; they are in the order of their times.
std::string replay_picture(
    const trace_result& result, std::uint64_t object_bytes, std::span<const replayed_read> reads
);

}  // namespace rangeio::tool
