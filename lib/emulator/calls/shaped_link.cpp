#include "emulator/calls/shaped_link.hpp"

#include <algorithm>

namespace rangeio::emulator {
namespace {

// Far beyond the end of any call, and far below the range of the clock, however many calls were cancelled in the queue.
constexpr auto max_backlog = std::chrono::hours(24 * 365);

}  // namespace

shaped_link::time_point shaped_link::reserve(time_point ready, time_point now, std::uint64_t bytes) noexcept {
    ready = std::max(ready, now - max_lateness);
    if (bytes == 0 || !has_bandwidth()) return ready;
    const std::lock_guard lock(mutex_);
    if (free_at_ < ready) {
        free_at_ = ready;
        rest_ = 0;
    }
    // No overflow: a message has less than 1 GiB, and the bandwidth is at most 1 TiB/s.
    rest_ += bytes * 1'000'000'000;
    free_at_ += std::chrono::nanoseconds(rest_ / bytes_per_second_);
    rest_ %= bytes_per_second_;
    free_at_ = std::min<time_point>(free_at_, now + max_backlog);
    return free_at_ + std::chrono::nanoseconds(rest_ == 0 ? 0 : 1);
}

}  // namespace rangeio::emulator
