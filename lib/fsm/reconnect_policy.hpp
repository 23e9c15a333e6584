#pragma once

#include <rangeio/error.hpp>
#include <rangeio/retry_policy.hpp>

#include <chrono>
#include <cstdint>

// What to do after a call that ended: the retry policy as a machine. It is a part of mrd_fsm, which tells it
// what happens and asks it what follows.
//
// clang-format off
// | the call ended           | with ranges pending, or never opened yet      | with nothing pending                    |
// |--------------------------|-----------------------------------------------|-----------------------------------------|
// | with a redirect          | another at once; too many in a row: fail      | sleep                                   |
// | by us: too many orphans  | another at once                               | sleep                                   |
// | by us: to be reopened    | another at once                               | sleep                                   |
// | naming ranges that fail  | another at once: there are fewer of them now  | sleep                                   |
// | by us: slow              | another at once; the budget stood still       | sleep                                   |
// | by us: crowded           | another at once                               | sleep                                   |
// | by us: it stalled        | an attempt, at once                           | sleep; if unanswered, an attempt is gone |
// | by us: behind the object | an attempt                                    | sleep; if unanswered, an attempt is gone |
// | by us: out of memory     | an attempt                                    | sleep; if unanswered, an attempt is gone |
// | by us: nobody waited     | an attempt                                    | sleep; if unanswered, an attempt is gone |
// | naming ranges, no more   | an attempt                                    | sleep; if unanswered, an attempt is gone |
// | without a connection     | no attempt, but budget; after a second        | sleep                                   |
// | with a retryable class   | an attempt                                    | sleep; if unanswered, an attempt is gone |
// | with another class       | fail                                          | fail                                    |
// clang-format on
//
// An attempt is made at once if the call before it had brought anything, for most breaks come alone, and after a stall,
// which was a wait; else after a wait. The loop without waits that this allows pays for each of its rounds with progress
// or time. Memory that was not there counts as a retryable error once the stream has been open; before, it is told.
//
// What ends a stream that was open, or that is a further one of a pool that was, is its budget of time; without one, its
// attempts. A first opening has attempts of its own. Both go without a connection as long as the budget lasts. It does not
// run while a stream sleeps; and a sleep as long as the longest wait makes a new start.

namespace rangeio::fsm {

using time_point = std::chrono::steady_clock::time_point;  // an input: nothing here looks at a clock

enum class call_fate : std::uint8_t {
    broken,
    redirected,
    stalled,      // no byte came, and its connection is dead, or has had time enough
    slow,         // no byte came, but the connection may be slow
    crowded,      // the connection serves others and not this call
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
        std::chrono::nanoseconds delay{0};     // wait: at most so much longer than
        failure why;                           // fail: with this
        std::chrono::nanoseconds at_least{0};  // wait: so long, as the service asks
    };

    explicit reconnect_policy(const retry_policy& policy) : policy_(policy) {}

    /// `pending`: there are ranges to go on with. `established`: the stream has been open.
    verdict call_ended(
        call_fate fate, const failure& why, bool pending, bool established, time_point now
    ) noexcept;
    /// A range comes to a stream that sleeps.
    verdict woken(time_point now) noexcept;
    /// A first opening of a pool that has been open is as patient as a stream that has been.
    void be_patient() noexcept { patient_ = true; }

    void call_started() noexcept { moved_ = answered_ = false; }
    void responded() noexcept { answered_ = true; }
    /// A good byte, a range that is over, the first opening.
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
        call_fate fate, const failure& why, bool pending, bool established, time_point now
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
    time_point since_{};       // since then
    time_point ended_{};       // the last call
    time_point not_before_{};  // the service has asked for no call until then
    bool moved_ = false;       // the call has made progress
    bool answered_ = false;    // the call has had a response
};

}  // namespace rangeio::fsm
