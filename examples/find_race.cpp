// Finds a race in a cache of a few lines. docs/testing-races.md explains it.
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/timer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace asio = boost::asio;
namespace sim = rangeio::sim;
using namespace std::chrono_literals;

// Loads each key once, or so it means to. `Timer` is asio::steady_timer in the real program.
template <class Timer>
class toy_cache {
public:
    asio::awaitable<std::string> get(std::string key) {
        if (const auto known = values_.find(key); known != values_.end()) co_return known->second;
        Timer load(co_await asio::this_coro::executor, 1ms);
        co_await load.async_wait(asio::use_awaitable);
        ++loads;
        co_return values_[key] = "value of " + key;
    }

    int loads = 0;

private:
    std::map<std::string, std::string> values_;
};

asio::awaitable<void> use(toy_cache<sim::timer>& cache, sim::world& world, std::chrono::milliseconds after) {
    sim::timer later(co_await asio::this_coro::executor, after);
    co_await later.async_wait(asio::use_awaitable);
    world.note("asks for the value");
    const std::string value = co_await cache.get("a");
    world.note("has the value");
    world.check(value == "value of a", "the value is wrong");
}

void two_users(sim::world& world) {
    toy_cache<sim::timer> cache;
    sim::context io(world);
    sim::spawn(io.make_executor("alice"), "alice", use(cache, world, 0ms));
    const auto after =
        2ms - 1ms * static_cast<int>(world.choose(3));  // 0, the plainest: when alice is through
    sim::spawn(io.make_executor("bob"), "bob", use(cache, world, after));
    world.run();
    world.check(cache.loads == 1, "the value was loaded more than once");
}

int main() {
    const sim::exploration result = sim::explore(two_users, sim::explore_options().by(sim::search::dfs));
    std::cout << result.text();
    return result.found ? EXIT_FAILURE : EXIT_SUCCESS;
}
