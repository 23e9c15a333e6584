#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rangeio::tool {

/// The durations of any number of operations in 60 KiB: counts in buckets whose upper end exceeds the lower one by at
/// most 1/64.
class latencies {
public:
    void add(std::chrono::nanoseconds time) noexcept;
    void add(const latencies& others) noexcept;

    std::uint64_t count() const noexcept { return count_; }
    /// The time in which this share, 0 to 1, of the operations completed; at most 1.6 % too long, never more than
    /// `max()`. Zero if there was none.
    std::chrono::nanoseconds percentile(double share) const noexcept;
    std::chrono::nanoseconds max() const noexcept { return std::chrono::nanoseconds(max_); }

private:
    static constexpr unsigned precision_bits = 7;
    static constexpr std::size_t half = std::size_t{1} << (precision_bits - 1);
    static constexpr std::size_t buckets = (64 - precision_bits + 2) * half;

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t count_ = 0;
    std::int64_t max_ = 0;
};

}  // namespace rangeio::tool
