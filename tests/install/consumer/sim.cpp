#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>

#include <boost/asio/awaitable.hpp>

#include <iostream>

namespace sim = rangeio::sim;

namespace {

// Two actors read a counter, and write what they have read plus one.
void lost_update(sim::world& world) {
    int counter = 0;
    const auto increment = [&]() -> boost::asio::awaitable<void> {
        const int seen = counter;
        world.preemption_point("between the read and the write");
        counter = seen + 1;
        co_return;
    };
    sim::context io(world);
    sim::spawn(io.make_executor("one"), "one", increment());
    sim::spawn(io.make_executor("two"), "two", increment());
    world.run();
    world.check(counter == 2, "an update was lost");
}

}  // namespace

int main() {
    const auto result = sim::explore(lost_update, sim::explore_options().by(sim::search::dfs));
    std::cout << "consumer: " << (result.found ? result.found->what : "nothing found") << '\n';
}
