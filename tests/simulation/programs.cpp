#include <rangeio/sim/explore.hpp>

#include "support/schedules.hpp"
#include "testing/programs/pool_program.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

using rangeio::testing::pool_program;
using rangeio::testing::shipped_programs;
using support::schedule_budget;
using namespace rangeio::sim;

// The shells of the pool and of its streams, in every order that the strategies come upon.

namespace {

/// `all`: it must have run all that there are within its bounds.
void explore_all(explore_options options, bool all = false, bool at_locks = false) {
    for (const auto& shipped : shipped_programs()) {
        const auto program = pool_program::parse(shipped.text);
        const auto result = explore(program, options.world(program.world_options().at_locks(at_locks)));
        fmt::print("{}: {}", shipped.name, result.text());
        std::fflush(stdout);
        INFO(std::string(shipped.name), '\n', result.text());
        CHECK_FALSE(result.found);
        if (all) CHECK(result.exhausted);
    }
}

}  // namespace

TEST_CASE("simulation: the shipped programs hold in random schedules") {
    explore_all(explore_options().by(search::random).schedules(schedule_budget()));
}

TEST_CASE("simulation: the shipped programs hold in PCT schedules of depth 3, 4 and 5") {
    // A third each, and what is left over.
    for (const std::size_t depth : {3U, 4U, 5U}) {
        const std::uint64_t share = std::max<std::uint64_t>((schedule_budget() + depth - 3) / 3, 1);
        explore_all(explore_options().by(search::pct).depth(depth).schedules(share));
    }
}

TEST_CASE("simulation: the shipped programs hold in all schedules with one deviation") {
    explore_all(explore_options().by(search::dfs).deviations(1).schedules(10'000), true);
}

TEST_CASE("simulation: the shipped programs hold in the first schedules with up to two deviations") {
    explore_all(explore_options().by(search::dfs).deviations(2).schedules(4 * schedule_budget()));
}

TEST_CASE("simulation: the shipped programs hold with a preemption point before each lock") {
    const std::uint64_t share = std::max<std::uint64_t>(schedule_budget() / 3, 1);
    explore_all(explore_options().by(search::random).schedules(share), false, true);
    explore_all(explore_options().by(search::pct).depth(4).schedules(share), false, true);
    explore_all(explore_options().by(search::dfs).deviations(1).schedules(4 * share), false, true);
}
