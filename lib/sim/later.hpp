#pragma once

#include <chrono>

namespace rangeio::sim {

/// `from + delay`; the last time point, which is never reached, if the clock cannot count so far.
inline std::chrono::steady_clock::time_point later(
    std::chrono::steady_clock::time_point from, std::chrono::nanoseconds delay
) {
    constexpr auto last = std::chrono::steady_clock::time_point::max();
    return delay > last - from ? last : from + delay;
}

}  // namespace rangeio::sim
