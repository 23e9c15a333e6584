#pragma once

#include <rangeio/emulator.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>

namespace rangeio::emulator {

/// The latency and the bandwidth that all calls share. It has no clock: times go in, times come out.
///
/// Threads: safe.
class shaped_link {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// A call that is late by more than this has lost the bandwidth of the time before: its client does not read, or
    /// the machine is overloaded. Less is made up for, or the delays of all messages would add up.
    static constexpr std::chrono::milliseconds max_lateness{10};

    explicit shaped_link(const testing::link_options& how)
        : latency_(how.latency()), bytes_per_second_(how.bandwidth()) {}

    /// When to serve a request that arrived at this time.
    time_point due(time_point arrived) const noexcept { return arrived + latency_; }

    bool has_bandwidth() const noexcept { return bytes_per_second_ != 0; }

    /// Takes the link for a message of this many bytes, after those of earlier calls. `ready`: since when it could have
    /// been sent on a link without a limit; not later than `now`.
    ///
    /// Returns: the time at which its last byte has passed, when it may be sent; in the past if it is late.
    time_point reserve(time_point ready, time_point now, std::uint64_t bytes) noexcept;

private:
    const std::chrono::nanoseconds latency_;
    const std::uint64_t bytes_per_second_;  // 0: unlimited
    std::mutex mutex_;
    time_point free_at_;      // rounded down
    std::uint64_t rest_ = 0;  // by which it was rounded, in bytes per second times nanoseconds
};

}  // namespace rangeio::emulator
