#pragma once

#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/strategy.hpp>
#include <rangeio/sim/world_options.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace rangeio::sim {

/// One task of an actor. Move-only, called once.
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

/// Everything that runs in a simulation, and its time: actors, each with a queue of tasks, and one clock. A strategy
/// decides which actor continues, so that a run can be repeated exactly, and all runs of a small program can be tried.
///
/// A task runs to its end before another one begins, unless it reaches a preemption point: there other actors may take
/// their turns, and the task continues afterwards. Time does not pass while an actor can continue.
///
/// Memory:     the kit's own allocations are exempt from `allocation_failures`. A task is not, unless it was posted
///             under an exemption.
/// Threads:    the thread that constructed it; several worlds may live at once, each on a thread of its own. A task
///             from another thread is a violation: a real timer, a socket or a thread is at work, which no strategy
///             decides.
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

    /// Adds an actor. `outside`: it stands for a thread that belongs to no execution context (a network, a service),
    /// and continues while a context is being destroyed.
    actor_id add_actor(std::string name, bool outside = false);
    /// Drops the pending tasks of the actor, and all that are posted to it later.
    void remove_actor(actor_id who) noexcept;
    /// `what` is shown in traces, and outlives the world.
    void post(actor_id who, task t, const char* what);
    /// Posts `t` after `delay`, or at `when`; never if that is beyond `world_options::max_time` or the range of the
    /// clock. Timers that are due at the same time run in the order in which they were set.
    timer_id call_after(actor_id who, std::chrono::nanoseconds delay, task t, const char* what);
    timer_id call_at(actor_id who, time_point when, task t, const char* what);
    /// False if the timer was already due.
    bool cancel_timer(timer_id id) noexcept;
    time_point now() const noexcept { return now_; }

    /// Runs until nothing can happen any more, or until a violation. An operation that was expected to end and has not
    /// is then a violation: nothing is left to wake it.
    ///
    /// Throws: the exception of a task.
    void run();
    /// Runs one step. Returns false if there is none.
    bool step();
    /// Runs one step of an outside actor, for code that has to wait for one. Returns false if there is none.
    bool step_outside();

    /// A choice of the strategy in 0 .. n - 1; 0 is the plainest.
    std::size_t choose(std::size_t n);
    /// Other actors may take turns here, if they could interrupt the running task. The engine's own points are skipped
    /// under its locks.
    ///
    /// Requires: no lock is held.
    void preemption_point(const char* where) noexcept;
    /// The actor whose task is running.
    std::optional<actor_id> running() const noexcept { return running_; }

    /// Reports a violation. The first one of a run counts, and ends the run.
    void violate(std::string what) noexcept;
    void check(bool holds, std::string_view what) {
        if (holds) return;
        const allocation_exemption own;
        violate(std::string(what));
    }
    /// Empty if there was no violation.
    const std::string& violation() const noexcept { return violation_; }

    /// Registers an operation that has to end before the world becomes idle, and before more than `within` of virtual
    /// time has passed; zero: before any time passes, so that nothing but a wake-up can end it. Returns the number that
    /// `ended` takes.
    std::uint64_t expect_end(
        std::string operation, std::chrono::nanoseconds within = std::chrono::nanoseconds::max()
    );
    void ended(std::uint64_t operation) noexcept { expected_.erase(operation); }
    /// For code that runs programs, at the end of one: it is a violation if work that the program started was never
    /// run.
    void check_was_run() noexcept;
    /// `real` names real activity outside of the world. It is called when an operation never ends, or when a task
    /// arrives from another thread. Returns the number that `withdraw` takes.
    std::uint64_t suspect(std::function<std::string()> real);
    void withdraw(std::uint64_t suspicion) noexcept { suspects_.erase(suspicion); }
    /// Something outside of the world is at work: equal decisions do not guarantee equal runs.
    bool has_strangers() const noexcept { return has_strangers_; }

    /// Adds a line to the trace, for the current step.
    void note(std::string what, std::source_location where = std::source_location::current());
    bool traced() const noexcept { return options_.traced(); }
    const world_options& options() const noexcept { return options_; }
    /// The events of the run as a table: step, time, who, what, where.
    std::string trace() const;

    std::size_t steps() const noexcept { return steps_; }
    const std::vector<std::uint32_t>& decisions() const noexcept { return decisions_; }
    /// A digest of which actors ran, when, and which alternatives there were. Equal runs have equal digests.
    std::uint64_t fingerprint() const noexcept { return fingerprint_; }

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
        bool busy = false;  // one of its tasks runs, or is suspended at a preemption point
        std::uint64_t ready_since = 0;
    };
    struct timer {
        actor_id who;
        item then;
    };
    struct expectation {
        std::string operation;
        std::chrono::nanoseconds within;
        time_point by;
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
    void record(actor_id who, std::string what, std::string where);
    void list_ready(bool outside_only);
    bool is_due_some_time() const noexcept;
    bool let_time_pass();
    void check_in_time();
    void look_for_strays() noexcept;
    std::string strangers() const;
    void mix(std::uint64_t what) noexcept;
    void run_one(actor_id who);
    std::size_t pick();
    bool over() const noexcept { return !violation_.empty() || thrown_ != nullptr; }

    strategy& strategy_;
    const world_options options_;
    std::deque<actor> actors_;
    std::map<std::pair<time_point, timer_id>, timer> timers_;
    std::map<timer_id, time_point> due_;
    time_point now_;
    const time_point end_of_time_;
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
    std::map<std::uint64_t, expectation> expected_;
    std::uint64_t last_operation_ = 0;
    std::uint64_t last_seen_operation_ = 0;  // the last operation at the latest step
    bool started_ = false;                   // there was something to run
    bool run_ = false;                       // a step was asked for
    std::uint64_t fingerprint_ = 0;
    std::vector<row> rows_;
    std::deque<row> last_rows_;  // of a run with more rows than a trace shows

    std::map<std::uint64_t, std::function<std::string()>> suspects_;
    std::uint64_t last_suspicion_ = 0;
    bool has_strangers_ = false;
    const std::thread::id own_thread_ = std::this_thread::get_id();
    std::atomic<bool> has_strays_ = false;
    std::mutex strays_mutex_;
    std::vector<std::pair<actor_id, task>> strays_;  // from other threads
};

}  // namespace rangeio::sim
