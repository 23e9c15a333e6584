#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace rangeio::grpc_transport {

/// Converts a google.protobuf.Timestamp; a time that the clock cannot represent becomes the nearest one that it can.
constexpr std::chrono::system_clock::time_point to_time(std::int64_t seconds, std::int32_t nanos) noexcept {
    using clock = std::chrono::system_clock;
    using whole_seconds = std::chrono::duration<std::int64_t>;
    constexpr std::int32_t second = 1'000'000'000;
    constexpr auto first = std::chrono::duration_cast<whole_seconds>(clock::duration::min()).count();
    constexpr auto last = std::chrono::duration_cast<whole_seconds>(clock::duration::max()).count();
    // In the last whole second at either end, not every fraction is representable.
    if (seconds <= first) return clock::time_point::min();
    if (seconds >= last) return clock::time_point::max();
    const auto fraction = std::chrono::nanoseconds(std::clamp(nanos, 0, second - 1));
    return clock::time_point(
        std::chrono::duration_cast<clock::duration>(whole_seconds(seconds)) +
        std::chrono::duration_cast<clock::duration>(fraction)
    );
}

}  // namespace rangeio::grpc_transport
