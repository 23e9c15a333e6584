#pragma once

#include <rangeio/error.hpp>
#include <rangeio/testing/possible_faults.hpp>

#include <array>
#include <string_view>

namespace rangeio::tool {

/// What a worker can do.
enum class stress_operation {
    fetch,
    try_fetch,
    fetch_block,
    fetch_view,
    fetch_split,
    fetch_ranges,
    read_leased,
    read_once,
    read_cached,
    initialize,
    close,
    destroy,
    close_cache,
};
constexpr std::size_t stress_operations = 13;
std::string_view to_string(stress_operation what) noexcept;

/// How an operation ended.
enum class stress_outcome {
    done,
    cancelled,
    timed_out,
    closed,    // its pool, or its cache
    faulted,   // for what the service did
    violated,  // for nothing that explains it
};
constexpr std::size_t stress_outcomes = 6;
std::string_view to_string(stress_outcome how) noexcept;

/// What happened to an operation besides.
class circumstances {
public:
    circumstances() = default;

    bool cancelled = false;  // it was asked to end
    bool hurried = false;    // it was given little time
    bool closed = false;     // its pool or cache was being closed or destroyed
};

/// How an operation ended that failed with `why`.
stress_outcome judge(const failure& why, const circumstances& around, const testing::possible_faults& faults);

}  // namespace rangeio::tool
