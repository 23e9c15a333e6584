#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace rangeio::fsm {

/// What the readers of a client have fetched for nobody, less a share of the bytes that they have read: the debt. A
/// reader hardly guesses while it is above its allowance, so that waste is bounded by construction (W7).
///
/// Threads:  safe; the readers of a client run on different ones. Nothing else is published with the number.
class waste_account {
public:
    /// One byte of waste is forgiven for this many bytes read: 5 %.
    static constexpr std::uint64_t bytes_per_pardon = 20;

    void read(std::uint64_t bytes) noexcept { refund(bytes / bytes_per_pardon); }
    void wasted(std::uint64_t bytes) noexcept { debt_.fetch_add(bytes, std::memory_order_relaxed); }
    /// They were not, after all.
    void refund(std::uint64_t bytes) noexcept {
        std::uint64_t debt = debt_.load(std::memory_order_relaxed);
        while (debt > 0 && bytes > 0 &&
               !debt_.compare_exchange_weak(debt, debt - std::min(debt, bytes), std::memory_order_relaxed)) {
        }
    }

    std::uint64_t debt() const noexcept { return debt_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> debt_{0};
};

}  // namespace rangeio::fsm
