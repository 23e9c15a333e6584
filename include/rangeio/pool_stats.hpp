#pragma once

#include <rangeio/stream_stats.hpp>

#include <chrono>
#include <cstdint>

namespace rangeio {

/// Counts of one pool, taken in one step, so that they always balance (rule P11). Except for current numbers, they only
/// increase.
///
/// `opened == opening + ready + reconnecting + closed + failed`
class pool_stats {
public:
    /// Streams whose opening began since the pool was made.
    std::uint64_t opened = 0;
    /// The current number of streams that wait for their first response.
    std::uint64_t opening = 0;
    /// The current number of usable streams: idle and leased ones, and those that only finish their pending ranges.
    std::uint64_t ready = 0;
    /// The current number of streams that broke and are being resumed.
    std::uint64_t reconnecting = 0;
    /// Streams that this side closed or is closing.
    std::uint64_t closed = 0;
    /// Streams that failed permanently, including those that never opened.
    std::uint64_t failed = 0;

    /// The current number of those of `closed` that have not ended yet.
    std::uint64_t closing = 0;
    /// The current number of granted leases that are not released yet, over all streams.
    std::uint64_t leases = 0;
    /// The current number of callers that wait for a stream.
    std::uint64_t waiters = 0;

    /// Leases that were granted to a caller that had to wait, for a stream to open or to be released.
    std::uint64_t waits = 0;
    /// The sum of their waits.
    std::chrono::nanoseconds wait_time{0};
    /// The counts of the streams that this pool opened. Not part of the balance.
    stream_stats streams;

    friend bool operator==(const pool_stats&, const pool_stats&) = default;
};

}  // namespace rangeio
