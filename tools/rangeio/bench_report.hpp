#pragma once

#include <rangeio/pool_stats.hpp>
#include <rangeio/reader_stats.hpp>

#include "common/latencies.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace rangeio::tool {

/// What a reader fetched ahead during a measurement.
class prefetch_result {
public:
    prefetch_result() = default;

    /// The word of --prefetch.
    std::string how;
    reader_stats counts;
    std::uint64_t budget_bytes = 0;
    /// The most memory of the budget that was in use at once.
    std::uint64_t peak_bytes = 0;
};

/// What every measurement of reads has.
class measurement {
public:
    measurement() = default;

    std::string object;
    std::uint64_t pool_size = 0;
    std::uint64_t concurrency = 0;

    /// The times of the reads that ended during the measurement.
    latencies times;
    std::uint64_t bytes = 0;
    double seconds = 0;
    double cpu_seconds = 0;
    std::uint64_t peak_memory_bytes = 0;
    pool_stats pool;
    /// Empty for reads that nothing is fetched ahead of.
    std::optional<prefetch_result> prefetch;
};

/// The parameters and the results of `rangeio bench`.
class bench_result : public measurement {
public:
    bench_result() = default;

    std::string pattern;
    std::uint64_t io_bytes = 0;
    std::uint64_t depth = 0;
    std::uint64_t seed = 0;
    std::chrono::milliseconds think{0};
};

/// The parameters and the results of `rangeio trace`.
class trace_result : public measurement {
public:
    trace_result() = default;

    /// The name of the file.
    std::string trace;
    /// The number of reads in it.
    std::uint64_t trace_reads = 0;
    /// The sum of the times of the reads.
    std::chrono::nanoseconds waited{0};
    /// The sum of the think times.
    std::chrono::milliseconds thought{0};
};

std::string bench_table(const bench_result& result);
std::string trace_table(const trace_result& result);
/// One line of JSON.
std::string bench_json(const bench_result& result);
std::string trace_json(const trace_result& result);

}  // namespace rangeio::tool
