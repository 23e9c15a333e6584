#pragma once

#include <rangeio/stream_stats.hpp>

#include <chrono>
#include <cstdint>

namespace rangeio {

/// Counters and gauges of one pool, taken in one step: they always balance (rule P11).
///
/// `opened == opening + ready + reconnecting + closed + failed`
class pool_stats {
public:
    /// Streams whose opening was begun since the pool was made.
    std::uint64_t opened = 0;
    /// Gauge: streams that wait for their first response.
    std::uint64_t opening = 0;
    /// Gauge: streams that are usable, idle and leased ones together, and those that only finish what they
    /// have.
    std::uint64_t ready = 0;
    /// Gauge: streams that broke and are being resumed.
    std::uint64_t reconnecting = 0;
    /// Streams that this side ended or is ending.
    std::uint64_t closed = 0;
    /// Streams that failed for good, those that never opened among them.
    std::uint64_t failed = 0;

    /// Gauge: those of `closed` whose end has not been seen yet.
    std::uint64_t closing = 0;
    /// Gauge: leases that are out, over all streams.
    std::uint64_t leases = 0;
    /// Gauge: callers that wait for a stream.
    std::uint64_t waiters = 0;

    /// Leases that were granted to somebody who had to wait, for a stream to open or to be given back.
    std::uint64_t waits = 0;
    /// How long they waited, all together.
    std::chrono::nanoseconds wait_time{0};
    /// What happened to the streams that this pool opened. Not part of the balance.
    stream_stats streams;

    friend bool operator==(const pool_stats&, const pool_stats&) = default;
};

}  // namespace rangeio
