#pragma once

#include <rangeio/testing/allocation_failures.hpp>
#include <rangeio/testing/strategy.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rangeio::testing::sim {

/// What one actor does in one go. Move-only, called once.
class task {
public:
    task() = default;
    template <class F>
    explicit task(F f) {
        const allocation_exemption own;
        body_ = std::make_unique<holder<F>>(std::move(f));
    }
    void operator()() { body_->run(); }

private:
    struct base {
        virtual ~base() = default;
        virtual void run() = 0;
    };
    template <class F>
    struct holder final : base {
        explicit holder(F f) : body(std::move(f)) {}
        void run() override { body(); }
        F body;
    };
    std::unique_ptr<base> body_;
};

/// How far a run goes. Checked where it is used.
class world_options {
public:
    world_options() = default;

    /// A run that takes more steps is a violation: it goes round in circles. Default 100 000.
    world_options& max_steps(std::size_t steps) {
        max_steps_ = steps;
        return *this;
    }
    std::size_t max_steps() const noexcept { return max_steps_; }

    /// So many times in a run a timer may be due although somebody could still do something: as on a machine that is
    /// slow. Default 0: time passes only when nobody can go on.
    world_options& early_timers(std::size_t times) {
        early_timers_ = times;
        return *this;
    }
    std::size_t early_timers() const noexcept { return early_timers_; }

    /// How many actors may stand still at a preemption point at once, default 2. Zero: there are no such points.
    world_options& max_preempted(std::size_t actors) {
        max_preempted_ = actors;
        return *this;
    }
    std::size_t max_preempted() const noexcept { return max_preempted_; }

    /// Keep what happens, to be read by `trace()`. Default off: it costs time.
    world_options& traced(bool on) {
        traced_ = on;
        return *this;
    }
    bool traced() const noexcept { return traced_; }

private:
    std::size_t max_steps_ = 100'000;
    std::size_t early_timers_ = 0;
    std::size_t max_preempted_ = 2;
    bool traced_ = false;
};

/// Everything that runs, and the time it takes: actors, each with a queue of tasks, and one clock. Who goes next is up
/// to a strategy, so that a run can be repeated exactly, and all runs of a small program can be tried.
///
/// A task runs to its end before another one begins, unless it reaches a preemption point: there others may go on, and
/// it continues when they have had their turns. Time stands still while somebody can go on.
///
/// Memory:     what the kit asks for itself is exempt from `allocation_failures`. A task is not, unless it was posted
///             under an exemption.
/// Threads:    one at a time; several worlds may live at once, each on a thread of its own.
/// Lifetimes:  outlives everything that runs in it.
class world {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using timer_id = std::uint64_t;

    explicit world(strategy& decides, world_options options = {});
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    /// The world whose task runs on this thread; null outside of tasks.
    static world* current() noexcept;

    /// A new actor. `outside`: it stands for a thread that belongs to no execution context (a network, a service), and
    /// goes on while a context is being destroyed.
    actor_id add_actor(std::string name, bool outside = false);
    /// Drops what the actor has not done yet, and all that it is given later.
    void remove_actor(actor_id who) noexcept;
    /// `what` is for traces, and outlives the world.
    void post(actor_id who, task t, const char* what);
    /// `t` is posted when `delay` has passed. Of those that are due at once, the ones set earlier come first.
    timer_id call_after(actor_id who, std::chrono::nanoseconds delay, task t, const char* what);
    /// False if it was due already.
    bool cancel_timer(timer_id id) noexcept;
    time_point now() const noexcept { return now_; }

    /// Goes on until nothing can happen any more, or something was violated. Then each operation that was expected to
    /// end and has not is a violation: nobody is left to wake it. Throws what a task threw.
    void run();
    /// One step. False if there is none.
    bool step();
    /// One step of an outside actor; for those who have to wait for one. False if there is none.
    bool step_outside();

    /// One of 0 .. n - 1, by the strategy. 0 is the plainest.
    std::size_t choose(std::size_t n);
    /// Others may go on here, if the task that runs could be interrupted by them. Requires: no lock is held.
    void preemption_point(const char* where) noexcept;
    /// The actor whose task runs.
    std::optional<actor_id> running() const noexcept { return running_; }

    /// Something is wrong. The first of a run counts, and ends it.
    void violate(std::string what) noexcept;
    void check(bool holds, std::string_view what) {
        if (holds) return;
        const allocation_exemption own;
        violate(std::string(what));
    }
    /// Empty: nothing is wrong.
    const std::string& violation() const noexcept { return violation_; }

    /// An operation that has to end before the world falls quiet. Returns how to say that it has.
    std::uint64_t expect_end(std::string operation);
    void ended(std::uint64_t operation) noexcept { expected_.erase(operation); }

    /// Adds a line to the trace, for the step that is under way.
    void note(std::string what, std::source_location where = std::source_location::current());
    bool traced() const noexcept { return options_.traced(); }
    /// What has happened, as a table: step, time, who, what, where.
    std::string trace() const;

    std::size_t steps() const noexcept { return steps_; }
    const std::vector<std::uint32_t>& decisions() const noexcept { return decisions_; }

private:
    struct item {
        task run;
        const char* what;
        bool exempt;
    };
    struct actor {
        std::string name;
        std::deque<item> queue;
        bool outside = false;
        bool removed = false;
        bool busy = false;  // one of its tasks runs, or stands at a preemption point
        std::uint64_t ready_since = 0;
    };
    struct timer {
        actor_id who;
        item then;
    };
    struct row {
        std::size_t step;
        time_point when;
        actor_id who;
        std::size_t depth;
        std::string what;
        std::string where;
    };

    void enqueue(actor_id who, item i);
    void list_ready(bool outside_only);
    bool let_time_pass();
    void run_one(actor_id who);
    std::size_t pick();
    bool over() const noexcept { return !violation_.empty() || thrown_ != nullptr; }

    strategy& strategy_;
    const world_options options_;
    std::deque<actor> actors_;
    std::map<std::pair<time_point, timer_id>, timer> timers_;
    std::map<timer_id, time_point> due_;
    time_point now_;
    timer_id last_timer_ = 0;
    std::size_t early_left_;
    std::size_t steps_ = 0;
    std::uint64_t wakings_ = 0;
    std::optional<actor_id> running_;
    actor_id last_ran_ = 0;
    std::size_t preempted_ = 0;
    std::vector<actor_id> ready_;
    std::vector<std::uint32_t> decisions_;
    std::string violation_;
    std::exception_ptr thrown_;
    std::map<std::uint64_t, std::string> expected_;
    std::uint64_t last_operation_ = 0;
    std::vector<row> rows_;
};

}  // namespace rangeio::testing::sim
