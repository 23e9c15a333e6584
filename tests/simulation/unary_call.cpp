#include "grpc/unary_call.hpp"

#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>

#include "runtime/operation.hpp"
#include "support/await_operation.hpp"
#include "support/drawn_waits.hpp"
#include "support/grpc_failures.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace rangeio;
using namespace rangeio::grpc_transport;
using namespace std::chrono_literals;
namespace sim = rangeio::sim;
using support::cancelled;
using support::unavailable;

// A question for metadata, its shell and machine together, over calls that end as a script says.

namespace {

/// What becomes of a call. Those beyond the script are answered.
struct planned {
    std::chrono::nanoseconds after{1ms};
    error_value why;
    bool hangs = false;
};

class service final : public unary_connector {
public:
    service(sim::world& in, std::vector<planned> plan)
        : world_(in), actor_(in.add_actor("service", true)), plan_(std::move(plan)) {}

    std::shared_ptr<unary_attempt> create(
        std::shared_ptr<const unary_request> request, std::shared_ptr<unary_attempt_events> events
    ) override {
        const std::size_t number = calls++;
        world_.check(open == 0, "two calls at once");
        world_.check(request->message == "question", "another question");
        const planned what = number < plan_.size() ? plan_[number] : planned();
        return std::make_shared<attempt>(*this, what, std::move(events));
    }

    std::size_t calls = 0;
    std::size_t open = 0;
    std::size_t stalls = 0;

private:
    class attempt final : public unary_attempt, public std::enable_shared_from_this<attempt> {
    public:
        attempt(service& of, planned what, std::shared_ptr<unary_attempt_events> events)
            : of_(of), what_(std::move(what)), events_(std::move(events)) {}

        void start() override {
            ++of_.open;
            if (!what_.hangs) end_after(what_.after, what_.why);
        }
        void cancel(cancel_reason why) noexcept override {
            if (why == cancel_reason::stalled) ++of_.stalls;
            end_after(1us, cancelled);
        }

    private:
        void end_after(std::chrono::nanoseconds delay, error_value why) {
            auto then = [self = shared_from_this(), why = std::move(why)] {
                const auto events = std::move(self->events_);
                if (events == nullptr) return;
                --self->of_.open;
                events->on_done({why, why ? "" : "answer"});
            };
            of_.world_.call_after(of_.actor_, delay, sim::task(std::move(then)), "ends the call");
        }

        service& of_;
        const planned what_;
        std::shared_ptr<unary_attempt_events> events_;
    };

    sim::world& world_;
    sim::actor_id actor_;
    std::vector<planned> plan_;
};

class question_scene {
public:
    question_scene(
        sim::world& in,
        std::vector<planned> plan,
        retry_policy policy = {},
        std::optional<std::uint32_t> seed = 7,
        bool answered_before = true
    )
        : world_(in), peer(in, std::move(plan)), io_(std::make_unique<sim::context>(in, "asker")) {
        unary_call::environment env;
        env.connector = std::shared_ptr<unary_connector>(std::shared_ptr<void>(), &peer);
        env.core = runtime::core_of(io_->get_executor());
        env.executor = io_->get_executor();
        env.retry = policy;
        env.watch = std::make_shared<endpoint_watch>(env.core, env.executor, nullptr, "host:1");
        if (answered_before) env.watch->answered();
        env.open_timeout = 30s;
        if (seed) env.seed = [number = *seed] { return number; };
        unary_request asked;
        asked.message = "question";
        question = std::make_shared<unary_call>(std::move(env), std::move(asked));
        began_ = in.now();
    }

    void ask(std::chrono::nanoseconds limit = 0ns, asio::cancellation_slot slot = {}) {
        sim::spawn(io_->get_executor(), "the question", answer(limit), slot);
    }
    void run() {
        world_.run();
        world_.check(peer.open == 0, "a call is left");
    }
    void destroy_context() { io_.reset(); }
    std::chrono::nanoseconds took() const { return ended_ - began_; }

private:
    sim::world& world_;

public:
    service peer;
    std::shared_ptr<unary_call> question;
    bool over = false;

private:
    asio::awaitable<void> answer(std::chrono::nanoseconds limit) {
        co_await support::await_operation(question, limit);
        world_.check(!over, "answered twice");
        over = true;
        ended_ = world_.now();
        world_.check(bool(question->why()) == question->response().empty(), "neither answer nor failure");
    }

    std::unique_ptr<sim::context> io_;
    sim::world::time_point began_;
    sim::world::time_point ended_;
};

/// One run in plain order.
template <class Body>
void in_world(Body body) {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    body(w);
    CHECK(w.violation() == "");
}

const planned fails{1ms, unavailable, false};
const planned hangs{0ns, {}, true};

}  // namespace

TEST_CASE("unary_call: a query survives one UNAVAILABLE") {
    in_world([](sim::world& w) {
        question_scene s(w, {fails, fails});
        s.ask();
        s.run();
        CHECK_FALSE(s.question->why());
        CHECK(s.question->response() == "answer");
        CHECK(s.peer.calls == 3);
        CHECK(s.took() > 3ms);
        CHECK(s.took() <= 753ms);
    });
}

TEST_CASE("unary_call: waits are drawn evenly from 0 to the bound, and differ between seeds") {
    support::drawn_waits waits;
    for (std::uint32_t i = 1; i <= 200; ++i) {
        in_world([&](sim::world& w) {
            question_scene s(w, {fails}, retry_policy().initial_backoff(1s), i * 104'729U * 15'485U);
            s.ask();
            s.run();
            waits.add(s.took() - 2ms);  // two calls
        });
    }
    waits.check_different(2);
    waits.check_even();
}

TEST_CASE("unary_call: queries without a seed draw different waits, so that they do not return together") {
    support::drawn_waits waits;
    for (int i = 0; i < 20; ++i) {
        in_world([&](sim::world& w) {
            question_scene s(w, {fails}, retry_policy().initial_backoff(1s), std::nullopt);
            s.ask();
            s.run();
            waits.add(s.took());
        });
    }
    waits.check_different(1);
}

TEST_CASE("unary_call: an unanswered call is repeated after the stall timeout") {
    in_world([](sim::world& w) {
        question_scene s(w, {hangs}, retry_policy().stall_timeout(5s).initial_backoff(0ns));
        s.ask(60s);
        s.run();
        CHECK_FALSE(s.question->why());
        CHECK(s.peer.calls == 2);
        CHECK(s.peer.stalls == 1);
        CHECK(s.took() > 5s);
        CHECK(s.took() < 6s);
    });
}

TEST_CASE("unary_call: the time limit covers all calls together, and the error includes the last failure") {
    in_world([](sim::world& w) {
        question_scene s(w, std::vector<planned>(1000, fails), retry_policy().attempts(1000));
        s.ask(20s);
        s.run();
        CHECK(s.question->why().code() == errc::timed_out);
        CHECK(s.question->why().message() == "timed out (the last attempt: gone)");
        CHECK(s.took() == 20s);
    });
    in_world([](sim::world& w) {
        question_scene s(w, {hangs, hangs});
        s.ask(30s);
        s.run();
        CHECK(s.question->why().code() == errc::timed_out);
        CHECK(s.question->why().message() == "timed out (the last attempt: no answer for 20 s)");
    });
}

TEST_CASE("unary_call: a query to an endpoint that has never answered ends after 30 s, as a first open does"
) {
    const auto ask = [](const planned& always, bool answered_before, error_value& why) {
        std::chrono::nanoseconds took{0};
        in_world([&](sim::world& w) {
            question_scene s(w, std::vector<planned>(1000, always), {}, 7, answered_before);
            s.ask(60s);
            s.run();
            why = s.question->why();
            took = s.took();
        });
        return took;
    };
    error_value why;
    CHECK(ask(hangs, false, why) == 30s + 1us);  // and the end of its call
    CHECK(why.code() == errc::timed_out);
    CHECK(why.message() == "host:1 has not answered in time (the last attempt: no answer for 20 s)");
    CHECK(ask(fails, false, why) <= 30s + 1us);
    CHECK(why.kind() == rangeio::error_class::transient);
    CHECK(why.message() == "gone (host:1 has not answered in time)");
    CHECK(ask(hangs, true, why) > 50s);
    CHECK(ask(fails, true, why) > 50s);
}

TEST_CASE("unary_call: a service that is always mute or always fails ends a query without a time limit, too"
) {
    for (const planned& always : {fails, hangs}) {
        in_world([&](sim::world& w) {
            question_scene s(w, std::vector<planned>(1000, always));
            s.ask();
            s.run();
            CHECK(s.question->why());
            CHECK(s.peer.calls < 100);
        });
    }
}

TEST_CASE(
    "unary_call: no order of answer, stall, timeout, cancellation and destruction loses or doubles an end"
) {
    const std::vector<std::vector<planned>> plans{
        {{3ms, {}, false}},
        {{3ms, unavailable, false}, {1ms, {}, false}},
        {hangs, {3ms, {}, false}},
        {hangs, hangs}
    };
    for (const auto& plan : plans) {
        for (const bool destroyed : {false, true}) {
            const auto program = [&](sim::world& w) {
                question_scene s(
                    w, plan, retry_policy().stall_timeout(3ms).initial_backoff(1ms).attempts(3).budget(0s)
                );
                const auto stop = std::make_shared<asio::cancellation_signal>();
                s.ask(w.choose(2) == 0 ? 0ns : 4ms, stop->slot());
                const std::size_t steps = w.choose(12);
                for (std::size_t i = 0; i < steps && w.step(); ++i) {
                }
                if (destroyed) {
                    s.destroy_context();
                } else if (w.choose(2) != 0) {
                    stop->emit(asio::cancellation_type::terminal);
                }
                s.run();
                w.check(destroyed || s.over, "the question has no end");
            };
            sim::explore_options options;
            options.schedules(300).world(sim::world_options().early_timers(2));
            const auto tried = sim::explore(program, options);
            INFO(tried.text());
            CHECK(tried);
        }
    }
}
