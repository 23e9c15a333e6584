#pragma once

#include <rangeio/memory_budget.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>

#include "bench_report.hpp"

#include <chrono>
#include <string_view>

namespace rangeio::tool {

/// The counts of a reader from a time on.
class prefetch_meter {
public:
    explicit prefetch_meter(const object_reader& reader) : before_(reader.stats()) {}
    /// `how`: the word of --prefetch.
    prefetch_result stop(std::string_view how, const object_reader& reader, const memory_budget& memory)
        const;

private:
    reader_stats before_;
};

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
