#pragma once

#include "stress/tally.hpp"
#include "stress/target.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rangeio::tool {

/// A snapshot of a run in progress.
class stress_progress {
public:
    stress_progress() = default;

    double seconds = 0;  // since the run began
    /// The counts since the last snapshot.
    stress_counts recent;
    double recent_seconds = 0;
    /// The worker whose operation has made no progress for the longest time; empty: no worker has an operation.
    std::optional<std::size_t> slowest;
    stress_tally::activity slowest_does;
    std::uint64_t memory_bytes = 0;
};

/// The parameters and the results of a run.
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
    std::uint64_t memory_at_tenth = 0;  // resident; 0: the run ended before that
    std::uint64_t memory_at_end = 0;
    std::uint64_t peak_memory = 0;
    std::vector<std::string> violations;
};

/// The inconsistencies in the counters of a completed run; empty: none.
std::vector<std::string> imbalances(const stress_result& result);

/// One line, without a line feed.
std::string progress_text(const stress_progress& now);
/// One line of JSON.
std::string progress_json(const stress_progress& now);
std::string report_text(const stress_result& result);
/// One line of JSON.
std::string report_json(const stress_result& result);

}  // namespace rangeio::tool
