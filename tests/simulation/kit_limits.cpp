#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/manual_time.hpp>
#include <rangeio/sim/timer.hpp>

#include "runtime/context_service.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/system_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

using namespace rangeio::sim;
using namespace std::chrono_literals;

// Where the kit ends: time that never comes, runs in which nothing happens or that never end, and what no strategy
// decides.

namespace {

constexpr search every_search[] = {search::dfs, search::pct, search::random};

asio::awaitable<void> wait_for(timer& t, boost::system::error_code& end) {
    co_await t.async_wait(asio::redirect_error(asio::use_awaitable, end));
}

asio::awaitable<void> post_often(int times) {
    for (int i = 0; i < times; ++i) co_await asio::post(asio::use_awaitable);
}

/// What becomes of a coroutine that waits for a timer which `set` has set.
std::string waits(const std::function<void(timer&)>& set, const world_options& options = {}) {
    std::set<std::string> seen;
    for (const search how : every_search) {
        const auto result = explore(
            [&](world& w) {
                context io(w);
                timer t(io.get_executor());
                set(t);
                boost::system::error_code end;
                spawn(io.make_executor("waiter"), "waiter", wait_for(t, end));
                w.run();
                if (w.violation().empty()) w.check(!end.failed(), "the wait fails");
            },
            explore_options().by(how).schedules(5).world(options)
        );
        seen.insert(result.found ? result.found->what : "");
    }
    REQUIRE(seen.size() == 1);
    return *seen.begin();
}

const std::string never = "never ends: waiter; nothing is left to wake it";

}  // namespace

TEST_CASE("kit: a timer that never expires leaves its waiter as a violation") {
    CHECK(waits([](timer& t) { t.expires_at(world::time_point::max()); }) == never);
    CHECK(waits([](timer& t) { t.expires_at(world::time_point::max() - 1ns); }) == never);
    CHECK(waits([](timer& t) { t.expires_after(timer::duration::max()); }) == never);
    CHECK(waits([](timer& t) { t.expires_after(timer::duration::max() - 1h); }) == never);
    CHECK(waits([](timer& t) { t.expires_after(timer::duration::max() / 2); }) == never);
    CHECK(waits([](timer& t) { t.expires_after(1'000'000h); }) == never);
}

TEST_CASE("kit: a timer far in the past expires at once, one far in the future at its time") {
    CHECK(waits([](timer& t) { t.expires_at(world::time_point::min()); }) == "");
    CHECK(waits([](timer& t) { t.expires_after(timer::duration::min()); }) == "");
    CHECK(waits([](timer& t) { t.expires_after(24h * 365 * 99); }) == "");
}

TEST_CASE("kit: cancellation of a timer that never expires resumes its waiter") {
    replay_strategy plain({});
    world w(plain);
    context io(w);
    timer t(io.get_executor(), world::time_point::max());
    boost::system::error_code end;
    spawn(io.get_executor(), "waiter", wait_for(t, end));
    const auto start = w.now();
    w.run();
    CHECK_FALSE(w.violation().empty());

    world again(plain);
    context other(again);
    timer u(other.get_executor(), world::time_point::max());
    spawn(other.get_executor(), "waiter", wait_for(u, end));
    asio::post(other.make_executor("waker"), [&u] { u.cancel(); });
    again.run();
    CHECK(again.violation() == "");
    CHECK(end == asio::error::operation_aborted);
    CHECK(again.now() == start);
}

TEST_CASE("kit: the engine's timers without expiry never fire, in a world and in manual time") {
    const auto never_due = [](bool& due) { return [&due] { due = true; }; };
    replay_strategy plain({});
    world w(plain);
    context io(w);
    bool due = false;
    const auto core = rangeio::runtime::core_of(io.get_executor());
    const auto timer = core->set_timer(io.get_executor(), std::chrono::nanoseconds::max(), never_due(due));
    const auto start = w.now();
    w.run();
    CHECK_FALSE(due);
    CHECK(w.now() == start);

    asio::io_context real;
    rangeio::sim::manual_time time(real);
    const auto manual = rangeio::runtime::core_of(real.get_executor());
    time.pass(1h);
    const auto late = manual->set_timer(real.get_executor(), std::chrono::nanoseconds::max(), never_due(due));
    time.pass(1h);
    time.pass(std::chrono::nanoseconds::max());
    time.pass(std::chrono::nanoseconds::max());
    CHECK_FALSE(due);
    CHECK(time.timers() == 1);
}

TEST_CASE("kit: max_time limits the virtual time") {
    const auto in_an_hour = [](timer& t) { t.expires_after(1h); };
    CHECK(waits(in_an_hour, world_options().max_time(1h)) == "");
    CHECK(waits(in_an_hour, world_options().max_time(1h - 1ns)) == never);
    CHECK(
        waits(
            [](timer& t) { t.expires_at(world::time_point::max() - 2h); },
            world_options().max_time(std::chrono::nanoseconds::max())
        ) == ""
    );
    CHECK_THROWS_WITH_AS(
        waits(in_an_hour, world_options().max_time(0ns)),
        "max_time: 0 ns is not at least 1 ns",
        std::invalid_argument
    );
}

TEST_CASE("kit: a timer without expiry is never due early") {
    std::set<bool> seen;
    const auto result = explore(
        [&](world& w) {
            context io(w);
            timer t(io.get_executor(), world::time_point::max());
            bool due = false;
            t.async_wait([&](boost::system::error_code ec) { due = !ec; });
            spawn(io.make_executor("worker"), "worker", post_often(3));
            w.run();
            seen.insert(due);
        },
        explore_options().by(search::dfs).deviations(9).world(world_options().early_timers(3))
    );
    CHECK(result.exhausted);
    CHECK(result.schedules == 1);
    CHECK(seen == std::set<bool>{false});
}

TEST_CASE("kit: max_steps limits the steps of a run") {
    const auto program = [](world& w) {
        context io(w);
        spawn(io.get_executor(), "poster", post_often(50));
        w.run();
    };
    const auto within = [&](std::size_t steps) {
        return explore(program, explore_options().schedules(1).world(world_options().max_steps(steps)));
    };
    const auto steps = within(1000).steps;
    CHECK_FALSE(within(steps).found);
    CHECK(within(steps - 1).found);
    CHECK_THROWS_WITH_AS(within(0), "max_steps: 0 is not at least 1", std::invalid_argument);
}

TEST_CASE("kit: max_preempted limits the tasks that are suspended at preemption points at once") {
    const auto orders = [](std::size_t most) {
        std::set<std::string> seen;
        explore(
            [&](world& w) {
                std::string order;
                context io(w);
                for (const char who : {'a', 'b', 'c'}) {
                    asio::post(io.make_executor(std::string(1, who)), [&order, &w, who] {
                        order += who;
                        w.preemption_point("in the middle");
                        order += static_cast<char>(who - 'a' + 'A');
                    });
                }
                w.run();
                seen.insert(order);
            },
            explore_options()
                .by(search::dfs)
                .deviations(9)
                .schedules(1'000'000)
                .world(world_options().max_preempted(most))
        );
        return seen;
    };
    CHECK(orders(0) == std::set<std::string>{"aAbBcC", "aAcCbB", "bBaAcC", "bBcCaA", "cCaAbB", "cCbBaA"});
    CHECK(orders(1).contains("abBcCA"));
    CHECK_FALSE(orders(1).contains("abcCBA"));
    CHECK(orders(2).contains("abcCBA"));
}

TEST_CASE("kit: a trace is kept on request, and a long one is cut in its middle") {
    const auto traced = [](const world_options& options) {
        replay_strategy plain({});
        world w(plain, options);
        context io(w);
        spawn(io.get_executor(), "poster", post_often(1000));
        w.run();
        return w.trace();
    };
    const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
    CHECK(lines(traced(world_options())) == 1);
    CHECK(lines(traced(world_options().traced(true))) == 402);  // its head, and what is left out
    CHECK(lines(traced(world_options().traced(true).max_trace_lines(0))) > 1000);
    const std::string cut = traced(world_options().traced(true).max_trace_lines(10));
    CHECK(lines(cut) == 12);
    CHECK(
        cut.find("\n    5    0.000 ms  main  goes on\n"
                 "  ...  the lines between step 5 and step 997 are left out\n"
                 "  997    0.000 ms  main  goes on\n") != std::string::npos
    );
}

TEST_CASE("kit: the trace of an endless run shows its beginning and its end") {
    const auto result = explore([](world& w) {
        context io(w);
        spawn(io.get_executor(), "spinner", post_often(std::numeric_limits<int>::max()));
        w.run();
    });
    REQUIRE(result.found);
    const std::string& trace = result.found->trace;
    CHECK(std::count(trace.begin(), trace.end(), '\n') == 402);
    CHECK(trace.find("\n100001 ") != std::string::npos);
    CHECK(trace.find("no end: 100000 steps were taken\n") != std::string::npos);
}

TEST_CASE("kit: a replayed run reports whether anything was violated") {
    const auto program = [](world& w) {
        context io(w);
        spawn(io.get_executor(), "poster", post_often(1));
        w.run();
        w.check(w.choose(2) == 0, "the wrong choice");
    };
    const std::string clean = replay(program, run_name::parse("run:")).text();
    CHECK(clean.starts_with("nothing was violated\nran as run: (1 decisions)\n step "));
    CHECK(clean.find("violated:") == std::string::npos);
    const std::string wrong = replay(program, run_name::parse("run:1")).text();
    CHECK(wrong.starts_with("violated: the wrong choice\nfound as run:1 (1 decisions)\n"));
}

TEST_CASE("kit: an exploration without any schedule is an error") {
    const auto found = [](const program& p) {
        std::set<std::string> seen;
        for (const search how : every_search) {
            const auto result = explore(p, explore_options().by(how).schedules(3));
            seen.insert(result.found ? result.found->what : "");
        }
        const auto shown = replay(p, run_name::parse("run:"));
        seen.insert(shown.what);
        REQUIRE(seen.size() == 1);
        return *seen.begin();
    };
    const std::string not_run = "nothing ran: the program does not call world.run()";
    CHECK_THROWS_WITH_AS(
        explore([](world&) {}, explore_options().schedules(0)),
        "schedules: 0 is not at least 1",
        std::invalid_argument
    );
    CHECK(found([](world& w) {
              context io(w);
              spawn(io.get_executor(), "poster", post_often(1));
          }) == not_run);
    CHECK(found([](world& w) {
              context io(w);
              asio::post(io.get_executor(), [] {});
              w.choose(2);
          }) == not_run);
    CHECK(found([](world& w) {
              context io(w);
              timer t(io.get_executor(), 1ms);
              t.async_wait([](boost::system::error_code) {});
          }) == not_run);
    CHECK(found([](world& w) {
              context io(w);
              spawn(io.get_executor(), "poster", post_often(1));
              w.run();
              spawn(io.get_executor(), "forgotten", post_often(1));
          }) == "an operation never ran: the program does not call world.run() after it was spawned");
    const std::string nothing =
        "nothing was explored: the program takes no step and leaves nothing to decide";
    CHECK(found([](world&) {}) == nothing);
    CHECK(found([](world& w) {
              const context io(w);
              w.run();
          }) == nothing);
    // Chance alone is something to explore, and a world that is run step by step is run.
    CHECK(found([](world& w) { w.choose(2); }) == "");
    CHECK(found([](world& w) {
              context io(w);
              spawn(io.get_executor(), "poster", post_often(1));
              while (w.step()) {
              }
          }) == "");
}

namespace {

const std::string unsteady = "the program is not deterministic: equal decisions led to different ones";

/// Has another run each second time.
program alternating(int& runs) {
    return [&runs](world& w) {
        context io(w);
        spawn(io.make_executor("a"), "a", post_often(2 + ++runs % 2));
        spawn(io.make_executor("b"), "b", post_often(2));
        w.run();
    };
}

/// Is wrong from its tenth run on, whatever is decided.
program ageing(int& runs) {
    return [&runs](world& w) {
        context io(w);
        spawn(io.make_executor("a"), "a", post_often(3));
        spawn(io.make_executor("b"), "b", post_often(3));
        w.run();
        w.check(++runs < 10, "flaky");
    };
}

}  // namespace

TEST_CASE("kit: a program that does not repeat itself is found not deterministic, by each strategy and replay"
) {
    for (const search how : every_search) {
        CAPTURE(static_cast<int>(how));
        int runs = 0;
        const auto other = explore(alternating(runs), explore_options().by(how));
        REQUIRE(other.found);
        CHECK(other.found->what == unsteady);
        CHECK(other.found->shrunk_to == other.found->found_as);
        runs = 0;
        const auto aged = explore(ageing(runs), explore_options().by(how).deviations(9));
        REQUIRE(aged.found);
        CHECK(aged.found->what == unsteady + "; one run violated: flaky");
        // Wrong once, and never again.
        runs = 0;
        const auto once = explore(
            [&](world& w) { ageing(runs)(w), runs = runs == 10  ? 11
                                                    : runs < 10 ? runs
                                                                : 0; },
            explore_options().by(how).deviations(9)
        );
        REQUIRE(once.found);
        CHECK(once.found->what == unsteady + "; one run violated: flaky");
    }
    int runs = 0;
    CHECK(replay(alternating(runs), run_name::random(1)).what == unsteady);
    runs = 8;
    CHECK(replay(ageing(runs), run_name::random(1)).what == unsteady);
    runs = 10;
    CHECK(replay(ageing(runs), run_name::random(1)).what == "flaky");
}

TEST_CASE("kit: a run that differs between repetitions is detected during shrinking") {
    int runs = 0;
    const auto result = explore(
        [&](world& w) {
            ++runs;
            context io(w);
            spawn(io.make_executor("a"), "a", post_often(3));
            spawn(io.make_executor("b"), "b", post_often(3));
            w.run();
            // The first run, its repetition, and the first attempt to shrink it.
            w.check(runs > 3, "wrong at first");
        },
        explore_options().shrink_runs(50)
    );
    REQUIRE(result.found);
    CHECK(result.found->what == unsteady + "; one run violated: wrong at first");
}

namespace {

asio::awaitable<void> real_timer() {
    asio::steady_timer t(co_await asio::this_coro::executor, 1h);
    co_await t.async_wait(asio::use_awaitable);
}

asio::awaitable<void> real_system_timer() {
    asio::system_timer t(co_await asio::this_coro::executor, 1h);
    co_await t.async_wait(asio::use_awaitable);
}

asio::awaitable<void> real_acceptor() {
    asio::ip::tcp::acceptor a(co_await asio::this_coro::executor, {asio::ip::address_v4::loopback(), 0});
    co_await a.async_accept(asio::use_awaitable);
}

asio::awaitable<void> real_udp_socket() {
    asio::ip::udp::socket s(co_await asio::this_coro::executor, {asio::ip::address_v4::loopback(), 0});
    co_await s.async_wait(asio::ip::udp::socket::wait_read, asio::use_awaitable);
}

asio::awaitable<void> real_signals() {
    asio::signal_set s(co_await asio::this_coro::executor, SIGUSR2);
    co_await s.async_wait(asio::use_awaitable);
}

asio::awaitable<void> real_resolver() {
    asio::ip::tcp::resolver r(co_await asio::this_coro::executor);
    co_await r.async_resolve("127.0.0.1", "1", asio::ip::tcp::resolver::numeric_host, asio::use_awaitable);
}

asio::awaitable<void> due_at_once() {
    asio::steady_timer t(co_await asio::this_coro::executor, 0s);
    co_await t.async_wait(asio::use_awaitable);
}

exploration explore_one(asio::awaitable<void> (*operation)()) {
    return explore(
        [operation](world& w) {
            context io(w, "shop");
            spawn(io.get_executor(), "waiter", operation());
            w.run();
        },
        explore_options().schedules(3)
    );
}

}  // namespace

TEST_CASE("kit: a wait for Asio's own timer, socket or signal is a violation that names it") {
    const std::pair<asio::awaitable<void> (*)(), const char*> rows[] = {
        {&real_timer, "asio::steady_timer"},
        {&real_system_timer, "asio::system_timer"},
        {&real_acceptor, "a TCP socket or acceptor"},
        {&real_udp_socket, "a UDP socket"},
        {&real_signals, "asio::signal_set"},
    };
    for (const auto& [operation, name] : rows) {
        const auto result = explore_one(operation);
        REQUIRE(result.found);
        CHECK(
            result.found->what ==
            "waiter waits for something that is not in this world: " + std::string(name) +
                " on the sim::context \"shop\", where there is neither real time nor a network; sim::timer "
                "is "
                "the timer of a world"
        );
        CHECK(result.found->shrunk_to == "random:1");
    }
}

// Asio's own thread completes before or after the world becomes idle, depending on the machine.
TEST_CASE("kit: a completion by Asio's own thread is named, whenever it arrives") {
    for (int i = 0; i < 20; ++i) {
        for (const auto operation : {&due_at_once, &real_resolver}) {
            const auto result = explore_one(operation);
            REQUIRE(result.found);
            CHECK(
                result.found->what.find(
                    operation == &due_at_once ? ": asio::steady_timer on the sim::context \"shop\""
                                              : ": a TCP resolver on the sim::context \"shop\""
                ) != std::string::npos
            );
        }
    }
}

TEST_CASE("kit: a task from another thread is a violation, and is dropped with its context") {
    const auto alive = std::make_shared<int>();
    const auto result = explore([&](world& w) {
        context io(w);
        const auto where = io.get_executor();
        asio::post(where, [] {});
        std::thread([&] { asio::post(where, [alive] { FAIL("it ran"); }); }).join();
        w.run();
    });
    CHECK(alive.use_count() == 1);
    REQUIRE(result.found);
    CHECK(result.found->what == "a task arrives from another thread: no strategy decides its arrival");
}

TEST_CASE("kit: a real timer without a waiter has no effect") {
    const auto result = explore(
        [](world& w) {
            context io(w);
            asio::steady_timer unused(io.get_executor());
            spawn(io.get_executor(), "poster", post_often(2));
            w.run();
        },
        explore_options().schedules(3)
    );
    CHECK_FALSE(result.found);
}
