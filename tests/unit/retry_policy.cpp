#include <rangeio/error.hpp>

#include "checked_policy.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using rangeio::retry_policy;

TEST_CASE("retry_policy: the default policy and the one without retries are valid") {
    CHECK_NOTHROW(rangeio::checked(retry_policy()));
    CHECK_NOTHROW(rangeio::checked(retry_policy::none()));
    CHECK_NOTHROW(rangeio::checked(retry_policy().initial_backoff(0s).max_backoff(0s).budget(0s)));
    CHECK_NOTHROW(rangeio::checked(retry_policy().stall_timeout(0s).max_orphan_bytes(0)));
}

TEST_CASE("retry_policy: a value out of its range is an error, not a hang later") {
    const std::vector<std::pair<retry_policy, std::string>> unusable{
        {retry_policy().attempts(1001), "attempts: 1001 is not in 0..1000"},
        {retry_policy().open_attempts(0), "open_attempts: 0 is not in 1..1000"},
        {retry_policy().open_attempts(1001), "open_attempts: 1001 is not in 1..1000"},
        {retry_policy().range_attempts(1001), "range_attempts: 1001 is not in 0..1000"},
        {retry_policy().max_redirects(101), "max_redirects: 101 is not in 0..100"},
        {retry_policy().budget(-1s), "budget: -1 s is less than 0 s"},
        {retry_policy().stall_timeout(-1ms), "stall_timeout: -0.001 s is less than 0 s"},
        {retry_policy().initial_backoff(-1s), "initial_backoff: -1 s is less than 0 s"},
        {retry_policy().initial_backoff(2s).max_backoff(1s), "max_backoff: 1 s is less than 2 s"},
        {retry_policy().backoff_factor(0.5), "backoff_factor: 0.5 is not in 1..100"},
        {retry_policy().backoff_factor(101), "backoff_factor: 101 is not in 1..100"},
        {retry_policy().backoff_factor(std::numeric_limits<double>::quiet_NaN()),
         "backoff_factor: nan is not in 1..100"},
    };
    for (const auto& [policy, text] : unusable) {
        try {
            rangeio::checked(policy);
            FAIL("accepted");
        } catch (const rangeio::error& e) {
            CHECK(e.code() == rangeio::errc::invalid_argument);
            CHECK(e.why().message() == text);
        }
    }
}
