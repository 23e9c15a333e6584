#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/strategy.hpp>
#include <rangeio/testing/scripted_service.hpp>
#include <rangeio/testing/threaded_service.hpp>

#include "simulation/append_twice.hpp"
#include "support/run.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>

// Options of the kit that no other test needs: set, and seen.

using namespace support;
using rangeio::mrd_pool;
using rangeio::retry_policy;
using rangeio::testing::fault_script;
using rangeio::testing::threaded_service;
using rangeio::testing::threaded_service_options;
namespace sim = rangeio::sim;

namespace {

std::string order_of(const sim::explore_options& options) {
    std::string order;
    sim::explore(
        [&](sim::world& w) {
            order.clear();
            sim::context io(w);
            spawn(io.make_executor("a"), "a", append_twice(order, 'a'));
            spawn(io.make_executor("b"), "b", append_twice(order, 'b'));
            w.run();
        },
        options
    );
    return order;
}

asio::awaitable<void> open_and_close(mrd_pool& pool) {
    co_await pool.async_initialize();
    co_await pool.async_close();
}

std::ptrdiff_t threads_now() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
}

}  // namespace

TEST_CASE("kit: the seed selects the random schedules, and repeats them") {
    std::set<std::string> orders;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const auto one = sim::explore_options().schedules(1).seed(seed);
        const std::string order = order_of(one);
        CHECK(order_of(one) == order);
        orders.insert(order);
    }
    CHECK(orders.size() > 1);
}

TEST_CASE("kit: progress is reported after each run, and can end the exploration") {
    std::uint64_t told = 0;
    const auto stop_at_five = [&](std::uint64_t runs) {
        CHECK(runs == ++told);
        return runs < 5;
    };
    order_of(sim::explore_options().schedules(10).progress(stop_at_five));
    CHECK(told == 5);
}

TEST_CASE("threaded_service: the configured number of threads delivers") {
    const auto before = threads_now();
    const threaded_service service(threaded_service_options().threads(5));
    CHECK(threads_now() >= before + 5);
}

TEST_CASE("threaded_service: the chances of faults are drawn from the seed") {
    std::set<bool> opened;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const auto faults = fault_script::parse("fail-open chance=50% times=0");
        const threaded_service service(threaded_service_options().faults(faults).seed(seed));
        asio::io_context context;
        mrd_pool pool(
            context.get_executor(), service.transport(context.get_executor(), {}, retry_policy::none())
        );
        const auto body = [&]() -> asio::awaitable<void> {
            const rangeio::error_value why = co_await failure_of(pool.async_initialize());
            opened.insert(!why.code());
            try {
                co_await pool.async_close();
            } catch (const rangeio::error&) {
            }
        };
        run(context, body());
    }
    CHECK(opened.size() == 2);
}

TEST_CASE("kit: points before the engine's locks add decisions if at_locks is set") {
    const auto decisions = [](bool at_locks) {
        sim::random_strategy random(1);
        sim::world w(random, sim::world_options().at_locks(at_locks));
        const rangeio::testing::scripted_service service(w);
        sim::context io(w);
        mrd_pool pool(io.get_executor(), service.streams(), rangeio::pool_options().size(1));
        spawn(io.make_executor("a"), "a", open_and_close(pool));
        w.run();
        return w.decisions().size();
    };
    CHECK(decisions(true) > decisions(false));
}
