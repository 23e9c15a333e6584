#pragma once

#include <rangeio/error.hpp>
#include <rangeio/retry_policy.hpp>

#include "fsm/reconnect_policy.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

// A question for metadata: one call after another until one is answered, the retry policy has had enough, or the
// question is cancelled. Reading metadata twice does no harm, so each question may be asked again.
//
// clang-format off
// | state     | the call ended with an answer | the call ended with a failure     | the timer        | cancelled        |
// |-----------|-------------------------------|-----------------------------------|------------------|------------------|
// | ready     |                               |                                   |                  | note it          |
// | calling   | complete                      | as the reconnect policy says      | stalled: give up | give up          |
// | giving_up | complete: it came after all   | cancelled: complete; else as said |                  | note it          |
// | waiting   |                               |                                   | next call        | complete         |
// | ended     |                               |                                   |                  |                  |
// clang-format on
//
// A call without an answer for the stall timeout is given up. The limit doubles with each such call, for the service may
// need that long, up to 16 times of it. The time limit of the question is a cancellation, and
// so is that of an endpoint which has never answered.

namespace rangeio::fsm {

enum class unary_state : std::uint8_t { ready, calling, giving_up, waiting, ended };

enum class unary_action_kind : std::uint8_t {
    call,             ///< make a call; call_ended() follows
    cancel_call,      ///< end it early; `stalled`: for it had no answer in time
    set_stall_timer,  ///< timer_expired(turn) after `delay`, unless cancelled
    wait,             ///< the same, `at_least` and a time drawn from zero to `delay` from now
    drop_timer,       ///< no timer is due any more
    complete,         ///< the question is over, with `why`
};

struct unary_action {
    unary_action_kind kind = unary_action_kind::complete;
    bool stalled = false;
    std::uint64_t turn = 0;
    std::chrono::nanoseconds delay{0};
    failure why;
    std::chrono::nanoseconds at_least{0};
};
using unary_actions = std::vector<unary_action>;

class unary_fsm {
public:
    explicit unary_fsm(const retry_policy& policy);

    void start(unary_actions& out);
    /// `unconnected`: there was no connection, the service has not seen it.
    void call_ended(const failure& why, time_point now, unary_actions& out, bool unconnected = false);
    /// A timer that was dropped may go off all the same.
    void timer_expired(std::uint64_t turn, unary_actions& out);
    /// The question is not wanted any more. The first reason counts.
    void cancel(const failure& why, unary_actions& out);
    /// The endpoint has not answered anything in time: as cancel(), and a cause that has a status says more than the limit.
    void unanswered(const failure& why, unary_actions& out);

    unary_state state() const noexcept { return state_; }
    static constexpr std::size_t action_bound() noexcept { return 8; }

    // The state, for checkers.
    const reconnect_policy& reconnect() const noexcept { return reconnect_; }
    std::uint64_t turn() const noexcept { return turn_; }
    bool cancelled() const noexcept { return static_cast<bool>(stop_); }
    std::chrono::nanoseconds stall_limit() const noexcept { return stall_limit_; }

private:
    void call(unary_actions& out);
    void complete(const failure& why, unary_actions& out);
    failure stop_reason() const noexcept;

    reconnect_policy reconnect_;
    std::chrono::nanoseconds stall_limit_;  // zero: none
    std::chrono::nanoseconds max_stall_limit_;
    unary_state state_ = unary_state::ready;
    std::uint64_t turn_ = 0;  // of the newest timer
    bool stalled_ = false;    // the call is given up for that reason
    failure stop_;            // why the question was cancelled
    failure last_;            // how the last call failed
};

}  // namespace rangeio::fsm
