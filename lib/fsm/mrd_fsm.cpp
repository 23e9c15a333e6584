#include "fsm/mrd_fsm.hpp"

#include "described.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
// Room for the largest message there can be, now: messages are taken when the wire falls free, where memory
// must not be asked for, and the shell reads one while others queue up, so it must not move either.
mrd_fsm::mrd_fsm(std::size_t max_per_message) : max_per_message_(max_per_message) {
    message_.reserve(max_per_message_);
}

void mrd_fsm::open(mrd_actions& out) {
    if (state_ != mrd_state::fresh) return;
    state_ = mrd_state::opening;
    take_message();
    writing_ = true;
    out.push_back({mrd_action_kind::start_call});
}

std::int64_t mrd_fsm::add_range(
    std::uintptr_t cookie, std::uint64_t offset, std::uint64_t length, mrd_actions& out
) {
    if (state_ > mrd_state::reconnecting) {
        out.push_back({mrd_action_kind::complete, cookie, 0, end_ ? end_ : failure(errc::stream_closed)});
        return 0;
    }
    compact();
    range r;
    r.read_id = last_id_ + 1;
    r.cookie = cookie;
    r.offset = offset;
    r.length = length;
    ranges_.push_back(std::move(r));
    ++last_id_;
    outstanding_bytes_ += length;
    send_if_possible(out);
    return last_id_;
}

void mrd_fsm::cancel_range(std::int64_t read_id, const failure& why, mrd_actions& out) {
    range* const r = find(read_id);
    if (r != nullptr && r->state != range_state::orphaned) finish(*r, why, false, out);
}

void mrd_fsm::close(const failure& ranges_fail_with, const failure& stream_ends_with, mrd_actions& out) {
    if (state_ >= mrd_state::closing) return;
    const bool called = state_ != mrd_state::fresh;
    state_ = mrd_state::closing;
    end_ = stream_ends_with;
    fail_all(ranges_fail_with, out);
    if (called) {
        out.push_back({mrd_action_kind::cancel_call});
    } else {
        call_over_ = true;
        end_if_quiet(out);
    }
}

void mrd_fsm::response(mrd_actions& out) {
    if (state_ != mrd_state::opening) return;
    state_ = mrd_state::ready;
    out.push_back({mrd_action_kind::opened});
}

mrd_fsm::verdict mrd_fsm::begin_chunk(
    std::int64_t read_id, std::int64_t offset, std::uint64_t size, bool range_end, mrd_actions& out
) {
    range* const r = find(read_id);
    if (r == nullptr || r->state == range_state::queued) {
        // A second range_end, bytes past a finished range, an id that was never ours: the stream is none the
        // worse.
        ++unknown_chunks_;
        orphan_bytes_ += size;
        return {};
    }
    if (r->state == range_state::sent && size > 0) {
        const std::uint64_t expected = r->offset + r->received;
        if (std::cmp_not_equal(offset, expected)) {
            finish(
                *r,
                described(
                    errc::protocol_error,
                    "the service sent a chunk at offset {} where {} was due",
                    offset,
                    expected
                ),
                range_end,
                out
            );
            orphan_bytes_ += size;
            return {};
        }
        if (const std::uint64_t due = r->length - r->received; size > due) {
            finish(
                *r,
                described(
                    errc::protocol_error,
                    "the service sent {} bytes at offset {} where {} were due",
                    size,
                    offset,
                    due
                ),
                range_end,
                out
            );
            orphan_bytes_ += size;
            return {};
        }
    }
    if (r->state == range_state::orphaned) {
        orphan_bytes_ += size;
        r->received += size;  // nothing but a count by now: after the last byte nothing more is due
        if (range_end || r->received >= r->length) forget(*r);
        return {};
    }
    r->copying = true;
    r->ending = range_end;
    r->copy_size = size;
    return {true, r->cookie, r->received};
}

void mrd_fsm::end_chunk(std::int64_t read_id, const failure& damage, mrd_actions& out) {
    range* const r = find(read_id);
    if (r == nullptr || !r->copying) return;
    r->copying = false;
    if (!damage) {
        r->received += r->copy_size;
        outstanding_bytes_ -= r->copy_size;
    }
    const bool service_is_done = r->ending || call_over_;
    if (r->received == r->length) {
        finish(*r, {}, true, out);  // whoever cancelled it meanwhile was too late
    } else if (r->verdict) {
        finish(*r, std::exchange(r->verdict, {}), service_is_done, out);
    } else if (damage) {
        finish(*r, damage, service_is_done, out);
    } else if (r->ending) {
        finish(*r, {}, true, out);
    }
    end_if_quiet(out);
}

void mrd_fsm::write_done(mrd_actions& out) {
    writing_ = false;
    send_if_possible(out);
}

void mrd_fsm::call_ended(const failure& why, mrd_actions& out) {
    call_over_ = true;
    if (state_ < mrd_state::closing) {
        state_ = mrd_state::closing;
        end_ = why ? why : described(errc::stream_closed, "the service ended the stream");
    }
    fail_all(end_ ? end_ : failure(errc::stream_closed), out);
    end_if_quiet(out);
}

mrd_fsm::range* mrd_fsm::find(std::int64_t read_id) {
    const auto it = std::ranges::lower_bound(ranges_, read_id, {}, &range::read_id);
    const bool found = it != ranges_.end() && it->read_id == read_id && it->state != range_state::forgotten;
    return found ? &*it : nullptr;
}

void mrd_fsm::forget(range& r) {
    r.state = range_state::forgotten;
    ++forgotten_;
}

// Called where memory may be asked for anyway, so that the events of the wire only ever mark.
void mrd_fsm::compact() {
    if (2 * forgotten_ < ranges_.size() || forgotten_ == 0) return;
    std::erase_if(ranges_, [](const range& r) { return r.state == range_state::forgotten; });
    forgotten_ = 0;
}

void mrd_fsm::take_message() {
    message_.clear();
    auto it = std::ranges::lower_bound(ranges_, first_queued_, {}, &range::read_id);
    for (; it != ranges_.end() && message_.size() < max_per_message_; ++it) {
        if (it->state != range_state::queued) continue;
        it->state = range_state::sent;
        message_.push_back(
            {it->read_id,
             static_cast<std::int64_t>(it->offset + it->received),
             static_cast<std::int64_t>(it->length - it->received)}
        );
    }
    first_queued_ = it == ranges_.end() ? last_id_ + 1 : it->read_id;
}

void mrd_fsm::send_if_possible(mrd_actions& out) {
    if (writing_ || (state_ != mrd_state::opening && state_ != mrd_state::ready)) return;
    take_message();
    if (message_.empty()) return;
    writing_ = true;
    out.push_back({mrd_action_kind::write});
}

// `service_is_done`: nothing more will come for this id, it need not be remembered.
void mrd_fsm::finish(range& r, const failure& why, bool service_is_done, mrd_actions& out) {
    if (r.copying) {
        if (!r.verdict) r.verdict = why;
        return;
    }
    outstanding_bytes_ -= r.length - r.received;
    out.push_back({mrd_action_kind::complete, r.cookie, r.received, why});
    if (r.state == range_state::queued || service_is_done) {
        forget(r);
    } else {
        r.state = range_state::orphaned;
    }
}

void mrd_fsm::fail_all(const failure& why, mrd_actions& out) {
    for (range& r : ranges_) {
        if (r.state == range_state::orphaned) forget(r);
        if (r.state != range_state::forgotten) finish(r, why, true, out);
    }
}

void mrd_fsm::end_if_quiet(mrd_actions& out) {
    if (!call_over_ || state_ != mrd_state::closing) return;
    if (std::ranges::any_of(ranges_, &range::copying)) return;
    state_ = end_ ? mrd_state::failed : mrd_state::closed;
    out.push_back({mrd_action_kind::ended, 0, 0, end_});
}

}  // namespace rangeio::fsm
