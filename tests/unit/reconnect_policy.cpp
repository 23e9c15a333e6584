#include "fsm/reconnect_policy.hpp"

#include "support/grpc_failures.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <utility>
#include <vector>

using rangeio::errc;
using rangeio::error_class;
using rangeio::error_value;
using rangeio::retry_policy;
using rangeio::fsm::call_fate;
using rangeio::fsm::reconnect_policy;
using rangeio::fsm::time_point;
using support::grpc_failure;
using support::unavailable;
using namespace std::chrono_literals;
using what_next = reconnect_policy::what_next;

namespace {

/// The end of a call that brought nothing, on a stream that was open.
reconnect_policy::verdict broke(
    reconnect_policy& reconnect, time_point now = {}, const error_value& why = unavailable
) {
    reconnect.call_started();
    return reconnect.call_ended(call_fate::broken, why, true, true, now);
}

}  // namespace

TEST_CASE("reconnect_policy: waits grow by the factor up to their bound, one for each attempt") {
    reconnect_policy reconnect(retry_policy().initial_backoff(250ms).max_backoff(3s).attempts(7).budget(0s));
    std::vector<std::chrono::nanoseconds> waits;
    for (auto next = broke(reconnect); next.then == what_next::wait; next = broke(reconnect)) {
        waits.push_back(next.delay);
    }
    CHECK(waits == std::vector<std::chrono::nanoseconds>{250ms, 500ms, 1s, 2s, 3s, 3s, 3s});
}

TEST_CASE("reconnect_policy: without a budget the attempts are limited, and the failure gives their number") {
    reconnect_policy reconnect(retry_policy().attempts(2).budget(0s));
    CHECK(broke(reconnect).then == what_next::wait);
    CHECK(broke(reconnect).then == what_next::wait);
    const auto last = broke(reconnect);
    CHECK(last.then == what_next::fail);
    CHECK(last.why.code() == unavailable.code());
    CHECK(last.why.kind() == error_class::transient);
    CHECK(last.why.message() == "gone (attempt 2 of 2)");
}

TEST_CASE(
    "reconnect_policy: a wait requested by the service is kept, up to the longest back-off and the budget"
) {
    const auto asks = [](std::chrono::nanoseconds delay) {
        return error_value(errc::timed_out, rangeio::error_info{"slower", error_class::throttled, delay});
    };
    const retry_policy policy = retry_policy().initial_backoff(250ms).max_backoff(20s).budget(10min);
    reconnect_policy reconnect(policy);
    const auto first = broke(reconnect, {}, asks(3s));
    CHECK(first.then == what_next::wait);
    CHECK(first.at_least == 3s);
    CHECK(first.delay == 250ms);
    // Also where the next attempt would be made at once.
    reconnect.progress();
    const auto moved = reconnect.call_ended(call_fate::broken, asks(3s), true, true, {});
    CHECK(moved.then == what_next::wait);
    CHECK(moved.at_least == 3s);
    CHECK(moved.delay == 0s);
    CHECK(broke(reconnect, {}, asks(1h)).at_least == 20s);
    CHECK(broke(reconnect, time_point() + 9min + 50s, asks(1h)).at_least == 10s);
    reconnect_policy other(policy);
    CHECK(broke(other, {}, unavailable).at_least == 0s);
    CHECK(broke(other, {}, asks(-1h)).at_least == 0s);
}

TEST_CASE("reconnect_policy: a wait requested by the service also applies to a stream that sleeps") {
    const error_value slower(errc::timed_out, rangeio::error_info{"slower", error_class::throttled, 3s});
    reconnect_policy reconnect(retry_policy().initial_backoff(250ms));
    reconnect.call_started();
    reconnect.responded();
    CHECK(reconnect.call_ended(call_fate::broken, slower, false, true, {}).then == what_next::sleep);
    const auto early = reconnect.woken(time_point() + 1s);
    CHECK(early.then == what_next::wait);
    CHECK(early.at_least == 2s);
    CHECK(reconnect.woken(time_point() + 3s).then == what_next::call);
}

TEST_CASE("reconnect_policy: progress resets the attempts, and the next attempt does not wait") {
    reconnect_policy reconnect(retry_policy().attempts(2).budget(0s));
    CHECK(broke(reconnect).then == what_next::wait);
    CHECK(broke(reconnect).then == what_next::wait);
    reconnect.progress();
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, true, true, {}).then == what_next::call);
    CHECK(broke(reconnect).then == what_next::wait);
    CHECK(broke(reconnect).then == what_next::fail);
}

TEST_CASE("reconnect_policy: a response alone is no progress") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(0s));
    CHECK(broke(reconnect).then == what_next::wait);
    reconnect.call_started();
    reconnect.responded();
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, true, true, {}).then == what_next::fail);
}

TEST_CASE("reconnect_policy: the budget starts with the first attempt, and progress resets it") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(10s));
    time_point now = time_point() + 1h;
    CHECK(broke(reconnect, now).then == what_next::wait);
    CHECK(broke(reconnect, now + 9s).then == what_next::wait);
    reconnect.progress();
    now += 9s;
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, true, true, now).then == what_next::call);
    CHECK(broke(reconnect, now + 9s).then == what_next::wait);
    const auto last = broke(reconnect, now + 10s);
    CHECK(last.then == what_next::fail);
    CHECK(last.why.message() == "gone (no progress for 10 s, attempt 3)");
}

TEST_CASE("reconnect_policy: the budget does not run while the stream sleeps") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(10s));
    const time_point now = time_point() + 1h;
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::unwanted, unavailable, false, true, now).then == what_next::sleep);
    CHECK(reconnect.woken(now).then == what_next::wait);
    CHECK(broke(reconnect, now + 20s).then == what_next::wait);
    CHECK(broke(reconnect, now + 29s).then == what_next::wait);
    CHECK(broke(reconnect, now + 30s).then == what_next::fail);
}

TEST_CASE("reconnect_policy: a budget of 0 means no budget, and a back-off of 0 means no wait") {
    reconnect_policy reconnect(retry_policy().attempts(2).budget(0s).initial_backoff(0s));
    CHECK(broke(reconnect).then == what_next::call);
    CHECK(broke(reconnect, time_point() + 10h).then == what_next::call);
    CHECK(broke(reconnect).then == what_next::fail);
}

TEST_CASE("reconnect_policy: the retryable statuses depend on whether the stream was open") {
    for (int code = 1; code <= 16; ++code) {
        const bool always = code == 1 || code == 4 || code == 8 || code == 13 || code == 14;
        const bool once_open = always || code == 10;
        for (const bool established : {false, true}) {
            CAPTURE(code);
            CAPTURE(established);
            reconnect_policy reconnect{retry_policy()};
            reconnect.call_started();
            const auto next =
                reconnect.call_ended(call_fate::broken, grpc_failure(code), true, established, {});
            CHECK((next.then == what_next::wait) == (established ? once_open : always));
            if (next.then == what_next::fail) CHECK(next.why.message() == "gone");
        }
    }
}

TEST_CASE("reconnect_policy: lack of memory is retried on an open stream, before only as out_of_memory") {
    const error_value no_memory = make_error_code(boost::system::errc::not_enough_memory);
    for (const bool established : {false, true}) {
        CAPTURE(established);
        reconnect_policy reconnect{retry_policy()};
        reconnect.call_started();
        const auto next = reconnect.call_ended(call_fate::broken, no_memory, true, established, {});
        CHECK(next.then == (established ? what_next::wait : what_next::fail));
    }
    reconnect_policy reconnect{retry_policy()};
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::out_of_memory, no_memory, true, false, {}).then == what_next::wait);
}

TEST_CASE("reconnect_policy: error classes can be added to the retryable ones and removed") {
    reconnect_policy reconnect(
        retry_policy().retry(error_class::unknown, true).retry(error_class::transient, false)
    );
    CHECK(broke(reconnect, {}, grpc_failure(2)).then == what_next::wait);
    CHECK(broke(reconnect, {}, unavailable).then == what_next::fail);
    CHECK_FALSE(retry_policy().retry(error_class::none, true).retries(error_class::none, true));
}

TEST_CASE("reconnect_policy: an error of no service status is not retried, an early OK is") {
    reconnect_policy reconnect{retry_policy()};
    CHECK(broke(reconnect, {}, errc::protocol_error).then == what_next::fail);
    CHECK(broke(reconnect, {}, {}).then == what_next::wait);
}

TEST_CASE("reconnect_policy: an open has attempts of its own") {
    reconnect_policy reconnect(retry_policy().attempts(100).open_attempts(2));
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, false, false, {}).then == what_next::wait);
    reconnect.call_started();
    const auto last = reconnect.call_ended(call_fate::broken, unavailable, false, false, {});
    CHECK(last.then == what_next::fail);
    CHECK(last.why.message() == "gone (attempt 2 of 2)");
}

TEST_CASE("reconnect_policy: redirects are followed at once, up to the limit in a row, and cost no attempt") {
    reconnect_policy reconnect(retry_policy().max_redirects(2).attempts(0));
    const auto redirected = [&reconnect] {
        reconnect.call_started();
        reconnect.responded();
        return reconnect.call_ended(call_fate::redirected, grpc_failure(10), true, true, {});
    };
    CHECK(redirected().then == what_next::call);
    CHECK(redirected().then == what_next::call);
    reconnect.progress();
    CHECK(redirected().then == what_next::call);
    CHECK(redirected().then == what_next::call);
    const auto last = redirected();
    CHECK(last.then == what_next::fail);
    CHECK(last.why.code() == errc::too_many_redirects);
}

TEST_CASE("reconnect_policy: without ranges an open stream sleeps after any retryable end") {
    for (const auto fate :
         {call_fate::broken, call_fate::redirected, call_fate::stalled, call_fate::retired}) {
        reconnect_policy reconnect(retry_policy::none().max_redirects(0));
        reconnect.call_started();
        reconnect.responded();
        CHECK(reconnect.call_ended(fate, grpc_failure(10), false, true, {}).then == what_next::sleep);
        CHECK(reconnect.woken({}).then == what_next::call);
    }
}

TEST_CASE("reconnect_policy: unanswered calls count as attempts even if no range is pending any more") {
    reconnect_policy reconnect(retry_policy().attempts(1).initial_backoff(1s).budget(0s));
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, false, true, {}).then == what_next::sleep);
    const auto next = reconnect.woken({});
    CHECK(next.then == what_next::wait);
    CHECK(next.delay == 1s);
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::broken, unavailable, false, true, {}).then == what_next::fail);
}

TEST_CASE("reconnect_policy: an open stream fails at the end of its budget, after any number of attempts") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(10s));
    for (int n = 0; n < 100; ++n) CHECK(broke(reconnect, time_point() + n * 99ms).then == what_next::wait);
    const auto last = broke(reconnect, time_point() + 10s);
    CHECK(last.then == what_next::fail);
    CHECK(last.why.message() == "gone (no progress for 10 s, attempt 101)");
}

TEST_CASE("reconnect_policy: with 0 attempts there is none, whatever the budget") {
    reconnect_policy reconnect(retry_policy::none());
    CHECK(broke(reconnect).then == what_next::fail);
    CHECK(reconnect.call_ended(call_fate::unconnected, unavailable, true, true, {}).then == what_next::fail);
    CHECK(reconnect.call_ended(call_fate::unconnected, unavailable, true, false, {}).then == what_next::fail);
}

TEST_CASE("reconnect_policy: a further open of a pool has the budget of an open stream, but its own statuses"
) {
    reconnect_policy reconnect(retry_policy().attempts(1).open_attempts(1).budget(10s));
    reconnect.be_patient();
    const auto fails = [&](const error_value& why, time_point now) {
        reconnect.call_started();
        return reconnect.call_ended(call_fate::broken, why, false, false, now).then == what_next::fail;
    };
    CHECK_FALSE(fails(unavailable, {}));
    CHECK_FALSE(fails(unavailable, time_point() + 9s));
    CHECK(fails(grpc_failure(10), time_point() + 9s));
    CHECK(fails(unavailable, time_point() + 10s));
}

TEST_CASE("reconnect_policy: a wait for a connection takes 1 s at most and costs budget, but no attempt") {
    for (const bool established : {false, true}) {
        CAPTURE(established);
        reconnect_policy reconnect(retry_policy().attempts(1).open_attempts(2).budget(10s));
        const auto unconnected = [&](time_point now) {
            reconnect.call_started();
            return reconnect.call_ended(call_fate::unconnected, unavailable, true, established, now);
        };
        for (int n = 0; n < 100; ++n) {
            const auto next = unconnected(time_point() + n * 99ms);
            CHECK(next.then == what_next::wait);
            CHECK(next.delay == 1s);
        }
        CHECK(reconnect.attempts() == 0);
        CHECK(unconnected(time_point() + 10s).then == what_next::fail);
    }
    reconnect_policy quick(retry_policy().max_backoff(300ms));
    quick.call_started();
    CHECK(quick.call_ended(call_fate::unconnected, unavailable, true, true, {}).delay == 300ms);
    reconnect_policy unlimited(retry_policy().attempts(1).budget(0s));
    unlimited.call_started();
    CHECK(unlimited.call_ended(call_fate::unconnected, unavailable, true, true, {}).then == what_next::wait);
    CHECK(unlimited.call_ended(call_fate::unconnected, unavailable, true, true, {}).then == what_next::fail);
    reconnect_policy unwilling(retry_policy().retry(error_class::transient, false));
    CHECK(unwilling.call_ended(call_fate::unconnected, unavailable, true, true, {}).then == what_next::fail);
}

TEST_CASE("reconnect_policy: the next call after a stall starts at once") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(0s));
    reconnect.call_started();
    CHECK(reconnect.call_ended(call_fate::stalled, errc::stalled, true, true, {}).then == what_next::call);
    CHECK(reconnect.attempts() == 1);
    CHECK(reconnect.call_ended(call_fate::stalled, errc::stalled, true, true, {}).then == what_next::fail);
    reconnect_policy other{retry_policy()};  // its connection was found dead by another stream
    CHECK(broke(other, {}, errc::stalled).then == what_next::call);
    CHECK(other.attempts() == 1);
}

TEST_CASE("reconnect_policy: a slow or crowded call costs no attempt, and a slow one no budget") {
    reconnect_policy reconnect(retry_policy().attempts(1).budget(10s));
    CHECK(broke(reconnect).then == what_next::wait);
    const auto ends = [&](call_fate fate, time_point now) {
        reconnect.call_started();
        return reconnect.call_ended(fate, errc::stalled, true, true, now).then;
    };
    CHECK(ends(call_fate::slow, time_point() + 40s) == what_next::call);
    CHECK(ends(call_fate::slow, time_point() + 80s) == what_next::call);
    CHECK(ends(call_fate::crowded, time_point() + 85s) == what_next::call);
    CHECK(reconnect.attempts() == 1);
    CHECK(reconnect.silent() == 3);
    CHECK(broke(reconnect, time_point() + 89s).then == what_next::wait);
    CHECK(broke(reconnect, time_point() + 90s).then == what_next::fail);
    reconnect.progress();
    CHECK(reconnect.silent() == 0);
}

TEST_CASE("reconnect_policy: time asleep counts as wait, and a sleep of the longest wait resets the attempts"
) {
    const auto woken_after = [](std::chrono::nanoseconds slept) {
        reconnect_policy reconnect(retry_policy().initial_backoff(1s).max_backoff(4s));
        for (int n = 0; n < 3; ++n) broke(reconnect);
        reconnect.call_started();
        CHECK(
            reconnect.call_ended(call_fate::unwanted, unavailable, false, true, {}).then == what_next::sleep
        );
        CHECK(reconnect.attempts() == 4);
        const auto next = reconnect.woken(time_point() + slept);
        return std::pair(next.delay, reconnect.attempts());
    };
    CHECK(woken_after(0s) == std::pair<std::chrono::nanoseconds, unsigned>(4s, 4));
    CHECK(woken_after(3s) == std::pair<std::chrono::nanoseconds, unsigned>(1s, 4));
    CHECK(woken_after(4s) == std::pair<std::chrono::nanoseconds, unsigned>(0s, 0));
}
