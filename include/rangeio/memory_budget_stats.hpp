#pragma once

#include <cstddef>
#include <cstdint>

namespace rangeio {

/// Counts of one memory budget, taken in one step. Except for current numbers, they only increase.
class memory_budget_stats {
public:
    std::uint64_t limit_bytes = 0;
    /// The current number of reserved bytes: zero when every reader of the budget has been destroyed, and every slice
    /// that they lent.
    std::uint64_t reserved_bytes = 0;
    /// The greatest number of bytes that were reserved at once.
    std::uint64_t peak_bytes = 0;

    /// The current number of requests without memory: for bytes that a caller waits for, for bytes that a caller has
    /// announced, and for those that nobody has asked for.
    std::size_t waiting_demand = 0;
    std::size_t waiting_hinted = 0;
    std::size_t waiting_speculative = 0;

    /// Requests and reservations for which a caller came to wait later.
    std::uint64_t promotions = 0;
    /// Reservations that a reader was asked to give up.
    std::uint64_t reclaims = 0;
    /// Reservations beyond the limit, for readers that would have waited with nothing to work on.
    std::uint64_t above_limit = 0;

    friend bool operator==(const memory_budget_stats&, const memory_budget_stats&) = default;
};

}  // namespace rangeio
