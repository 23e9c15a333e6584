#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/timer.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "runtime/context_service.hpp"
#include "simulation/append_twice.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace rangeio::sim;
using namespace std::chrono_literals;
using support::append_twice;

// The kit itself: on programs of which it is known what is wrong with them, and how many runs they have.

namespace {

/// Two actors with two steps each: six orders.
std::set<std::string> orders(const explore_options& options, exploration& result) {
    std::set<std::string> seen;
    result = explore(
        [&](world& w) {
            std::string order;
            context io(w);
            spawn(io.make_executor("a"), "a", append_twice(order, 'a'));
            spawn(io.make_executor("b"), "b", append_twice(order, 'b'));
            w.run();
            seen.insert(order);
        },
        options
    );
    return seen;
}

const std::set<std::string> all_orders{"aabb", "abab", "abba", "baab", "baba", "bbaa"};

asio::awaitable<void> read_then_write(int& shared) {
    const int seen = shared;
    co_await asio::post(asio::use_awaitable);
    shared = seen + 1;
}

/// A lost update: wrong if both read before either writes.
void lost_update(world& w) {
    int shared = 0;
    context io(w);
    spawn(io.make_executor("first"), "first", read_then_write(shared));
    spawn(io.make_executor("second"), "second", read_then_write(shared));
    spawn(io.make_executor("bystander"), "bystander", [](int) -> asio::awaitable<void> {
        for (int i = 0; i < 5; ++i) co_await asio::post(asio::use_awaitable);
    }(0));
    w.run();
    w.check(shared == 2, "an update is lost");
}

}  // namespace

TEST_CASE("kit: depth first with enough deviations sees every order once and reports completeness") {
    exploration result;
    CHECK(orders(explore_options().by(search::dfs).deviations(20), result) == all_orders);
    CHECK(result.exhausted);
    CHECK(result.text().find("; there are no others with so few deviations\n") != std::string::npos);
    CHECK_FALSE(result.found);
}

TEST_CASE("kit: depth first cut off by its limit reports that other schedules exist") {
    exploration result;
    orders(explore_options().by(search::dfs).deviations(20), result);
    const auto all = result.schedules;
    orders(explore_options().by(search::dfs).deviations(20).schedules(all), result);
    CHECK(result.exhausted);
    CHECK_FALSE(result.cut_off);
    orders(explore_options().by(search::dfs).deviations(20).schedules(all - 1), result);
    CHECK(result.schedules == all - 1);
    CHECK_FALSE(result.exhausted);
    CHECK(result.cut_off);
    CHECK(result.text().find("; there are others with so few deviations") != std::string::npos);
}

TEST_CASE("kit: without deviations the plainest order is the only one") {
    exploration result;
    CHECK(orders(explore_options().by(search::dfs).deviations(0), result) == std::set<std::string>{"aabb"});
    CHECK(result.schedules == 1);
    CHECK(result.exhausted);
}

TEST_CASE("kit: random and PCT runs see every order") {
    exploration result;
    CHECK(orders(explore_options().by(search::random).schedules(300), result) == all_orders);
    CHECK(orders(explore_options().by(search::pct).schedules(2000), result) == all_orders);
}

TEST_CASE("kit: a PCT run of depth d changes priorities at most d - 1 times") {
    exploration result;
    const auto seen = [&](std::size_t depth) {
        return orders(explore_options().by(search::pct).depth(depth).schedules(2000), result);
    };
    CHECK(seen(1) == std::set<std::string>{"aabb", "bbaa"});
    CHECK(seen(2) == std::set<std::string>{"aabb", "abba", "baab", "bbaa"});
    CHECK(seen(3) == all_orders);
}

TEST_CASE("kit: each strategy finds a lost update, shrinks it to one deviation, and replays it by name") {
    for (const search how : {search::dfs, search::pct, search::random}) {
        const auto result = explore(lost_update, explore_options().by(how));
        REQUIRE(result.found);
        CHECK(result.found->what == "an update is lost");
        // The second one reads, before the first one writes: nothing else has to be unusual.
        const auto decisions = read_decisions(result.found->shrunk_to.substr(4));
        CHECK(std::count(decisions.begin(), decisions.end(), 0U) + 1 >= std::ssize(decisions));
        for (const std::string& name : {result.found->shrunk_to, result.found->found_as}) {
            const auto again = replay(lost_update, run_name::parse(name));
            CHECK(again.what == "an update is lost");
            if (name == result.found->found_as) CHECK(again.decisions == result.found->decisions);
            CHECK(again.trace == replay(lost_update, run_name::parse(name)).trace);
        }
        CHECK(replay(lost_update, run_name::parse(result.found->shrunk_to)).trace == result.found->trace);
    }
}

TEST_CASE("kit: the same seed gives the same run, another seed another run") {
    const auto one = replay(lost_update, run_name::random(7));
    CHECK(one.trace == replay(lost_update, run_name::random(7)).trace);
    CHECK(one.trace != replay(lost_update, run_name::random(8)).trace);
}

TEST_CASE("kit: an invalid run name is rejected with the reason") {
    CHECK_THROWS_WITH_AS(
        run_name::parse("dfs:1"),
        "run \"dfs:1\": not random:SEED, pctDEPTH:SEED or run:DECISIONS",
        std::invalid_argument
    );
    CHECK_THROWS_AS(run_name::parse("random:x"), std::invalid_argument);
    CHECK_THROWS_AS(run_name::parse("random:"), std::invalid_argument);
    CHECK_THROWS_AS(run_name::parse("pct0:1"), std::invalid_argument);
    CHECK_THROWS_AS(run_name::parse("run:1*"), std::invalid_argument);
    CHECK_THROWS_AS(run_name::parse("run:1,2"), std::invalid_argument);
    CHECK_THROWS_AS(run_name::parse("run:1*4000000000"), std::invalid_argument);
    for (const char* text : {"random:42", "pct3:42", "run:0*12.2.1", "run:"})
        CHECK(run_name::parse(text).text() == text);
}

namespace {

asio::awaitable<void> wait_and_note(std::chrono::milliseconds how_long, std::vector<int>& order, int who) {
    timer t(co_await asio::this_coro::executor, how_long);
    co_await t.async_wait(asio::use_awaitable);
    order.push_back(who);
}

}  // namespace

TEST_CASE("kit: timers expire in the order of their times, and hours take no real time") {
    replay_strategy plain({});
    world w(plain);
    context io(w);
    std::vector<int> order;
    const auto start = w.now();
    spawn(io.get_executor(), "long", wait_and_note(3'600'000ms, order, 2));
    spawn(io.get_executor(), "short", wait_and_note(1ms, order, 1));
    w.run();
    CHECK(order == std::vector<int>{1, 2});
    CHECK(w.now() - start == 1h);
    CHECK(w.violation() == "");
}

TEST_CASE(
    "kit: a cancelled wait ends with operation_aborted, by cancel, expires_after, a slot or the timer's end"
) {
    replay_strategy plain({});
    world w(plain);
    context io(w);
    std::vector<boost::system::error_code> ends(4);
    const auto note = [&](std::size_t i) {
        return [&ends, i](boost::system::error_code ec) { ends[i] = ec; };
    };
    timer first(io.get_executor(), 1h);
    first.async_wait(note(0));
    CHECK(first.cancel() == 1);
    first.expires_after(2h);
    first.async_wait(note(1));
    CHECK(first.expires_after(1s) == 1);
    asio::cancellation_signal signal;
    first.async_wait(asio::bind_cancellation_slot(signal.slot(), note(2)));
    signal.emit(asio::cancellation_type::terminal);
    {
        timer second(io.get_executor(), 1h);
        second.async_wait(note(3));
    }
    const auto start = w.now();
    w.run();
    for (const auto& ec : ends) CHECK(ec == asio::error::operation_aborted);
    CHECK(w.now() == start);
}

TEST_CASE("kit: a wait that is cancelled after its timer expired succeeds, as in Asio") {
    replay_strategy plain({});
    world w(plain);
    context io(w);
    timer t(io.get_executor(), 1ms);
    std::optional<boost::system::error_code> end;
    t.async_wait([&](boost::system::error_code ec) { end = ec; });
    timer same_time(io.get_executor(), 1ms);
    CHECK(w.step());
    CHECK(t.cancel() == 0);
    w.run();
    REQUIRE(end);
    CHECK_FALSE(*end);
}

TEST_CASE("kit: the operators of awaitables work with its timers") {
    replay_strategy plain({});
    world w(plain);
    context io(w);
    const auto race = []() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        timer shorter(co_await asio::this_coro::executor, 1ms);
        timer longer(co_await asio::this_coro::executor, 1h);
        const auto first =
            co_await (shorter.async_wait(asio::use_awaitable) || longer.async_wait(asio::use_awaitable));
        CHECK(first.index() == 0);
    };
    const auto start = w.now();
    spawn(io.get_executor(), "race", race());
    w.run();
    CHECK(w.violation() == "");
    CHECK(w.now() - start == 1ms);
}

namespace {

/// Waits until the handler in `keep` is called; a handler that is not kept is dropped, and the coroutine with it.
asio::awaitable<void> sleep_in(std::optional<asio::any_completion_handler<void()>>* keep) {
    return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
        [keep](auto handler) {
            if (keep != nullptr) keep->emplace(std::move(handler));
        },
        asio::use_awaitable
    );
}

}  // namespace

TEST_CASE("kit: an operation that never ends is a violation that names it, a dropped one is none") {
    const auto dropped = explore([](world& w) {
        context io(w);
        spawn(io.get_executor(), "the sleeper", sleep_in(nullptr));
        w.run();
    });
    CHECK_FALSE(dropped.found);

    const auto stuck = explore([](world& w) {
        std::optional<asio::any_completion_handler<void()>> kept;
        context io(w);
        spawn(io.get_executor(), "the sleeper", sleep_in(&kept));
        w.run();
        kept.reset();
    });
    REQUIRE(stuck.found);
    CHECK(stuck.found->what == "never ends: the sleeper; nothing is left to wake it");
}

TEST_CASE("kit: an endless loop is a violation, and so is an exception") {
    const auto spin = [](world& w) {
        context io(w);
        spawn(io.get_executor(), "spinner", []() -> asio::awaitable<void> {
            for (;;) co_await asio::post(asio::use_awaitable);
        }());
        w.run();
    };
    auto result = explore(spin, explore_options().world(world_options().max_steps(100)).shrink_runs(10));
    REQUIRE(result.found);
    CHECK(result.found->what == "no end: 100 steps were taken");

    const auto thrower = [](world& w) {
        context io(w);
        spawn(io.get_executor(), "thrower", []() -> asio::awaitable<void> {
            co_await asio::post(asio::use_awaitable);
            throw std::runtime_error("no good");
        }());
        w.run();
    };
    result = explore(thrower);
    REQUIRE(result.found);
    CHECK(result.found->what == "thrower ends with an exception: no good");
}

TEST_CASE("kit: a program that depends on more than its decisions is not deterministic") {
    int calls = 0;
    const auto result = explore(
        [&](world& w) {
            w.choose(++calls == 2 ? 3 : 2);
            w.choose(2);
        },
        explore_options().by(search::dfs)
    );
    REQUIRE(result.found);
    CHECK(result.found->what == "the program is not deterministic: equal decisions led to different ones");
}

TEST_CASE("kit: destruction of a context destroys the coroutines that wait in it") {
    replay_strategy plain({});
    world w(plain);
    auto alive = std::make_shared<int>();
    {
        context io(w);
        const auto sleeper = [](std::shared_ptr<int> held) -> asio::awaitable<void> {
            timer t(co_await asio::this_coro::executor, 1h);
            co_await t.async_wait(asio::use_awaitable);
            (void)held;
        };
        spawn(io.get_executor(), "sleeper", sleeper(alive));
        while (w.steps() < 2 && w.step()) {
        }
        CHECK(alive.use_count() > 1);
    }
    CHECK(alive.use_count() == 1);
    w.run();
    CHECK(w.violation() == "");
}

TEST_CASE("kit: early timers expire before ready tasks, at most the given number of times") {
    const auto program = [](world& w, bool& early) {
        context io(w);
        bool done = false;
        timer t(io.get_executor(), 1s);
        t.async_wait([&](boost::system::error_code) { early = early || !done; });
        spawn(io.make_executor("worker"), "worker", [](bool& over) -> asio::awaitable<void> {
            co_await asio::post(asio::use_awaitable);
            over = true;
        }(done));
        w.run();
    };
    bool early = false;
    explore([&](world& w) { program(w, early); }, explore_options().by(search::dfs).deviations(9));
    CHECK_FALSE(early);
    explore(
        [&](world& w) { program(w, early); },
        explore_options().by(search::dfs).deviations(9).world(world_options().early_timers(1))
    );
    CHECK(early);
}

TEST_CASE("kit: at a preemption point other tasks run, then the task continues") {
    std::set<std::string> seen;
    const auto result = explore(
        [&](world& w) {
            std::string order;
            context io(w);
            asio::post(io.make_executor("a"), [&] {
                order += 'a';
                w.preemption_point("in the middle");
                order += 'A';
            });
            asio::post(io.make_executor("b"), [&] { order += 'b'; });
            w.run();
            seen.insert(order);
        },
        explore_options().by(search::dfs).deviations(9)
    );
    CHECK(result.exhausted);
    CHECK(seen == std::set<std::string>{"aAb", "abA", "baA"});
}

namespace {

class stubborn final : public rangeio::runtime::tracked_operation {
    void on_shutdown() noexcept override {}
};

}  // namespace

TEST_CASE("kit: a context whose destruction waits for an operation without end is a violation, not a hang") {
    const auto result = explore(
        [](world& w) {
            const auto stays = std::make_shared<stubborn>();
            auto io = std::make_unique<context>(w);
            const auto core = rangeio::runtime::core_of(io->get_executor());
            core->enter(*stays);
            io.reset();
            core->leave(*stays);
        },
        explore_options().schedules(1)
    );
    REQUIRE(result.found);
    CHECK(result.text().find("a context is being destroyed") != std::string::npos);
}

namespace {

class nobody_listens final : public rangeio::stream_listener {
    void opened(std::shared_ptr<const rangeio::object_info>) noexcept override {}
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const rangeio::error_value&) noexcept override {}
};

class dropped_read final : public rangeio::range_sink {
    rangeio::byte_range range() const noexcept override { return {0, 8}; }
    std::uint32_t take(std::uint64_t, std::span<const std::byte>, std::uint32_t crc) noexcept override {
        return crc;
    }
    void done(const rangeio::range_outcome&) noexcept override {}
};

}  // namespace

TEST_CASE("kit: a second read on a stream that takes one range at a time is a violation") {
    for (const bool multi_request : {false, true}) {
        const auto result = explore(
            [&](world& w) {
                const rangeio::testing::scripted_service service(w);
                const auto stream = service.streams(multi_request)->create();
                stream->open(std::make_shared<nobody_listens>());
                for (int i = 0; i < 2; ++i) stream->read(std::make_shared<dropped_read>());
                stream->close({});
                w.run();
            },
            explore_options().schedules(1)
        );
        CHECK(static_cast<bool>(result.found) == !multi_request);
    }
}

TEST_CASE("kit: allocation_failures is an error in a program that does not replace operator new") {
    CHECK_THROWS_WITH_AS(
        rangeio::sim::allocation_failures(1),
        "operator new is not replaced: one source of the program has to include "
        "rangeio/sim/replace_new.hpp",
        std::logic_error
    );
}
