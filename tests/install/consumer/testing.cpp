#include <rangeio/testing/explore.hpp>
#include <rangeio/testing/pool_program.hpp>

#include <iostream>

int main() {
    const auto program = rangeio::testing::pool_program::parse("transport\ntask a: read 0-8\n");
    const auto result =
        rangeio::testing::sim::explore(program, rangeio::testing::sim::explore_options().schedules(10));
    std::cout << "consumer: a program " << (result.found ? "does not hold" : "holds") << '\n';
}
