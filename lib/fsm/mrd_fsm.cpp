#include "fsm/mrd_fsm.hpp"

#include <rangeio/byte_range.hpp>

#include "error_text.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace rangeio::fsm {

// Reserves memory for the largest possible message: messages are taken when the wire becomes free, in events that must
// not allocate.
mrd_fsm::mrd_fsm(const options& o) : options_(o), reconnect_(o.retry) {
    message_.reserve(options_.max_per_message);
}

void mrd_fsm::open(mrd_actions& out, bool further) {
    if (further) reconnect_.be_patient();
    if (state_ == mrd_state::fresh) want_call(out);
    if (state_ == mrd_state::closing && call_ == call_state::none) end(out);  // closed before it was opened
}

std::int64_t mrd_fsm::add_range(
    std::shared_ptr<range_sink> sink,
    std::uint64_t offset,
    std::uint64_t length,
    time_point now,
    mrd_actions& out,
    bool tail
) {
    if (state_ >= mrd_state::closing) {
        mrd_action answer{mrd_action_kind::complete};
        const std::int64_t number = answer.number = ranges_.skip();
        answer.sink = std::move(sink);
        answer.why = end_ ? end_ : error_value(errc::stream_closed);
        out.push_back(std::move(answer));
        return number;
    }
    const std::int64_t number = ranges_.add(std::move(sink), offset, length, tail).number;
    outstanding_bytes_ += length;
    if (state_ == mrd_state::dormant) {
        follow(reconnect_.woken(now), out);
    } else {
        send_if_possible(out);
        start_stall_checks(out);
    }
    return number;
}

void mrd_fsm::cancel_range(std::int64_t number, const error_value& why, mrd_actions& out) {
    stream_range* const r = ranges_.find(number);
    if (r != nullptr && r->pending()) finish(*r, why, false, out);
}

void mrd_fsm::reopen(mrd_actions& out) {
    sight_.reopen();
    // A call that has not begun will be new, and an abandoned call is about to be followed by another.
    if (opened_ && call_ == call_state::there) give_up(call_fate::reopened, out);
}

// A call without a response may serve more than was reported when it began: its response decides.
void mrd_fsm::require(std::uint64_t size, mrd_actions& out) {
    sight_.require(size);
    if (state_ == mrd_state::ready && sight_.behind()) give_up_behind(false, out);
}

void mrd_fsm::close(
    const error_value& ranges_fail_with, const error_value& stream_ends_with, mrd_actions& out
) {
    if (state_ >= mrd_state::closing) return;
    const bool fresh = state_ == mrd_state::fresh;
    state_ = mrd_state::closing;
    end_ = stream_ends_with;
    fail_all(ranges_fail_with, out);
    if (call_ == call_state::none) {
        if (!fresh) end(out);  // a fresh stream has no owner yet to report to
        return;
    }
    // The owner must send no more ranges to this stream until the call has ended.
    const bool failing = opened_ && stream_ends_with;
    if (failing && !std::exchange(told_, true)) out.push_back({mrd_action_kind::reconnecting});
    if (call_ == call_state::there) give_up(call_fate::broken, out);
    // A call that is due or abandoned ends by itself.
}

void mrd_fsm::want_call(mrd_actions& out) {
    mrd_action start{mrd_action_kind::start_call};
    start.attempt = reconnect_.attempts();
    start.first = state_ == mrd_state::fresh;
    start.waited = state_ == mrd_state::waiting;
    state_ = opened_ ? mrd_state::reopening : mrd_state::opening;
    call_ = call_state::due;
    out.push_back(std::move(start));
}

// The message of the call is taken here and not in want_call(): there, the shell may still have been sending the last
// message of the previous call, on another thread.
bool mrd_fsm::begin_call(mrd_actions& out) {
    if (call_ != call_state::due) return false;
    call_ = call_state::none;
    if (state_ == mrd_state::closing) {
        end(out);
        return false;
    }
    if (opened_ && outstanding_bytes_ == 0) {
        sleep(out);
        return false;
    }
    call_ = call_state::there;
    wire_ = wire_state::writing;
    message_.clear();
    ranges_.take(message_, room());
    reconnect_.call_started();
    sight_.call_started();
    moved_ = true;  // the stall timeout for the first byte begins now
    start_stall_checks(out);
    if (opened_) ++counted_.resumed;
    return true;
}

bool mrd_fsm::begin_write() {
    if (call_ != call_state::there || wire_ != wire_state::due) return false;
    message_.clear();
    ranges_.take(message_, room());
    wire_ = message_.empty() ? wire_state::free : wire_state::writing;
    return wire_ == wire_state::writing;
}

void mrd_fsm::out_of_memory(mrd_actions& out) {
    if (call_ == call_state::there) give_up(call_fate::out_of_memory, out);
}

void mrd_fsm::stall_timer_failed(timer_id timer, mrd_actions& out) {
    if (timer != stall_timer_) return;
    stall_timer_ = 0;
    out_of_memory(out);
}

void mrd_fsm::write_done(mrd_actions& out) {
    wire_ = wire_state::free;
    send_if_possible(out);
}

void mrd_fsm::response(std::optional<std::uint64_t> size, mrd_actions& out) {
    reconnect_.responded();
    if (!awaits_response()) return;
    state_ = mrd_state::ready;
    sight_.responded(size);
    if (!std::exchange(opened_, true)) {
        reconnect_.progress();
        stop_stall_checks(out);
        out.push_back({mrd_action_kind::opened});
    } else if (!sight_.behind() && std::exchange(told_, false)) {
        out.push_back({mrd_action_kind::reconnected});
    }
    if (sight_.behind()) give_up_behind(sight_.outdated(), out);
}

// P14. `outdated`: the fault is the service's, so this costs an attempt.
void mrd_fsm::give_up_behind(bool outdated, mrd_actions& out) {
    sight_.reopen();
    if (call_ == call_state::there) give_up(outdated ? call_fate::outdated : call_fate::reopened, out);
}

// The service has ended a range before bytes that exist. A call that has reported those bytes may do so range_attempts
// times; a call that cannot serve them costs an attempt, and its bytes are no progress: the budget bounds such calls.
bool mrd_fsm::ends_behind(const stream_range& r) const noexcept {
    return r.ending && !r.tail && r.received < r.length && sight_.covers(r.offset + r.received) &&
           r.bad < options_.retry.range_attempts();
}

mrd_fsm::verdict mrd_fsm::begin_chunk(
    std::int64_t read_id, std::int64_t offset, std::uint64_t size, bool range_end, mrd_actions& out
) {
    stream_range* const r = ranges_.find_by_read_id(read_id);
    if (r == nullptr || r->state != range_state::sent || r->read_id() != read_id) {
        // Orphan bytes; or a second range_end, bytes past a finished range, an id that was never assigned. None of
        // these damages the stream.
        if (r == nullptr || !ranges_.drop_chunk(*r, read_id, size, range_end)) ++counted_.unknown_chunks;
        counted_.orphan_bytes += size;
        return {};
    }
    verdict said;
    said.offset = r->offset;
    said.length = r->length;
    said.why = unfit(*r, offset, size);
    if (said.why) {
        reject_chunk(*r, said.why, size, range_end, out);
        return said;
    }
    if (r->tail && sight_.outdated()) {
        counted_.orphan_bytes += size;  // this call has an outdated end of the object
        return {};
    }
    r->copying = true;
    r->ending = range_end;
    r->copy_size = size;
    r->copy_offset = static_cast<std::uint64_t>(offset);
    moved_ = moved_ || size > 0;
    said.accept = true;
    said.sink = r->sink.get();
    said.position = r->received;
    return said;
}

// The fault of a chunk, as far as it can be determined without its bytes.
error_value mrd_fsm::unfit(const stream_range& r, std::int64_t offset, std::uint64_t size) noexcept {
    const std::uint64_t expected = r.offset + r.received;
    const std::uint64_t due = r.length - r.received;
    if (size > 0 && r.tail && (offset < 0 || std::cmp_greater(offset, byte_range::max_end - due))) {
        return described(
            errc::protocol_error, "the service sent a tail of {} bytes at offset {}", due, offset
        );
    }
    if (size > 0 && !r.tail && std::cmp_not_equal(offset, expected)) {
        return described(
            errc::protocol_error, "the service sent a chunk at offset {} where {} was due", offset, expected
        );
    }
    if (size > due) {
        return described(
            errc::protocol_error,
            "the service sent {} bytes at offset {} where {} were due",
            size,
            offset,
            due
        );
    }
    return {};
}

void mrd_fsm::end_chunk(std::int64_t read_id, const error_value& damage, mrd_actions& out) {
    stream_range* const r = ranges_.find_by_read_id(read_id);
    if (r == nullptr || !r->copying) return;
    r->copying = false;
    if (damage) {
        ++counted_.checksum_failures;
        reject_chunk(*r, damage, r->copy_size, r->ending, out);
        return;
    }
    // The checksum is right, so the offset of the chunk is trusted, too.
    if (r->copy_size > 0 && std::exchange(r->tail, false)) r->offset = r->copy_offset;
    r->received += r->copy_size;
    outstanding_bytes_ -= r->copy_size;
    if (r->copy_size > 0) r->bad = 0;
    const bool behind = ends_behind(*r);
    if (!sight_.outdated() && (r->copy_size > 0 || (r->ending && !behind))) reconnect_.progress();
    if (r->received == r->length) {
        finish(*r, {}, true, out);  // a cancellation during the copy was too late
    } else if (r->verdict) {
        finish(*r, std::exchange(r->verdict, {}), r->ending, out);
    } else if (behind) {
        if (vouches()) ++r->bad;
        give_up_behind(true, out);  // the next call resumes the range
    } else if (r->ending) {
        finish(*r, {}, true, out);
    }
}

// S4: the range is requested again from the last good byte, under another id; other ranges are not affected.
void mrd_fsm::reject_chunk(
    stream_range& r, const error_value& why, std::uint64_t size, bool range_end, mrd_actions& out
) {
    counted_.orphan_bytes += size;
    if (r.verdict) {
        finish(r, std::exchange(r.verdict, {}), range_end, out);
    } else if (r.bad >= options_.retry.range_attempts()) {
        finish(r, why, range_end, out);
    } else {
        ++r.bad;
        ranges_.rename(r, size, range_end);
        retire_if_due(out);
        send_if_possible(out);
    }
}

void mrd_fsm::call_ended(const call_end& end_of_call, time_point now, mrd_actions& out) {
    if (call_ == call_state::none) return;
    assert(std::ranges::none_of(ranges_.all(), &stream_range::copying));
    // The call may have ended by itself before the cancellation.
    const bool given_up = call_ == call_state::given_up && end_of_call.why.kind() == error_class::cancelled;
    call_ = call_state::none;
    if (state_ == mrd_state::closing) {
        end(out);
        return;
    }
    call_fate fate = fail_named(end_of_call, out);
    if (given_up) {
        fate = fate_;
    } else if (fate == call_fate::broken && !end_of_call.redirected) {
        fate = seek_refused(end_of_call, out);
    }
    error_value why = end_of_call.why;
    if (fate == call_fate::stalled || fate == call_fate::slow)
        why = described(errc::stalled, "no byte arrived for the stall timeout");
    if (fate == call_fate::crowded)
        why = described(errc::stalled, "no answer on a connection that serves other calls");
    if (fate == call_fate::broken && end_of_call.unconnected) fate = call_fate::unconnected;
    if (fate == call_fate::unwanted)
        why = described(errc::stalled, "no answer before the last range was cancelled");
    if (fate == call_fate::outdated) {
        why = described(errc::short_read, "the service knows of fewer than {} bytes", sight_.required());
    }
    if (fate == call_fate::out_of_memory) why = make_error_code(boost::system::errc::not_enough_memory);
    if (end_of_call.redirected) {
        fate = call_fate::redirected;
        ++counted_.redirected;
    }
    ranges_.call_ended();
    const auto next = reconnect_.call_ended(fate, why, outstanding_bytes_ != 0, opened_, now);
    last_ = why;
    mrd_action over{mrd_action_kind::call_over};
    over.why = std::move(why);
    over.fate = fate;
    over.attempt = reconnect_.attempts();
    out.push_back(std::move(over));
    follow(next, out);
}

void mrd_fsm::wait_over(timer_id timer, mrd_actions& out) {
    if (timer != wait_timer_ || state_ != mrd_state::waiting) return;
    wait_timer_ = 0;
    want_call(out);
}

void mrd_fsm::follow(const reconnect_policy::verdict& next, mrd_actions& out) {
    using what_next = reconnect_policy::what_next;
    if (next.then == what_next::fail) return fail(next.why, out);
    if (next.then == what_next::sleep) return sleep(out);
    // For its owner, a dormant stream that wakes without a wait does not differ from an open one.
    const bool broke = state_ != mrd_state::dormant || next.then == what_next::wait;
    if (opened_ && broke && !std::exchange(told_, true)) out.push_back({mrd_action_kind::reconnecting});
    if (next.then == what_next::call) return want_call(out);
    state_ = mrd_state::waiting;
    wait_timer_ = ++last_timer_;
    mrd_action wait{mrd_action_kind::wait, wait_timer_};
    wait.delay = next.delay;
    wait.at_least = next.at_least;
    wait.attempt = reconnect_.attempts();
    out.push_back(std::move(wait));
}

void mrd_fsm::sleep(mrd_actions& out) {
    state_ = mrd_state::dormant;
    if (std::exchange(told_, false)) out.push_back({mrd_action_kind::reconnected});
}

void mrd_fsm::fail(const error_value& why, mrd_actions& out) {
    state_ = mrd_state::closing;
    end_ = why;
    fail_all(why, out);
    end(out);
}

// No range is pending any more.
void mrd_fsm::all_done(mrd_actions& out) {
    stop_stall_checks(out);
    // A call that reopens the stream may never answer, and the callers that wait for the stream would wait as long.
    if (told_ && state_ == mrd_state::reopening && call_ == call_state::there) {
        give_up(call_fate::unwanted, out);
    }
    if (state_ != mrd_state::waiting || !opened_) return;  // an opening continues without ranges
    wait_timer_ = 0;
    out.push_back({mrd_action_kind::cancel_wait});
    sleep(out);
}

// The call continues until call_ended(); chunks that still arrive count.
void mrd_fsm::give_up(call_fate fate, mrd_actions& out) {
    call_ = call_state::given_up;
    fate_ = fate;
    mrd_action cancel{mrd_action_kind::cancel_call};
    cancel.fate = fate;
    cancel.received = ranges_.orphans_due();
    cancel.checks = stall_checks_;
    out.push_back(std::move(cancel));
}

void mrd_fsm::send_if_possible(mrd_actions& out) {
    if (call_ != call_state::there || wire_ != wire_state::free || !ranges_.any_queued()) return;
    if (room() == 0) return;
    wire_ = wire_state::due;
    out.push_back({mrd_action_kind::write});
}

// A call on which nothing is due is not checked, except for an opening: there the response is due.
bool mrd_fsm::stall_checked() const noexcept {
    return call_ == call_state::there && (outstanding_bytes_ != 0 || !opened_) &&
           options_.retry.stall_timeout() > std::chrono::nanoseconds::zero();
}

// S9. Sets the stall timer, unless it is set: there is at most one.
void mrd_fsm::start_stall_checks(mrd_actions& out) {
    if (stall_timer_ != 0 || !stall_checked()) return;
    moved_ = true;  // the stall timeout begins now
    check_stall_later(out);
}

// A timer that remains set would keep an otherwise idle context running.
void mrd_fsm::stop_stall_checks(mrd_actions& out) {
    if (stall_timer_ == 0 || outstanding_bytes_ != 0 || !opened_) return;
    stall_timer_ = 0;
    out.push_back({mrd_action_kind::cancel_stall_timer});
}

void mrd_fsm::check_stall_later(mrd_actions& out) {
    stall_timer_ = ++last_timer_;
    const auto delay = options_.retry.stall_timeout() / checks_per_stall;
    out.push_back({mrd_action_kind::set_stall_timer, stall_timer_, {}, delay});
}

void mrd_fsm::check_stall(timer_id timer, mrd_actions& out) {
    if (timer != stall_timer_) return;
    stall_timer_ = 0;
    if (!stall_checked()) return;  // the next range starts the checks again
    stall_checks_ = std::exchange(moved_, false) ? 0 : stall_checks_ + 1;
    if (stall_checks_ == 0) return check_stall_later(out);
    // Whether the silence is too long depends on the other calls on the connection.
    stall_timer_ = ++last_timer_;
    mrd_action ask{mrd_action_kind::classify_silence, stall_timer_};
    ask.checks = stall_checks_;
    ask.excused = reconnect_.silent();
    out.push_back(std::move(ask));
}

void mrd_fsm::silence_classified(timer_id timer, silence how, mrd_actions& out) {
    if (timer != stall_timer_) return;
    stall_timer_ = 0;
    if (!stall_checked()) return;
    if (how == silence::borne || moved_) return check_stall_later(out);
    if (how == silence::crowded) return give_up(call_fate::crowded, out);
    ++counted_.stalled;
    give_up(how == silence::slow ? call_fate::slow : call_fate::stalled, out);
}

// `service_is_done`: nothing more will arrive for this range, so its id need not be kept.
void mrd_fsm::finish(
    stream_range& r, const error_value& why, bool service_is_done, mrd_actions& out, bool refused
) {
    if (r.copying) {
        if (!r.verdict) r.verdict = why;
        return;
    }
    outstanding_bytes_ -= r.length - r.received;
    mrd_action answer{mrd_action_kind::complete};
    answer.number = r.number;
    answer.sink = std::move(r.sink);
    answer.why = why;
    answer.received = r.received;
    answer.offset = r.offset;
    answer.refused = refused;
    out.push_back(std::move(answer));
    ranges_.drop(r, service_is_done);
    retire_if_due(out);
    if (most_under_way_ != no_limit && state_ < mrd_state::closing) {
        if (!why && ++most_under_way_ > options_.max_per_message) most_under_way_ = no_limit;
        send_if_possible(out);
    }
    if (outstanding_bytes_ == 0) all_done(out);
}

void mrd_fsm::fail_all(const error_value& why, mrd_actions& out) {
    for (stream_range& r : ranges_.all()) {
        if (r.pending()) finish(r, why, true, out);
    }
}

// S10. If the service names a range and does not fail it, the call can be resumed, because its status belongs to other
// ranges.
call_fate mrd_fsm::fail_named(const call_end& end_of_call, mrd_actions& out) {
    auto fate = call_fate::broken;
    for (const range_error& e : end_of_call.errors) {
        stream_range* const r = ranges_.find_by_read_id(e.read_id);
        if (r == nullptr || r->state == range_state::queued) continue;
        if (fate == call_fate::broken) fate = call_fate::ranges_named;
        if (!e.why || e.why.kind() == error_class::aborted || r->read_id() != e.read_id) continue;
        const bool exists = !r->tail && sight_.covers(r->offset + r->received);
        if (e.why.kind() == error_class::out_of_range && exists &&
            (!vouches() || r->bad++ < options_.retry.range_attempts())) {
            sight_.reopen();  // the call is behind, the range is good
            continue;
        }
        // An orphan may be at fault, too: it is not part of the next call.
        fate = call_fate::ranges_failed;
        if (r->pending()) finish(*r, e.why, true, out, true);
    }
    return fate;
}

// S10. The call ended because of a range, and its status does not name the range.
call_fate mrd_fsm::seek_refused(const call_end& end_of_call, mrd_actions& out) {
    const error_class kind = end_of_call.why.kind();
    const std::size_t under_way = ranges_.under_way();
    if (under_way == 0 || !end_of_call.why) return call_fate::broken;
    if (!end_of_call.unreadable && kind != error_class::out_of_range) return call_fate::broken;
    // A status that may have another cause as well costs an attempt like any other.
    const bool passes = options_.retry.retries(kind, opened_);
    if (under_way > 1) {
        most_under_way_ = std::min(under_way / 2, options_.max_per_message);
        return passes ? call_fate::broken : call_fate::ranges_failed;
    }
    if (passes) return call_fate::broken;
    stream_range& r = *std::ranges::find_if(ranges_.all(), &stream_range::under_way);
    if (kind == error_class::out_of_range && !r.tail && !sight_.anew() &&
        sight_.covers(r.offset + r.received)) {
        sight_.reopen();  // the call may be behind: the next one is not
        return call_fate::ranges_failed;
    }
    // A range that was renamed or cancelled is not part of the next call in the refused form.
    if (r.state == range_state::sent && r.stale == 0) finish(r, end_of_call.why, true, out, true);
    return call_fate::ranges_failed;
}

// The number of further ranges that fit into a message. Orphans do not count: the service may never end them.
std::size_t mrd_fsm::room() const noexcept {
    if (most_under_way_ == no_limit) return options_.max_per_message;
    const auto sent =
        static_cast<std::size_t>(std::ranges::count(ranges_.all(), range_state::sent, &stream_range::state));
    return std::min(options_.max_per_message, most_under_way_ - std::min(sent, most_under_way_));
}

// S8. Another call costs less than the wait for orphan bytes.
void mrd_fsm::retire_if_due(mrd_actions& out) {
    const bool bearable = ranges_.orphans_due() <= options_.retry.max_orphan_bytes() &&
                          ranges_.orphan_ranges_due() <= options_.retry.max_orphan_ranges();
    if (call_ != call_state::there || bearable) return;
    ++counted_.retired;
    give_up(call_fate::retired, out);
}

std::optional<event_kind> mrd_action::event() const noexcept {
    switch (kind) {
        case mrd_action_kind::opened: return event_kind::stream_opened;
        case mrd_action_kind::start_call:
            // The action of the wait has reported it.
            return first || waited ? std::nullopt : std::optional(event_kind::stream_resuming);
        case mrd_action_kind::wait: return event_kind::stream_resuming;
        case mrd_action_kind::ended: return event_kind::stream_ended;
        case mrd_action_kind::cancel_call:
            if (fate == call_fate::stalled || fate == call_fate::slow) return event_kind::stream_stalled;
            if (fate == call_fate::retired) return event_kind::stream_retired;
            return std::nullopt;
        case mrd_action_kind::call_over:
            if (fate == call_fate::redirected) return event_kind::stream_redirected;
            if (fate == call_fate::stalled || fate == call_fate::slow || fate == call_fate::crowded ||
                fate == call_fate::retired || fate == call_fate::reopened) {
                return std::nullopt;  // abandoned by the stream itself, and reported before
            }
            return event_kind::stream_broke;
        default: return std::nullopt;
    }
}

void mrd_fsm::end(mrd_actions& out) {
    state_ = end_ ? mrd_state::failed : mrd_state::closed;
    wait_timer_ = stall_timer_ = 0;  // the shell drops its timers with this action
    out.push_back({mrd_action_kind::ended, 0, end_});
}

}  // namespace rangeio::fsm
