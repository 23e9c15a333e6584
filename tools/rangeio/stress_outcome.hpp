#pragma once

#include <rangeio/error.hpp>
#include <rangeio/testing/fault_script.hpp>

#include <array>
#include <optional>
#include <set>
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

/// What a service may do, as far as it can explain how operations fail.
class possible_faults {
public:
    /// Nothing.
    possible_faults() = default;
    explicit possible_faults(const testing::fault_script& script);
    /// What any service may do, and its network, without being wrong.
    static possible_faults of_any_service();

    bool explain(const failure& why) const;

private:
    std::set<error_code> codes_;
    std::set<int> statuses_;
};

/// What happened to an operation besides.
class circumstances {
public:
    circumstances() = default;

    bool cancelled = false;  // it was asked to end
    bool hurried = false;    // it was given little time
    bool closed = false;     // its pool or cache was being closed or destroyed
};

/// How an operation ended that failed with `why`.
stress_outcome judge(const failure& why, const circumstances& around, const possible_faults& faults);

}  // namespace rangeio::tool
