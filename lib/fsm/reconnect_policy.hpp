#pragma once

#include <rangeio/error.hpp>
#include <rangeio/retry_policy.hpp>

#include <chrono>
#include <cstdint>

// The retry policy as a machine: it decides what follows the end of a call. A part of mrd_fsm and of unary_fsm, which
// report the events and perform the verdicts.
//
// clang-format off
// | the call ended             | with ranges pending, or never opened          | with nothing pending                      |
// |----------------------------|-----------------------------------------------|-------------------------------------------|
// | with a redirect            | another at once; too many in a row: fail      | sleep                                     |
// | by us: too many orphans    | another at once                               | sleep                                     |
// | by us: to be reopened      | another at once                               | sleep                                     |
// | with ranges that fail      | another at once: fewer ranges are left        | sleep                                     |
// | by us: slow                | another at once; its time is no budget        | sleep                                     |
// | by us: crowded             | another at once                               | sleep                                     |
// | by us: it stalled          | an attempt, at once                           | sleep; if unanswered, it costs an attempt |
// | by us: behind the object   | an attempt                                    | sleep; if unanswered, it costs an attempt |
// | by us: out of memory       | an attempt                                    | sleep; if unanswered, it costs an attempt |
// | by us: no range is left    | an attempt                                    | sleep; if unanswered, it costs an attempt |
// | with names of ranges only  | an attempt                                    | sleep; if unanswered, it costs an attempt |
// | without a connection       | no attempt, but budget; after a second        | sleep                                     |
// | with a retryable class     | an attempt                                    | sleep; if unanswered, it costs an attempt |
// | with another class         | fail                                          | fail                                      |
// clang-format on
//
// An attempt is made at once if the call before it made progress, because most breaks are single ones, and after a
// stall, which was a wait; else after a wait. The loop without waits that this allows pays for each round with progress
// or time. Missing memory counts as a retryable error if the stream has been open; before, it is reported.
//
// A stream that has been open, or that is a further one of a pool that has been open, is limited by its budget of time;
// without a budget, by its attempts. A first opening has attempts of its own. Without a connection both continue as
// long as the budget lasts. The budget does not run while a stream sleeps; a sleep of at least max_backoff resets all
// counts.

namespace rangeio::fsm {

using time_point = std::chrono::steady_clock::time_point;  // an input: nothing here looks at a clock

enum class call_fate : std::uint8_t {
    broken,
    redirected,
    stalled,      // no byte arrived, and its connection is dead, or its time is used up
    slow,         // no byte arrived, but the connection may be slow
    crowded,      // the connection serves other calls and not this one
    unconnected,  // there was no connection
    retired,
    reopened,
    outdated,
    out_of_memory,
    unwanted,
    ranges_failed,
    ranges_named
};

class reconnect_policy {
public:
    enum class what_next : std::uint8_t { call, wait, sleep, fail };
    struct verdict {
        what_next then = what_next::fail;
        std::chrono::nanoseconds delay{0};     // wait: at most this long, at random, after `at_least`
        error_value why;                       // fail: the reason
        std::chrono::nanoseconds at_least{0};  // wait: the least time, on request of the service
    };

    explicit reconnect_policy(const retry_policy& policy) : policy_(policy) {}

    /// `pending`: ranges are left. `established`: the stream has been open.
    verdict call_ended(
        call_fate fate, const error_value& why, bool pending, bool established, time_point now
    ) noexcept;
    /// A range is added to a stream that sleeps.
    verdict woken(time_point now) noexcept;
    /// The first opening of a stream has the limits of one that has been open, because its pool has been open.
    void be_patient() noexcept { patient_ = true; }

    void call_started() noexcept { moved_ = answered_ = false; }
    void responded() noexcept { answered_ = true; }
    /// A good byte, a completed range, or the first opening.
    void progress() noexcept;

    // The state, for checkers.
    unsigned attempts() const noexcept { return attempts_; }
    unsigned redirects() const noexcept { return redirects_; }
    /// Calls in a row, without progress, that ended for their silence.
    unsigned silent() const noexcept { return silent_; }
    bool moved() const noexcept { return moved_; }
    bool answered() const noexcept { return answered_; }
    time_point since() const noexcept { return since_; }

private:
    verdict attempt(
        call_fate fate, const error_value& why, bool pending, bool established, time_point now
    ) noexcept;
    void start_anew() noexcept { attempts_ = redirects_ = silent_ = 0, trying_ = false; }
    std::chrono::nanoseconds backoff() const noexcept;
    std::chrono::nanoseconds asked_wait(time_point now) const noexcept;

    retry_policy policy_;
    bool patient_ = false;
    unsigned attempts_ = 0;    // in a row, without progress
    unsigned redirects_ = 0;   // the same
    unsigned silent_ = 0;      // the same
    bool trying_ = false;      // the budget runs
    time_point since_{};       // the start of the budget
    time_point ended_{};       // the end of the last call
    time_point not_before_{};  // no call before, on request of the service
    bool moved_ = false;       // the call has made progress
    bool answered_ = false;    // the call has had a response
};

}  // namespace rangeio::fsm
