#include "fsm/unary_fsm.hpp"

#include "support/grpc_failures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

using rangeio::errc;
using rangeio::error_class;
using rangeio::error_value;
using rangeio::retry_policy;
using rangeio::fsm::time_point;
using rangeio::fsm::unary_action;
using rangeio::fsm::unary_action_kind;
using rangeio::fsm::unary_actions;
using rangeio::fsm::unary_fsm;
using rangeio::fsm::unary_state;
using support::cancelled;
using support::grpc_failure;
using support::unavailable;
using namespace std::chrono_literals;
using kind = unary_action_kind;

namespace {

/// The machine, and what it wanted since it was last asked.
class question {
public:
    explicit question(const retry_policy& policy = {}) : machine(policy) {}

    void start() { machine.start(actions); }
    void end(const error_value& why, time_point now = {}) { machine.call_ended(why, now, actions); }
    void timer_expired() { machine.timer_expired(turn, actions); }
    void cancel(const error_value& why) { machine.cancel(why, actions); }

    std::vector<kind> take() {
        std::vector<kind> out;
        for (const unary_action& action : actions) {
            out.push_back(action.kind);
            if (action.kind == kind::set_stall_timer || action.kind == kind::wait) {
                turn = action.turn;
                delay = action.delay;
            }
            if (action.kind == kind::cancel_call) stalled = action.stalled;
            if (action.kind == kind::complete) result = action.why;
        }
        actions.clear();
        return out;
    }

    unary_fsm machine;
    unary_actions actions;
    std::uint64_t turn = 0;
    std::chrono::nanoseconds delay{0};
    bool stalled = false;
    std::optional<error_value> result;
};

using kinds = std::vector<kind>;
const kinds one_call{kind::set_stall_timer, kind::call};
const kinds over{kind::drop_timer, kind::complete};

}  // namespace

TEST_CASE("unary_fsm: an answer completes the query") {
    question q;
    q.start();
    CHECK(q.take() == one_call);
    CHECK(q.delay == 20s);
    q.end({});
    CHECK(q.take() == over);
    CHECK_FALSE(*q.result);
}

TEST_CASE("unary_fsm: a transient failure is followed by another call after a wait") {
    question q;
    q.start();
    q.take();
    q.end(unavailable);
    CHECK(q.take() == kinds{kind::wait});
    CHECK(q.delay == 250ms);
    q.timer_expired();
    CHECK(q.take() == one_call);
    q.end(unavailable);
    CHECK(q.take() == kinds{kind::wait});
    CHECK(q.delay == 500ms);
    q.timer_expired();
    q.end({});
    q.take();
    CHECK_FALSE(*q.result);
}

TEST_CASE("unary_fsm: a permanent failure completes the query") {
    question q;
    q.start();
    q.take();
    q.end(grpc_failure(5));
    CHECK(q.take() == over);
    CHECK(q.result->kind() == error_class::gone);
    CHECK(q.result->message() == "gone");
}

TEST_CASE("unary_fsm: the statuses and attempts of the policy apply") {
    question picky(retry_policy().retry(error_class::transient, false));
    picky.start();
    picky.take();
    picky.end(unavailable);
    CHECK(picky.take() == over);

    question none(retry_policy::none());
    none.start();
    none.take();
    none.end(unavailable);
    CHECK(none.take() == over);
    CHECK(none.result->code() == unavailable.code());
}

TEST_CASE("unary_fsm: an unanswered call is cancelled as stalled, and repeated at once or later") {
    question q(retry_policy().stall_timeout(3s));
    q.start();
    q.take();
    CHECK(q.delay == 3s);
    q.timer_expired();
    CHECK(q.take() == kinds{kind::cancel_call});
    CHECK(q.stalled);
    q.end(cancelled);
    const auto next = q.take();
    if (next == kinds{kind::wait}) {
        q.timer_expired();
        CHECK(q.take() == one_call);
    } else {
        CHECK(next == one_call);
    }
    // The service may need longer.
    CHECK(q.delay == 6s);
    for (int n = 0; n < 5 && !q.result; ++n) {
        q.timer_expired();
        q.end(cancelled);
        q.take();
        if (q.machine.state() == unary_state::waiting) {
            q.timer_expired();
            q.take();
        }
    }
    CHECK(q.machine.stall_limit() == 48s);
}

TEST_CASE("unary_fsm: an answer that arrives while a stalled call is cancelled counts") {
    question q;
    q.start();
    q.take();
    q.timer_expired();
    q.take();
    q.end({});
    CHECK(q.take() == over);
    CHECK_FALSE(*q.result);
}

TEST_CASE("unary_fsm: without a stall timeout no timer is set, and the longest one does not overflow") {
    question q(retry_policy().stall_timeout(0ns));
    q.start();
    CHECK(q.take() == kinds{kind::call});
    question longest(retry_policy().stall_timeout(std::chrono::nanoseconds::max()));
    longest.start();
    longest.take();
    CHECK(longest.delay > 24h);
}

TEST_CASE("unary_fsm: an obsolete timer changes nothing") {
    question q;
    q.start();
    q.take();
    const auto old = q.turn;
    q.end(unavailable);
    q.take();
    q.machine.timer_expired(old, q.actions);
    CHECK(q.take().empty());
    q.timer_expired();
    q.end({});
    q.take();
    q.timer_expired();
    CHECK(q.take().empty());
}

TEST_CASE("unary_fsm: a query cancelled at any time ends with the first reason") {
    const error_value why = errc::shut_down;
    question before;
    before.cancel(why);
    CHECK(before.take().empty());
    before.start();
    CHECK(before.take() == over);
    CHECK(before.result->code() == errc::shut_down);

    question calling;
    calling.start();
    calling.take();
    calling.cancel(why);
    CHECK(calling.take() == kinds{kind::cancel_call});
    CHECK_FALSE(calling.stalled);
    calling.cancel(errc::timed_out);
    CHECK(calling.take().empty());
    calling.end(cancelled);
    CHECK(calling.take() == over);
    CHECK(calling.result->code() == errc::shut_down);

    question waiting;
    waiting.start();
    waiting.end(unavailable);
    waiting.take();
    waiting.cancel(why);
    CHECK(waiting.take() == over);
    CHECK(waiting.result->code() == errc::shut_down);
}

TEST_CASE("unary_fsm: a query cancelled while its stalled call ends makes no other call") {
    question q;
    q.start();
    q.take();
    q.timer_expired();
    q.take();
    q.cancel(errc::shut_down);
    CHECK(q.take().empty());
    q.end(cancelled);
    CHECK(q.take() == over);
    CHECK(q.result->code() == errc::shut_down);
}

TEST_CASE("unary_fsm: an endpoint that has never answered ends the query, with the last cause if there is one"
) {
    const error_value late(errc::timed_out, "host:1 has not answered in time");
    question mute;
    mute.start();
    mute.take();
    mute.machine.unanswered(late, mute.actions);
    CHECK(mute.take() == kinds{kind::cancel_call});
    mute.end(cancelled);
    CHECK(mute.take() == over);
    CHECK(mute.result->code() == errc::timed_out);
    CHECK(mute.result->message() == "host:1 has not answered in time");

    question refused;
    refused.start();
    refused.end(unavailable);
    refused.take();
    refused.machine.unanswered(late, refused.actions);
    CHECK(refused.take() == over);
    CHECK(refused.result->kind() == error_class::transient);
    CHECK(refused.result->message() == "gone (host:1 has not answered in time)");

    question answered;
    answered.start();
    answered.end({});
    answered.take();
    answered.machine.unanswered(late, answered.actions);
    CHECK(answered.take().empty());
}

TEST_CASE("unary_fsm: a timeout includes the failure of the last attempt") {
    question q;
    q.start();
    q.end(unavailable);
    q.take();
    q.cancel(errc::timed_out);
    q.take();
    CHECK(q.result->code() == errc::timed_out);
    CHECK(q.result->message() == "timed out (the last attempt: gone)");
}
