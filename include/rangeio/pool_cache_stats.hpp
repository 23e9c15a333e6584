#pragma once

#include <cstdint>

namespace rangeio {

/// Counts of one cache of pools, taken in one step, so that they always balance. Except for current numbers, they only
/// increase.
///
/// `donated == hits + expired + evicted + died + closed + idle_streams`
class pool_cache_stats {
public:
    /// The current number of objects, by generation, with a pool of the cache.
    std::uint64_t keys_in_use = 0;
    /// The current number of objects without a pool, but with idle streams. At most `max_idle_pools`.
    std::uint64_t idle_keys = 0;
    /// The current number of idle streams, on objects of both kinds.
    std::uint64_t idle_streams = 0;

    /// Streams that a pool took from the cache, and those that it had to open.
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;

    /// Streams that a pool released to the cache.
    std::uint64_t donated = 0;
    /// Those of them, besides `hits`, that were idle for too long, too many, broken while they were idle, or closed
    /// with the cache.
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t died = 0;
    std::uint64_t closed = 0;

    friend bool operator==(const pool_cache_stats&, const pool_cache_stats&) = default;
};

}  // namespace rangeio
