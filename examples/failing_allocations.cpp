// Finds state that a coroutine leaves behind when memory runs out. docs/testing-races.md explains it.
#include <rangeio/sim/allocation_sweep.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/replace_new.hpp>  // in one source of a program
#include <rangeio/sim/timer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace asio = boost::asio;
namespace sim = rangeio::sim;
using namespace std::chrono_literals;

// Counts who is under way, or so it means to. `Timer` is asio::steady_timer in the real program.
template <class Timer>
class toy_workshop {
public:
    asio::awaitable<void> work() {
        ++busy;
        Timer takes(co_await asio::this_coro::executor, 1ms);
        co_await takes.async_wait(asio::use_awaitable);
        --busy;
    }

    int busy = 0;
};

void two_workers(sim::world& world) {
    toy_workshop<sim::timer> workshop;
    sim::context io(world);
    sim::spawn(io.make_executor("alice"), "alice", workshop.work());
    sim::spawn(io.make_executor("bob"), "bob", workshop.work());
    world.run();
    world.check(workshop.busy == 0, "nobody works, and yet somebody is counted");
}

int main() {
    const sim::sweep_result result = sim::sweep(two_workers);
    std::cout << result.text();
    return result.found ? EXIT_FAILURE : EXIT_SUCCESS;
}
