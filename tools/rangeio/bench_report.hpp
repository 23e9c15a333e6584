#pragma once

#include <rangeio/pool_stats.hpp>

#include "common/latencies.hpp"

#include <cstdint>
#include <string>

namespace rangeio::tool {

/// The parameters and the results of a measurement.
class bench_result {
public:
    bench_result() = default;

    std::string object;
    std::string pattern;
    std::uint64_t io_bytes = 0;
    std::uint64_t depth = 0;
    std::uint64_t seed = 0;
    std::uint64_t pool_size = 0;
    std::uint64_t concurrency = 0;

    /// The times of the reads that ended during the measurement.
    latencies times;
    std::uint64_t bytes = 0;
    double seconds = 0;
    double cpu_seconds = 0;
    std::uint64_t peak_memory_bytes = 0;
    pool_stats pool;
};

std::string bench_table(const bench_result& result);
/// One line of JSON.
std::string bench_json(const bench_result& result);

}  // namespace rangeio::tool
