#pragma once

#include <rangeio/error.hpp>
#include <rangeio/retry_policy.hpp>

#include "fsm/reconnect_policy.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

// A metadata request: one call after another until one is answered, the retry policy is exhausted, or the request is
// cancelled. Each request may be sent again, because reads of metadata are idempotent.
//
// clang-format off
// | state     | the call ended with an answer | the call ended with a failure          | the timer             | cancelled   |
// |-----------|-------------------------------|----------------------------------------|-----------------------|-------------|
// | ready     |                               |                                        |                       | record it   |
// | calling   | complete                      | by the reconnect policy                | stalled: cancel call  | cancel call |
// | giving_up | complete                      | cancelled: complete; else as `calling` |                       | record it   |
// | waiting   |                               |                                        | next call             | complete    |
// | ended     |                               |                                        |                       |             |
// clang-format on
//
// A call without an answer for the stall timeout is abandoned. The limit doubles with each such call, up to 16 times
// the timeout, because the service may need that long. The time limit of the request is a cancellation, and so is the
// limit for an endpoint that has never answered.

namespace rangeio::fsm {

enum class unary_state : std::uint8_t { ready, calling, giving_up, waiting, ended };

enum class unary_action_kind : std::uint8_t {
    call,             ///< make a call; call_ended() follows
    cancel_call,      ///< end the call early; `stalled`: it had no answer in time
    set_stall_timer,  ///< call timer_expired(turn) after `delay`, unless cancelled
    wait,             ///< the same after `at_least` plus a time drawn from zero to `delay`
    drop_timer,       ///< cancel the timer, if any
    complete,         ///< complete the request with `why`
};

struct unary_action {
    unary_action_kind kind = unary_action_kind::complete;
    bool stalled = false;
    std::uint64_t turn = 0;
    std::chrono::nanoseconds delay{0};
    error_value why;
    std::chrono::nanoseconds at_least{0};
};
using unary_actions = std::vector<unary_action>;

class unary_fsm {
public:
    explicit unary_fsm(const retry_policy& policy);

    void start(unary_actions& out);
    /// `unconnected`: there was no connection, so the call has not reached the service.
    void call_ended(const error_value& why, time_point now, unary_actions& out, bool unconnected = false);
    /// A timer that was dropped may expire nevertheless; that has no effect.
    void timer_expired(std::uint64_t turn, unary_actions& out);
    /// Cancels the request. The first reason counts.
    void cancel(const error_value& why, unary_actions& out);
    /// The endpoint has not answered any call in time: as cancel(), but the last failure, if it has a status, is the
    /// reason, and `why` a remark.
    void unanswered(const error_value& why, unary_actions& out);

    unary_state state() const noexcept { return state_; }
    static constexpr std::size_t action_bound() noexcept { return 8; }

    // The state, for checkers.
    const reconnect_policy& reconnect() const noexcept { return reconnect_; }
    std::uint64_t turn() const noexcept { return turn_; }
    bool cancelled() const noexcept { return static_cast<bool>(stop_); }
    std::chrono::nanoseconds stall_limit() const noexcept { return stall_limit_; }

private:
    void call(unary_actions& out);
    void complete(const error_value& why, unary_actions& out);
    error_value stop_reason() const noexcept;

    reconnect_policy reconnect_;
    std::chrono::nanoseconds stall_limit_;  // zero: none
    std::chrono::nanoseconds max_stall_limit_;
    unary_state state_ = unary_state::ready;
    std::uint64_t turn_ = 0;  // of the newest timer
    bool stalled_ = false;    // the call was abandoned because it stalled
    error_value stop_;        // the reason of the cancellation
    error_value last_;        // the failure of the last call
};

}  // namespace rangeio::fsm
