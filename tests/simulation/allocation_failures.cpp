#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/allocation_sweep.hpp>

#include "support/schedules.hpp"
#include "testing/programs/pool_program.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using rangeio::testing::pool_program;
using rangeio::testing::shipped_programs;
using namespace rangeio::sim;

namespace {

/// Three random schedules and two kinds of outages, or one of each where RANGEIO_SCHEDULES asks for less than the
/// default: under a sanitizer each run takes many times as long.
bool thorough() {
    return support::schedule_budget() >= support::usual_schedules;
}

void sweep_shipped(const sweep_options& options) {
    for (const auto& shipped : shipped_programs()) {
        const auto program = pool_program::parse(shipped.text);
        sweep_options how = options;
        how.world(program.world_options());
        const auto result = sweep(program, how);
        INFO(std::string(shipped.name), '\n', result.text());
        CHECK_FALSE(result.found);
        CHECK(result.exhausted);
    }
}

}  // namespace

TEST_CASE("allocations: the shipped programs survive the failure of any single allocation") {
    sweep_shipped({});
}

TEST_CASE("allocations: the shipped programs survive any single allocation failure in random schedules") {
    const std::uint64_t last = thorough() ? 3 : 1;
    for (std::uint64_t seed = 1; seed <= last; ++seed) {
        sweep_shipped(sweep_options().run(run_name::random(seed)));
    }
}

TEST_CASE("allocations: the shipped programs survive a series of allocation failures") {
    if (thorough()) sweep_shipped(sweep_options().times(2).run(run_name::random(4)));
    sweep_shipped(sweep_options().times(64));
}
