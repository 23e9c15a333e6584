#pragma once

#include "common/latencies.hpp"
#include "stress/outcome.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace rangeio::tool {

using stress_clock = std::chrono::steady_clock;

/// The outcomes of operations; counts can be added.
class stress_counts {
public:
    stress_counts() = default;

    void add(const stress_counts& others);
    std::uint64_t ended() const noexcept;
    std::uint64_t of(stress_outcome how) const noexcept { return outcomes[static_cast<std::size_t>(how)]; }

    std::uint64_t started = 0;
    std::array<std::uint64_t, stress_outcomes> outcomes{};
    /// The completed operations, by kind.
    std::array<std::uint64_t, stress_operations> done{};
    /// The bytes of destinations that were compared with the object's bytes.
    std::uint64_t bytes = 0;
    /// The failures that faults of the service explain, by error text.
    std::map<std::string, std::uint64_t> faults;
    /// The number of times that a stream continued with another call.
    std::uint64_t resumed = 0;
    latencies times;
    /// The operation that took the longest time, and its duration.
    stress_operation longest = stress_operation::fetch;
    std::chrono::nanoseconds longest_time{0};
};

/// The current operation of one worker, and its counts since the last call of take().
///
/// Threads: the worker writes, and the watcher reads, without a lock that is shared with another worker: such a lock
///          would order the steps of the workers, and hide their races.
class stress_tally {
public:
    // For the worker.
    void begin(stress_operation what);
    /// A part of the operation is over, the next one begins.
    void step() noexcept { since_.store(now(), std::memory_order_relaxed); }
    void checked(std::uint64_t bytes);
    void end(stress_outcome how, const error_value& why);

    // For the watcher.
    class activity {
    public:
        stress_operation what = stress_operation::fetch;
        std::chrono::nanoseconds since{0};  // the time without progress
    };
    /// False between two operations.
    bool busy(activity& out) const noexcept;
    /// The counts that were added since the last call.
    stress_counts take();

private:
    static std::int64_t now() noexcept { return stress_clock::now().time_since_epoch().count(); }

    std::atomic<std::int64_t> since_{0};  // 0: no operation is under way
    std::atomic<stress_operation> what_{stress_operation::fetch};
    stress_clock::time_point began_;  // accessed by the worker only

    std::mutex mutex_;
    stress_counts counts_;
};

/// Events that must never happen, reported by any thread.
class stress_violations {
public:
    static constexpr std::size_t most_kept = 20;

    void add(std::string what);
    bool any() const noexcept { return any_.load(std::memory_order_relaxed); }
    /// The first `most_kept` of them.
    std::vector<std::string> list() const;

private:
    std::atomic<bool> any_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> list_;
};

}  // namespace rangeio::tool
