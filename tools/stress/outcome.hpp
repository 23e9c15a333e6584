#pragma once

#include <rangeio/error.hpp>
#include <rangeio/testing/possible_faults.hpp>

#include <array>
#include <string_view>

namespace rangeio::tool {

/// The operations of a worker.
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
    read_file,
    initialize,
    close,
    destroy,
    close_cache,
};
constexpr std::size_t stress_operations = 14;
std::string_view to_string(stress_operation what) noexcept;

/// The outcome of an operation.
enum class stress_outcome {
    done,
    cancelled,
    timed_out,
    closed,    // its pool or its cache was closed
    faulted,   // for a fault of the service
    violated,  // for no reason that explains it
};
constexpr std::size_t stress_outcomes = 6;
std::string_view to_string(stress_outcome how) noexcept;

/// The circumstances of an operation that may explain its failure.
class circumstances {
public:
    circumstances() = default;

    bool cancelled = false;  // it was cancelled
    bool hurried = false;    // it had a short time limit
    bool closed = false;     // its pool or cache was being closed or destroyed
};

/// The outcome of an operation that failed with `why`.
stress_outcome judge(
    const error_value& why, const circumstances& around, const testing::possible_faults& faults
);

}  // namespace rangeio::tool
