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

/// What operations came to. Adds up.
class stress_counts {
public:
    stress_counts() = default;

    void add(const stress_counts& others);
    std::uint64_t ended() const noexcept;
    std::uint64_t of(stress_outcome how) const noexcept { return outcomes[static_cast<std::size_t>(how)]; }

    std::uint64_t started = 0;
    std::array<std::uint64_t, stress_outcomes> outcomes{};
    /// By what they were, those that were done.
    std::array<std::uint64_t, stress_operations> done{};
    /// Bytes of the caller's that were compared with the object's.
    std::uint64_t bytes = 0;
    /// Why those failed that service explains, by the words for it.
    std::map<std::string, std::uint64_t> faults;
    /// How many times a stream went on with another call.
    std::uint64_t resumed = 0;
    latencies times;
    /// Which took longest, and how long that was.
    stress_operation longest = stress_operation::fetch;
    std::chrono::nanoseconds longest_time{0};
};

/// What one worker is doing, and has done since somebody last asked.
///
/// Threads: the worker writes, and whoever watches reads, without a lock that another worker ever takes: one would put
/// their steps into an order, and hide their races.
class stress_tally {
public:
    // By the worker.
    void begin(stress_operation what);
    /// A part of it is over, the next one begins.
    void step() noexcept { since_.store(now(), std::memory_order_relaxed); }
    void checked(std::uint64_t bytes);
    void end(stress_outcome how, const failure& why);

    // By the watcher.
    class activity {
    public:
        stress_operation what = stress_operation::fetch;
        std::chrono::nanoseconds since{0};  // no progress for so long
    };
    /// False between two operations.
    bool busy(activity& out) const noexcept;
    /// What was added since the last call.
    stress_counts take();

private:
    static std::int64_t now() noexcept { return stress_clock::now().time_since_epoch().count(); }

    std::atomic<std::int64_t> since_{0};  // 0: nothing is under way
    std::atomic<stress_operation> what_{stress_operation::fetch};
    stress_clock::time_point began_;  // the worker's alone

    std::mutex mutex_;
    stress_counts counts_;
};

/// Things that must never happen, told by whoever sees them.
class stress_violations {
public:
    static constexpr std::size_t most_kept = 20;

    void add(std::string what);
    bool any() const noexcept { return any_.load(std::memory_order_relaxed); }
    /// The first ones.
    std::vector<std::string> list() const;

private:
    std::atomic<bool> any_{false};
    mutable std::mutex mutex_;
    std::vector<std::string> list_;
};

}  // namespace rangeio::tool
