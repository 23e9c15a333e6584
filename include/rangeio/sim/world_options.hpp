#pragma once

#include <chrono>
#include <cstddef>

namespace rangeio::sim {

/// The limits of a run. Checked where it is used: std::invalid_argument names the option that is out of its range.
class world_options {
public:
    world_options() = default;

    /// A run that takes more steps is a violation: it does not end. At least 1, 100 000 by default.
    world_options& max_steps(std::size_t steps) {
        max_steps_ = steps;
        return *this;
    }
    std::size_t max_steps() const noexcept { return max_steps_; }

    /// The end of virtual time, from the beginning of the run: a timer that would be due later never is, like a timer
    /// at `time_point::max()`, and an operation that waits for it alone never ends. At least 1 ns, 100 years by
    /// default.
    world_options& max_time(std::chrono::nanoseconds time) {
        max_time_ = time;
        return *this;
    }
    std::chrono::nanoseconds max_time() const noexcept { return max_time_; }

    /// How many times in a run a timer may be due although an actor could still continue, as on a slow machine. 0 by
    /// default: time passes only when no actor can continue.
    world_options& early_timers(std::size_t times) {
        early_timers_ = times;
        return *this;
    }
    std::size_t early_timers() const noexcept { return early_timers_; }

    /// How many actors may be suspended at preemption points at once. 2 by default; 0: there are no such points.
    world_options& max_preempted(std::size_t actors) {
        max_preempted_ = actors;
        return *this;
    }
    std::size_t max_preempted() const noexcept { return max_preempted_; }

    /// Whether there is a preemption point before each lock that the engine takes, too, so that all orders in which its
    /// threads can affect one another are tried. Off by default: such runs have several times as many decisions.
    ///
    /// Requires: a library with preemption points; by default a build of the type release or minsize has none (Meson
    ///           option `preemption_points`).
    world_options& at_locks(bool on) {
        at_locks_ = on;
        return *this;
    }
    bool at_locks() const noexcept { return at_locks_; }

    /// Records the events for `trace()`. Off by default: it costs time. `replay` turns it on, and so does `explore` for
    /// its finding.
    world_options& traced(bool on) {
        traced_ = on;
        return *this;
    }
    bool traced() const noexcept { return traced_; }

    /// The most lines of a trace; a longer one is cut in its middle. 400 by default; 0: no limit.
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
