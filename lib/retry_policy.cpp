#include "retry_policy.hpp"

#include <rangeio/error.hpp>

#include <fmt/format.h>

namespace rangeio {
namespace {

constexpr unsigned max_attempts = 1000;
constexpr unsigned max_redirects = 100;
constexpr double max_factor = 100;

void require(bool usable, const char* what) {
    if (!usable) throw error(failure(errc::invalid_argument, fmt::format("retry policy: {}", what)));
}

}  // namespace

const retry_policy& checked(const retry_policy& policy) {
    constexpr std::chrono::nanoseconds zero{0};
    require(policy.attempts() <= max_attempts, "attempts is not between 0 and 1000");
    require(
        policy.open_attempts() >= 1 && policy.open_attempts() <= max_attempts,
        "open_attempts is not between 1 and 1000"
    );
    require(policy.range_attempts() <= max_attempts, "range_attempts is not between 0 and 1000");
    require(policy.max_redirects() <= max_redirects, "max_redirects is not between 0 and 100");
    require(policy.budget() >= zero, "the budget is negative");
    require(policy.stall_timeout() >= zero, "the stall timeout is negative");
    require(policy.initial_backoff() >= zero, "the first back-off is negative");
    require(
        policy.max_backoff() >= policy.initial_backoff(), "the longest back-off is shorter than the first"
    );
    // Not a number is in no range.
    const double factor = policy.backoff_factor();
    require(factor >= 1 && factor <= max_factor, "backoff_factor is not between 1 and 100");
    return policy;
}

}  // namespace rangeio
