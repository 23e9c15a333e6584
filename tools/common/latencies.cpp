#include "common/latencies.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace rangeio::tool {

// Below 2^precision_bits each value has a bucket of its own. Above, a value keeps its first precision_bits bits, and
// each further doubling adds `half` buckets.
void latencies::add(std::chrono::nanoseconds time) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > precision_bits ? width - precision_bits : 0;
    ++counts_[shift * half + (value >> shift)];
    ++count_;
    max_ = std::max(max_, static_cast<std::int64_t>(value));
}

void latencies::add(const latencies& others) noexcept {
    for (std::size_t i = 0; i < buckets; ++i) counts_[i] += others.counts_[i];
    count_ += others.count_;
    max_ = std::max(max_, others.max_);
}

std::chrono::nanoseconds latencies::percentile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets && count_ > 0; ++i) {
        seen += counts_[i];
        if (seen < std::max<std::uint64_t>(wanted, 1)) continue;
        const std::size_t shift = i < 2 * half ? 0 : i / half - 1;
        const std::uint64_t front = i - shift * half;
        const std::uint64_t last = ((front + 1) << shift) - 1;
        return std::chrono::nanoseconds(std::min(static_cast<std::int64_t>(last), max_));
    }
    return {};
}

}  // namespace rangeio::tool
