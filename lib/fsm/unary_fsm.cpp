#include "fsm/unary_fsm.hpp"

#include "error_text.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

constexpr auto longest_stall = std::chrono::hours(24 * 365);  // 16 times this is representable

}  // namespace

unary_fsm::unary_fsm(const retry_policy& policy)
    : reconnect_(policy),
      stall_limit_(std::min<std::chrono::nanoseconds>(policy.stall_timeout(), longest_stall)),
      max_stall_limit_(16 * stall_limit_) {}

void unary_fsm::start(unary_actions& out) {
    if (stop_) {
        complete(stop_, out);
    } else {
        call(out);
    }
}

void unary_fsm::call(unary_actions& out) {
    state_ = unary_state::calling;
    stalled_ = false;
    reconnect_.call_started();
    // The timer is set first: the call may end while it is being made.
    if (stall_limit_ > std::chrono::nanoseconds::zero()) {
        out.push_back({unary_action_kind::set_stall_timer, false, ++turn_, stall_limit_, {}});
    }
    out.push_back({unary_action_kind::call, false, 0, {}, {}});
}

void unary_fsm::call_ended(const error_value& why, time_point now, unary_actions& out, bool unconnected) {
    if (!why) return complete({}, out);  // an answer counts even if the call was abandoned
    if (stop_) return complete(stop_reason(), out);
    using what_next = reconnect_policy::what_next;
    using seconds = std::chrono::duration<double>;
    last_ = why;
    if (stalled_) {
        last_ = described(errc::stalled, "no answer for {:.3g} s", seconds(stall_limit_).count());
        stall_limit_ = std::min(2 * stall_limit_, max_stall_limit_);
    }
    auto fate = unconnected ? call_fate::unconnected : call_fate::broken;
    if (stalled_) fate = call_fate::stalled;
    auto next = reconnect_.call_ended(fate, last_, true, true, now);
    if (next.then == what_next::call) return call(out);
    if (next.then != what_next::wait) return complete(next.why, out);
    state_ = unary_state::waiting;
    out.push_back({unary_action_kind::wait, false, ++turn_, next.delay, {}, next.at_least});
}

void unary_fsm::timer_expired(std::uint64_t turn, unary_actions& out) {
    if (turn != turn_) return;
    if (state_ == unary_state::waiting) {
        call(out);
    } else if (state_ == unary_state::calling) {
        state_ = unary_state::giving_up;
        stalled_ = true;
        out.push_back({unary_action_kind::cancel_call, true, 0, {}, {}});
    }
}

void unary_fsm::cancel(const error_value& why, unary_actions& out) {
    if (state_ == unary_state::ended || stop_) return;
    stop_ = why;
    if (state_ == unary_state::waiting) {
        complete(stop_reason(), out);
    } else if (state_ == unary_state::calling) {
        state_ = unary_state::giving_up;
        out.push_back({unary_action_kind::cancel_call, false, 0, {}, {}});
    }
}

void unary_fsm::unanswered(const error_value& why, unary_actions& out) {
    cancel(last_.kind() != error_class::none ? remarked(last_, "{}", why.message()) : why, out);
}

void unary_fsm::complete(const error_value& why, unary_actions& out) {
    state_ = unary_state::ended;
    out.push_back({unary_action_kind::drop_timer, false, 0, {}, {}});
    out.push_back({unary_action_kind::complete, false, 0, {}, why});
}

// After a timeout the text names the failure of the last attempt, the probable cause.
error_value unary_fsm::stop_reason() const noexcept {
    if (stop_.code() != errc::timed_out || !last_) return stop_;
    try {
        return remarked(stop_, "the last attempt: {}", last_.message());
    } catch (const std::bad_alloc&) {
        return stop_;
    }
}

}  // namespace rangeio::fsm
