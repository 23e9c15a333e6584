#pragma once

#include <cstdint>

namespace rangeio {

/// Counters and gauges of one cache of pools, taken in one step: they always balance.
///
/// `donated == hits + expired + evicted + died + closed + idle_streams`
class pool_cache_stats {
public:
    /// Gauge: objects, by generation, that a pool of the cache is on.
    std::uint64_t keys_in_use = 0;
    /// Gauge: objects that no pool is on, and that have idle streams. At most `max_idle_pools`.
    std::uint64_t idle_keys = 0;
    /// Gauge: streams that wait for a pool, on objects of both kinds.
    std::uint64_t idle_streams = 0;

    /// Streams that a pool took from the cache, and those that it had to open.
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;

    /// Streams that a pool gave to the cache.
    std::uint64_t donated = 0;
    /// What became of them, besides `hits`: idle for too long, too many, broken while they were idle, closed with
    /// the cache.
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t died = 0;
    std::uint64_t closed = 0;

    friend bool operator==(const pool_cache_stats&, const pool_cache_stats&) = default;
};

}  // namespace rangeio
