#pragma once

#include "stress/tally.hpp"
#include "stress/target.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rangeio::tool {

/// A look at a run that goes on.
class stress_progress {
public:
    stress_progress() = default;

    double seconds = 0;  // since the run began
    /// Of the time since the last look.
    stress_counts recent;
    double recent_seconds = 0;
    /// The worker whose operation has made no progress for longest; empty: none is at one.
    std::optional<std::size_t> slowest;
    stress_tally::activity slowest_does;
    std::uint64_t memory_bytes = 0;
};

/// What a run was of, and what came out.
class stress_result {
public:
    stress_result() = default;

    std::string target;
    std::size_t threads = 0;
    std::size_t workers = 0;
    std::uint64_t seed = 0;
    std::size_t faults = 0;  // lines of the script

    double seconds = 0;
    bool interrupted = false;
    stress_counts counts;
    std::size_t longest_worker = 0;
    std::optional<stress_service> service;
    std::uint64_t memory_at_tenth = 0;  // resident; 0: it did not come so far
    std::uint64_t memory_at_end = 0;
    std::uint64_t peak_memory = 0;
    std::vector<std::string> violations;
};

/// What in the counters of a run that is over does not fit together; empty: nothing.
std::vector<std::string> imbalances(const stress_result& result);

/// One line, without its end.
std::string progress_text(const stress_progress& now);
/// One line.
std::string progress_json(const stress_progress& now);
std::string report_text(const stress_result& result);
/// One line.
std::string report_json(const stress_result& result);

}  // namespace rangeio::tool
