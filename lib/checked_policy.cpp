#include "checked_policy.hpp"

#include "option_range.hpp"

namespace rangeio {
namespace {

constexpr unsigned max_attempts = 1000;
constexpr unsigned max_redirects = 100;
constexpr double max_factor = 100;

}  // namespace

const retry_policy& checked(const retry_policy& policy) {
    throw_if(check_range("attempts", policy.attempts(), 0, max_attempts));
    throw_if(check_range("open_attempts", policy.open_attempts(), 1, max_attempts));
    throw_if(check_range("range_attempts", policy.range_attempts(), 0, max_attempts));
    throw_if(check_range("max_redirects", policy.max_redirects(), 0, max_redirects));
    throw_if(check_least("budget", policy.budget()));
    throw_if(check_least("stall_timeout", policy.stall_timeout()));
    throw_if(check_least("initial_backoff", policy.initial_backoff()));
    throw_if(check_least("max_backoff", policy.max_backoff(), policy.initial_backoff()));
    throw_if(check_range("backoff_factor", policy.backoff_factor(), 1, max_factor));
    return policy;
}

}  // namespace rangeio
