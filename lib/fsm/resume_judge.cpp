#include "fsm/resume_judge.hpp"

#include "described.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

bool retries(const retry_policy& policy, const failure& why, bool established) {
    if (!why) return true;  // the service said OK and owes us bytes
    if (why.code() == boost::system::errc::not_enough_memory) return established;
    return policy.retries(status_of(why), established);
}

}  // namespace

int status_of(const failure& why) noexcept {
    const int named = why.grpc_status();
    return named == 0 && why.code().category() == grpc_category() ? why.code().value() : named;
}

resume_judge::verdict resume_judge::call_ended(
    call_fate fate, const failure& why, bool pending, bool established, time_point now
) noexcept {
    const bool at_fault = fate == call_fate::broken || fate == call_fate::stalled ||
                          fate == call_fate::outdated || fate == call_fate::starved ||
                          fate == call_fate::unwanted || fate == call_fate::ranges_named;
    if (fate == call_fate::broken && !retries(policy_, why, established)) return {what_next::fail, {}, why};
    if (!pending && established) {
        // A call that was answered and owed nothing was a good one, whatever ended it.
        if (answered_) attempts_ = redirects_ = 0;
        if (answered_ || !at_fault) return {what_next::sleep, {}, {}};
    }
    if (at_fault) return attempt(why, pending, established, now);
    if (fate == call_fate::redirected && ++redirects_ > policy_.max_redirects()) {
        return {
            what_next::fail,
            {},
            described(errc::too_many_redirects, "{} redirects in a row, and nothing came", redirects_)
        };
    }
    return {what_next::call, {}, {}};
}

resume_judge::verdict resume_judge::attempt(
    const failure& why, bool pending, bool established, time_point now
) noexcept {
    const failure cause = why ? why : described(errc::stream_closed, "the service ended the stream");
    const unsigned limit = established ? policy_.attempts() : policy_.open_attempts() - 1;
    if (attempts_ >= limit) {
        if (limit == 0) return {what_next::fail, {}, cause};
        return {
            what_next::fail,
            {},
            remarked(cause, "attempt {} of {}", limit + !established, limit + !established)
        };
    }
    // Nobody has waited for anything while the stream slept.
    if (std::exchange(slept_, false) || attempts_ == 0) since_ = now;
    const auto tried_for = now - since_;
    if (policy_.budget() > std::chrono::nanoseconds::zero() && tried_for >= policy_.budget()) {
        using seconds = std::chrono::duration<double>;
        return {
            what_next::fail,
            {},
            remarked(
                cause, "nothing came for {:.3g} s, attempt {}", seconds(tried_for).count(), attempts_ + 1
            )
        };
    }
    ++attempts_;
    if (!pending && established) return {what_next::sleep, {}, {}};
    const auto delay = moved_ ? std::chrono::nanoseconds::zero() : backoff();
    return {delay > std::chrono::nanoseconds::zero() ? what_next::wait : what_next::call, delay, {}};
}

resume_judge::verdict resume_judge::woken() noexcept {
    slept_ = true;
    const auto delay = attempts_ == 0 ? std::chrono::nanoseconds::zero() : backoff();
    return {delay > std::chrono::nanoseconds::zero() ? what_next::wait : what_next::call, delay, {}};
}

void resume_judge::progress() noexcept {
    attempts_ = redirects_ = 0;
    moved_ = answered_ = true;
}

std::chrono::nanoseconds resume_judge::backoff() const noexcept {
    using nanoseconds = std::chrono::duration<double, std::nano>;
    const nanoseconds most = policy_.max_backoff();
    nanoseconds bound = policy_.initial_backoff();
    for (unsigned n = 1; n < attempts_ && bound < most; ++n) bound *= policy_.backoff_factor();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(bound, most));
}

}  // namespace rangeio::fsm
