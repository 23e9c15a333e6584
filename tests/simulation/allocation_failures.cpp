#include <rangeio/testing/allocation_failures.hpp>
#include <rangeio/testing/allocation_sweep.hpp>
#include <rangeio/testing/pool_program.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <string>

using rangeio::testing::pool_program;
using rangeio::testing::shipped_programs;
using namespace rangeio::testing::sim;

namespace {

void sweep_shipped(const sweep_options& options) {
    for (const auto& shipped : shipped_programs()) {
        const auto program = pool_program::parse(shipped.text);
        sweep_options how = options;
        how.world(program.world_options());
        const auto result = sweep(program, how);
        if (std::getenv("SHOW")) fmt::print("{} {}: {}", shipped.name, options.run().text(), result.text());
        std::fflush(stdout);
        INFO(std::string(shipped.name), '\n', result.text());
        CHECK_FALSE(result.found);
        CHECK(result.exhausted);
    }
}

}  // namespace

TEST_CASE("allocations: the shipped programs bear the failure of any single one") {
    sweep_shipped({});
}

TEST_CASE("allocations: the shipped programs bear the failure of any single one in random schedules") {
    for (const std::uint64_t seed : {1U, 2U, 3U}) sweep_shipped(sweep_options().run(run_name::random(seed)));
}

TEST_CASE("allocations: the shipped programs bear outages") {
    sweep_shipped(sweep_options().times(2).run(run_name::random(4)));
    sweep_shipped(sweep_options().times(64));
}
