#pragma once

#include <rangeio/mrd_pool.hpp>

#include "bench_report.hpp"

#include <chrono>

namespace rangeio::tool {

/// Measures time and CPU time of this process from its construction on.
class meter {
public:
    using clock = std::chrono::steady_clock;

    meter();
    /// Writes the times, the peak memory of the process and the counts of the pool.
    void stop(measurement& into, const mrd_pool& pool) const;

private:
    clock::time_point began_;
    double cpu_at_begin_;
};

}  // namespace rangeio::tool
