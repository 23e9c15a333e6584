#include "retry_policy.hpp"

#include <rangeio/error.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <vector>

using namespace std::chrono_literals;
using rangeio::retry_policy;

TEST_CASE("retry_policy: the defaults and the policy that tries nothing again are usable") {
    CHECK_NOTHROW(rangeio::checked(retry_policy()));
    CHECK_NOTHROW(rangeio::checked(retry_policy::none()));
    CHECK_NOTHROW(rangeio::checked(retry_policy().initial_backoff(0s).max_backoff(0s).budget(0s)));
    CHECK_NOTHROW(rangeio::checked(retry_policy().stall_timeout(0s).max_orphan_bytes(0)));
}

TEST_CASE("retry_policy: a value out of its range is an error, not a hang later") {
    const std::vector<retry_policy> unusable{
        retry_policy().attempts(1001),
        retry_policy().open_attempts(0),
        retry_policy().open_attempts(1001),
        retry_policy().range_attempts(1001),
        retry_policy().max_redirects(101),
        retry_policy().budget(-1s),
        retry_policy().stall_timeout(-1s),
        retry_policy().initial_backoff(-1s),
        retry_policy().initial_backoff(2s).max_backoff(1s),
        retry_policy().backoff_factor(0.5),
        retry_policy().backoff_factor(101),
        retry_policy().backoff_factor(std::numeric_limits<double>::quiet_NaN()),
    };
    for (const retry_policy& policy : unusable) {
        try {
            rangeio::checked(policy);
            FAIL("accepted");
        } catch (const rangeio::error& e) {
            CHECK(e.code() == rangeio::errc::invalid_argument);
        }
    }
}
