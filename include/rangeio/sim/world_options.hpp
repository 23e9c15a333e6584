#pragma once

#include <chrono>
#include <cstddef>

namespace rangeio::sim {

/// How far a run goes. Checked where it is used: std::invalid_argument names what is out of its range.
class world_options {
public:
    world_options() = default;

    /// A run that takes more steps is a violation: it goes round in circles. From 1; default 100 000.
    world_options& max_steps(std::size_t steps) {
        max_steps_ = steps;
        return *this;
    }
    std::size_t max_steps() const noexcept { return max_steps_; }

    /// The end of virtual time, from the beginning of the run: a timer that would be due later never is, as one at
    /// `time_point::max()` never is, and whoever waits for it waits for ever. From 1 ns; default 100 years.
    world_options& max_time(std::chrono::nanoseconds time) {
        max_time_ = time;
        return *this;
    }
    std::chrono::nanoseconds max_time() const noexcept { return max_time_; }

    /// So many times in a run a timer may be due although an actor could still go on: as on a machine that is slow.
    /// Default 0: time passes only when no actor can go on.
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

    /// Whether there is a preemption point before each lock that the engine takes, too: for all orders of what its threads do
    /// to one another. Default off: such runs have some times as many decisions. Needs a library with preemption points: by
    /// default a build of the type release or minsize has none (Meson option `preemption_points`).
    world_options& at_locks(bool on) {
        at_locks_ = on;
        return *this;
    }
    bool at_locks() const noexcept { return at_locks_; }

    /// Keep what happens, to be read by `trace()`. Default off: it costs time. `replay` turns it on, and so does
    /// `explore` for what it has found.
    world_options& traced(bool on) {
        traced_ = on;
        return *this;
    }
    bool traced() const noexcept { return traced_; }

    /// The most lines of a trace; a longer one is cut in its middle. Default 400; zero: no limit.
    world_options& max_trace_lines(std::size_t lines) {
        max_trace_lines_ = lines;
        return *this;
    }
    std::size_t max_trace_lines() const noexcept { return max_trace_lines_; }

private:
    std::size_t max_steps_ = 100'000;
    std::chrono::nanoseconds max_time_ = std::chrono::hours(24) * 36'525;
    std::size_t early_timers_ = 0;
    std::size_t max_preempted_ = 2;
    bool at_locks_ = false;
    bool traced_ = false;
    std::size_t max_trace_lines_ = 400;
};

}  // namespace rangeio::sim
