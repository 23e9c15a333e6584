#include "fsm/reconnect_policy.hpp"

#include "error_text.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

// Shorter than the longest back-off of gRPC for a connection: that back-off decides when a service that is back is
// noticed.
constexpr std::chrono::seconds longest_wait_for_connection{1};

bool retries(const retry_policy& policy, const error_value& why, bool established) {
    if (!why) return true;  // status OK, although bytes are due
    if (why.code() == errc::stalled) return true;
    if (why.code() == boost::system::errc::not_enough_memory) return established;
    return policy.retries(why.kind(), established);
}

}  // namespace

reconnect_policy::verdict reconnect_policy::call_ended(
    call_fate fate, const error_value& why, bool pending, bool established, time_point now
) noexcept {
    // The time of a slow call, whose connection is not dead, does not count against the budget.
    if (fate == call_fate::slow && trying_) since_ += now - ended_;
    ended_ = now;
    if (fate == call_fate::broken || fate == call_fate::ranges_named) {
        const auto asked = std::min(why.retry_after(), policy_.max_backoff());
        if (asked > std::chrono::nanoseconds::zero()) not_before_ = now + asked;
    }
    const bool at_fault = fate == call_fate::broken || fate == call_fate::stalled ||
                          fate == call_fate::outdated || fate == call_fate::out_of_memory ||
                          fate == call_fate::unwanted || fate == call_fate::ranges_named ||
                          fate == call_fate::unconnected;
    const bool theirs = fate == call_fate::broken || fate == call_fate::unconnected;
    if (theirs && !retries(policy_, why, established)) return {what_next::fail, {}, why};
    if (!pending && established) {
        // A call that was answered and on which nothing was due counts as good, whatever ended it.
        if (answered_) start_anew();
        if (answered_ || !at_fault) return {what_next::sleep, {}, {}};
    }
    if (at_fault) return attempt(fate, why, pending, established, now);
    if (fate == call_fate::slow || fate == call_fate::crowded) ++silent_;
    if (fate == call_fate::redirected && ++redirects_ > policy_.max_redirects()) {
        return {
            what_next::fail,
            {},
            described(errc::too_many_redirects, "{} redirects in a row without progress", redirects_)
        };
    }
    return {what_next::call, {}, {}};
}

reconnect_policy::verdict reconnect_policy::attempt(
    call_fate fate, const error_value& why, bool pending, bool established, time_point now
) noexcept {
    constexpr std::chrono::nanoseconds none{0};
    const error_value cause = why ? why : described(errc::stream_closed, "the service ended the stream");
    const bool patient = established || patient_;
    const unsigned limit = patient ? policy_.attempts() : policy_.open_attempts() - 1;
    if (limit == 0) return {what_next::fail, {}, cause};
    const bool timed = policy_.budget() > none;
    const bool counts = fate != call_fate::unconnected || !timed;
    // Without memory there may be no timer for a wait either: then the attempts have to be limited, not the time.
    const bool no_memory =
        fate == call_fate::out_of_memory || why.code() == boost::system::errc::not_enough_memory;
    if (attempts_ >= limit && counts && (!patient || !timed || no_memory)) {
        const unsigned calls = limit + (patient ? 0 : 1);
        return {what_next::fail, {}, remarked(cause, "attempt {} of {}", calls, calls)};
    }
    if (!std::exchange(trying_, true)) since_ = now;
    const auto tried_for = now - since_;
    if (timed && tried_for >= policy_.budget()) {
        using seconds = std::chrono::duration<double>;
        return {
            what_next::fail,
            {},
            remarked(cause, "no progress for {:.3g} s, attempt {}", seconds(tried_for).count(), attempts_ + 1)
        };
    }
    if (counts) ++attempts_;
    // By its own silence, or because the silence of another call showed that the connection is dead.
    const bool stalled =
        fate == call_fate::stalled || (fate == call_fate::broken && why.code() == errc::stalled);
    if (stalled) ++silent_;
    if (!pending && established) return {what_next::sleep, {}, {}};
    auto delay = none;
    if (fate == call_fate::unconnected) {
        delay = longest_wait_for_connection;
        if (policy_.max_backoff() > none) delay = std::min(delay, policy_.max_backoff());
    } else if (!stalled && !moved_) {
        delay = backoff();
    }
    auto asked = asked_wait(now);
    if (timed) asked = std::min<std::chrono::nanoseconds>(asked, policy_.budget() - tried_for);
    return {delay + asked > none ? what_next::wait : what_next::call, delay, {}, asked};
}

reconnect_policy::verdict reconnect_policy::woken(time_point now) noexcept {
    const auto slept = now - ended_;
    trying_ = false;  // no range was pending meanwhile
    if (slept >= policy_.max_backoff()) start_anew();
    std::chrono::nanoseconds delay{0};
    if (attempts_ > 0) delay = std::max(delay, backoff() - slept);
    const auto asked = asked_wait(now);
    const bool waits = delay + asked > std::chrono::nanoseconds::zero();
    return {waits ? what_next::wait : what_next::call, delay, {}, asked};
}

std::chrono::nanoseconds reconnect_policy::asked_wait(time_point now) const noexcept {
    return std::max(std::chrono::nanoseconds::zero(), std::chrono::nanoseconds(not_before_ - now));
}

void reconnect_policy::progress() noexcept {
    start_anew();
    moved_ = answered_ = true;
}

std::chrono::nanoseconds reconnect_policy::backoff() const noexcept {
    using nanoseconds = std::chrono::duration<double, std::nano>;
    const nanoseconds most = policy_.max_backoff();
    nanoseconds bound = policy_.initial_backoff();
    for (unsigned n = 1; n < attempts_ && bound < most; ++n) bound *= policy_.backoff_factor();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(bound, most));
}

}  // namespace rangeio::fsm
