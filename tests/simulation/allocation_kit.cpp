#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/allocation_sweep.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/replace_new.hpp>
#include <rangeio/sim/timer.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

using namespace rangeio::sim;
using namespace std::chrono_literals;

// Injected allocation failures: which allocations fail, which are exempt, and what a sweep finds.

namespace {

struct alignas(64) wide {
    std::byte bytes[64];
};

// Neither may be optimized away.
void* volatile kept = nullptr;

template <class T>
void make() {
    T* const made = new T();
    kept = made;
    delete made;
}

template <class T>
void make_array() {
    T* const made = new T[3];
    kept = made;
    delete[] made;
}

template <class T>
bool make_nothrow() {
    T* const made = new (std::nothrow) T();
    kept = made;
    delete made;
    return kept != nullptr;
}

template <class T>
bool make_array_nothrow() {
    T* const made = new (std::nothrow) T[3];
    kept = made;
    delete[] made;
    return kept != nullptr;
}

bool take_aligned() {
    void* const made = std::aligned_alloc(64, 128);
    kept = made;
    std::free(made);
    return kept != nullptr;
}

}  // namespace

TEST_CASE("allocation_failures: the n-th allocation fails, and no other") {
    const allocation_failures failures(2);
    CHECK(failures.injected() == 0);
    make<int>();
    CHECK_FALSE(allocation_failures::any_injected());
    CHECK_THROWS_AS(make<int>(), std::bad_alloc);
    CHECK(allocation_failures::any_injected());
    const std::string where = failures.where();
    CHECK(where.starts_with("addr2line -Cpfe "));
    make<int>();
    CHECK(failures.injected() == 1);
}

TEST_CASE("allocation_failures: all forms of new, and aligned_alloc, fail in their own way") {
    const std::int64_t before = live_allocations();
    std::uint64_t counted = 0;
    {
        const allocation_failures all(1, 1000);
        CHECK_THROWS_AS(make<int>(), std::bad_alloc);
        CHECK_THROWS_AS(make<wide>(), std::bad_alloc);
        CHECK_THROWS_AS(make_array<int>(), std::bad_alloc);
        CHECK_THROWS_AS(make_array<wide>(), std::bad_alloc);
        CHECK_FALSE(make_nothrow<int>());
        CHECK_FALSE(make_nothrow<wide>());
        CHECK_FALSE(make_array_nothrow<int>());
        CHECK_FALSE(make_array_nothrow<wide>());
        CHECK_FALSE(take_aligned());
        CHECK_THROWS_AS(allocation_point(), std::bad_alloc);
        counted = all.counted();
    }
    CHECK(counted == 10);
    const allocation_failures none(0);
    make<wide>();
    make_array<wide>();
    CHECK(make_nothrow<wide>());
    CHECK(make_array_nothrow<wide>());
    CHECK(take_aligned());
    allocation_point();
    CHECK(none.counted() == 6);
    CHECK(live_allocations() == before);
}

TEST_CASE("allocation_failures: the given number of allocations in a row fails") {
    const allocation_failures failures(2, 3);
    make<int>();
    for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(make<int>(), std::bad_alloc);
    make<int>();
    CHECK(failures.counted() == 5);
    CHECK(failures.injected() == 3);
}

TEST_CASE("allocation_failures: other threads are not affected, and an inner object replaces the outer one") {
    const allocation_failures outer(1, 1000);
    {
        const allocation_failures inner(0);
        make<int>();
        CHECK(inner.counted() == 1);
    }
    bool failed = false;
    {
        const allocation_exemption starting_a_thread;
        std::thread([&] {
            try {
                make<int>();
            } catch (const std::bad_alloc&) {
                failed = true;
            }
        }).join();
    }
    CHECK_FALSE(failed);
    CHECK(outer.counted() == 0);
}

TEST_CASE("allocation_exemption: nothing fails inside of one, unless it is lifted or limited to Asio") {
    const allocation_failures all(1, 1000);
    {
        const allocation_exemption outer;
        const allocation_exemption inner;
        make<int>();
        CHECK(take_aligned());
        {
            const allocation_exemption::lift here;
            CHECK_FALSE(allocation_exemption::active());
            CHECK_THROWS_AS(make<int>(), std::bad_alloc);
        }
        CHECK(allocation_exemption::active());
        make<int>();
    }
    const allocation_exemption asio(allocation_exemption::of::asio);
    CHECK(take_aligned());
    CHECK_THROWS_AS(make<int>(), std::bad_alloc);
    CHECK(all.counted() == 2);
}

TEST_CASE("live_allocations: blocks that are not freed are counted") {
    const std::int64_t before = live_allocations();
    auto held = std::make_unique<int>();
    CHECK(live_allocations() == before + 1);
    held.reset();
    CHECK(live_allocations() == before);
}

TEST_CASE("sweep: a program that survives each failure passes, and its allocations are counted") {
    int runs = 0;
    const auto result = sweep([&](world& w) {
        ++runs;
        const auto first = std::make_unique<int>();
        context io(w);
        spawn(io.get_executor(), "one", [](world& in) -> boost::asio::awaitable<void> {
            timer t(co_await boost::asio::this_coro::executor, 1ms);
            co_await t.async_wait(boost::asio::use_awaitable);
            const auto second = std::make_unique<int>();
            in.note("through");
        }(w));
        w.run();
    });
    CHECK(result);
    CHECK(result.exhausted);
    CHECK(result.points >= 4);  // the two numbers, the frame of the coroutine and that of its wait
    CHECK(runs == static_cast<int>(result.points) + 2);  // one without a failure before, one after
}

TEST_CASE("sweep: a block that is not freed is found and named") {
    // The leak is wanted, but not by leak checkers.
    int* lost[8] = {};
    const auto remembering = [&](world&) {
        const auto first = std::make_unique<int>();
        auto second = std::make_unique<int>();
        try {
            const auto third = std::make_unique<int>();
        } catch (const std::bad_alloc&) {
            for (int*& slot : lost) {
                if (slot != nullptr) continue;
                slot = second.release();
                break;
            }
        }
    };
    const auto result = sweep(remembering);
    for (int* one : lost) delete one;
    REQUIRE(result.found);
    CHECK(result.failing == 3);
    CHECK(result.found->what == "1 blocks of memory are not freed");
    CHECK(result.found->found_as == "allocation 3 of run:");
}

TEST_CASE("sweep: a swallowed failure with an endless wait is found, as is another exception") {
    const auto result = sweep([](world& w) {
        context io(w);
        spawn(io.get_executor(), "swallower", []() -> boost::asio::awaitable<void> {
            timer t(co_await boost::asio::this_coro::executor);
            t.expires_at(world::time_point::max());
            bool failed = false;
            try {
                const auto some = std::make_unique<int>();
            } catch (const std::bad_alloc&) {
                failed = true;
            }
            if (failed) throw std::runtime_error("something else");
            co_await boost::asio::post(boost::asio::use_awaitable);
        }());
        w.run();
    });
    REQUIRE(result.found);
    CHECK(result.found->what == "swallower ends with an exception: something else");
    CHECK(result.found->trace.find("the allocation: addr2line") != std::string::npos);
}

TEST_CASE("sweep: an exception that Asio does not deliver to the coroutine is a violation") {
    const auto result = sweep([](world& w) {
        context io(w);
        spawn(io.get_executor(), "poster", []() -> boost::asio::awaitable<void> {
            co_await boost::asio::post(boost::asio::use_awaitable);
        }());
        w.run();
    });
    REQUIRE(result.found);
    CHECK(result.found->what == "std::bad_alloc leaves a task instead of reaching its coroutine");
}

TEST_CASE("sweep: run, failures in a row, number of attempts and world are options") {
    const auto by_choice = [](world& w) {
        for (std::size_t n = 1 + 3 * w.choose(2); n != 0; --n) const auto some = std::make_unique<int>();
    };
    CHECK(sweep(by_choice).points == 1);
    const auto chosen = sweep_options().run(run_name::parse("run:1"));
    CHECK(sweep(by_choice, chosen).points == 4);
    const auto few = sweep(by_choice, sweep_options(chosen).most(2));
    CHECK(few.points == 2);
    CHECK_FALSE(few.exhausted);
    const auto tries_twice = [](world& w) {
        for (int i = 0; i < 2; ++i) {
            try {
                const auto some = std::make_unique<int>();
                return;
            } catch (const std::bad_alloc&) {
            }
        }
        w.violate("there was none, twice");
    };
    CHECK(sweep(tries_twice));
    const auto outage = sweep(tries_twice, sweep_options().times(2));
    REQUIRE(outage.found);
    CHECK(outage.found->what == "there was none, twice");
    const auto long_one = [](world& w) {
        const auto some = std::make_unique<int>();
        const auto who = w.add_actor("one");
        for (int i = 0; i < 10; ++i) w.post(who, task([] {}), "nothing");
        w.run();
    };
    CHECK(sweep(long_one));
    CHECK(sweep(long_one, sweep_options().world(world_options().max_steps(5))).found);
}

TEST_CASE("sweep: a program that fails without an injected failure is reported as such") {
    const auto result = sweep([](world& w) { w.check(false, "wrong from the start"); });
    REQUIRE(result.found);
    CHECK(result.failing == 0);
    CHECK(result.points == 0);
    CHECK(result.found->what == "wrong from the start");
}

TEST_CASE("sweep: a sweep without any allocation is an error") {
    const auto found = [](const program& p) {
        const auto result = sweep(p);
        return result.found ? result.found->what : "";
    };
    const auto allocating = [](world&) { const auto some = std::make_unique<int>(); };
    CHECK_THROWS_WITH_AS(
        sweep(allocating, sweep_options().most(0)), "most: 0 is not at least 1", std::invalid_argument
    );
    CHECK_THROWS_WITH_AS(
        sweep(allocating, sweep_options().times(0)), "times: 0 is not at least 1", std::invalid_argument
    );
    CHECK(found([](world& w) { w.choose(2); }) == "nothing was swept: the program allocates no memory");
    CHECK(found([](world& w) {
              context io(w);
              spawn(io.get_executor(), "poster", []() -> boost::asio::awaitable<void> {
                  co_await boost::asio::post(boost::asio::use_awaitable);
              }());
          }) == "nothing ran: the program does not call world.run()");
}

TEST_CASE("sweep: a program that does not repeat itself is reported as not deterministic") {
    int runs = 0;
    const auto result = sweep([&](world& w) {
        const auto some = std::make_unique<int>();
        w.choose(2 + static_cast<std::size_t>(runs++ % 3));
    });
    REQUIRE(result.found);
    CHECK(result.found->what == "the program is not deterministic: equal decisions led to different ones");
    runs = 0;
    const auto once = sweep([&](world& w) {
        try {
            const auto some = std::make_unique<int>();
        } catch (const std::bad_alloc&) {
            w.check(++runs != 1, "wrong once");
        }
    });
    REQUIRE(once.found);
    CHECK(
        once.found->what ==
        "the program is not deterministic: equal decisions led to different ones; one run violated: wrong "
        "once"
    );
}

TEST_CASE("sweep: the replay of one failure reports the violation, or that the allocation does not occur") {
    const auto allocating = [](world&) { const auto some = std::make_unique<int>(); };
    const std::string first = replay_failure(allocating, 1).text();
    CHECK(first.starts_with("nothing was violated\nran as allocation 1 of run: "));
    CHECK(first.find("the allocation: addr2line") != std::string::npos);
    CHECK(replay_failure(allocating, 9).trace.starts_with("the allocation: not reached\n"));
}
