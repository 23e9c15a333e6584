#include "fsm/prefetch_fsm.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {

prefetch_fsm::prefetch_fsm(options o, std::unique_ptr<prefetch_policy> policy)
    : options_(o), policy_(std::move(policy)), units_(o.units) {}

void prefetch_fsm::begin(
    reading& read, byte_range rest, std::uint64_t size, prefetch_time now, unit_actions& out
) {
    read.pieces.clear();
    const std::size_t before = out.size();
    units_.begin(read.range, read.lent, read.pieces, out);
    for (std::size_t i = before; i < out.size(); ++i) {
        if (out[i].kind == unit_action_kind::promote) ++stats_.promotions;
    }
    if (policy_ != nullptr && size > size_) policy_->resize(size);
    size_ = std::max(size_, size);
    forget_announced(read.range);
    read.begun = true;
    read.reported = false;
    read.since = now;
    read.front = byte_range(read.range.offset(), read.range.length() - rest.length());
    read.missing = 0;
    read.waits_at.reset();
    if (!read.front.empty()) read.waits_at = read.front.offset();
    bool some_here = false;
    for (const read_piece& piece : read.pieces) {
        // Only what a read is lent waits for memory.
        const bool missing = piece.state == unit_state::direct || piece.state == unit_state::reserving;
        if (missing) read.missing += piece.range.length();
        some_here = some_here || !missing;
        if (piece.state != unit_state::ready && !read.waits_at) read.waits_at = piece.range.offset();
    }
    if (!read.waits_at) {
        ++stats_.hits;
    } else {
        ++stats_.stalls;
        ++(some_here ? stats_.partial_hits : stats_.misses);
    }
}

// The policy hears of it first: it may plan bytes of the read, which count as requested until the read is over. Fetches
// begin last, since only they take room from the actions that must not fail.
void prefetch_fsm::end(reading& read, read_ending how, prefetch_time now, unit_actions& out) noexcept {
    if (!read.begun) return;
    const auto without_memory_less = [](auto step) {
        try {
            step();
        } catch (...) {
            // Less is fetched ahead.
        }
    };
    without_memory_less([&] { report_end(read, how, now, out); });
    read.begun = false;
    units_.end(read.pieces, how == read_ending::delivered, out);
    read.pieces.clear();
    if (read.waits_at) stats_.stall_time += now - read.since;
    // The next read starts clean. What is under way may be adopted.
    if (how == read_ending::failed) {
        units_.drop_all(out);
        announced_.clear();
    }
    without_memory_less([&] { carry_out(out); });
}

void prefetch_fsm::refused(unit_id unit, const error_value& why, unit_actions& out) noexcept {
    lose(units_.refused(unit, why, out));
}

bool prefetch_fsm::reclaim(unit_id unit, unit_actions& out) noexcept {
    ++stats_.reclaims;
    const auto lost = units_.reclaim(unit, out);
    if (lost) lose(*lost);
    return lost.has_value();
}

// A policy that has not heard of a loss finds the bytes missing when they are read.
void prefetch_fsm::lose(byte_range range) noexcept {
    if (!range.empty() && lost_.size() < lost_.capacity()) lost_.push_back(range);
}

void prefetch_fsm::close(unit_actions& out) noexcept {
    closed_ = true;
    announced_.clear();
    units_.drop_all(out);
    const std::uint64_t wasted = units_.take_wasted();
    stats_.wasted_bytes += wasted;
    if (policy_ != nullptr && wasted != 0) policy_->wasted(wasted);
}

void prefetch_fsm::after_begin(reading& read, unit_actions& out) {
    if (!read.begun) return;
    report(read);
    carry_out(out);
}

void prefetch_fsm::report_end(reading& read, read_ending how, prefetch_time now, unit_actions& out) {
    report(read);
    if (policy_ == nullptr || closed_) return;
    policy_->read_ended(read.range, how == read_ending::delivered, now, plan_);
    if (how == read_ending::failed) {
        policy_->reset();
        plan_.clear();
    }
    decide(out);
}

// A read may end on another thread before the one that began it has come to this: the policy hears of the beginning
// first in any case.
void prefetch_fsm::report(reading& read) {
    if (std::exchange(read.reported, true) || policy_ == nullptr || closed_) return;
    policy_->read_begins({read.range, read.waits_at, read.missing, read.since}, plan_);
    if (!read.front.empty()) policy_->arrived({read.front, 0, {}, {}, {}}, plan_);
}

void prefetch_fsm::arrived(const prefetch_arrival& arrival, unit_actions& out) {
    if (policy_ != nullptr && !closed_) policy_->arrived(arrival, plan_);
    carry_out(out);
}

void prefetch_fsm::after_loss(unit_actions& out) {
    carry_out(out);
}

void prefetch_fsm::advise(access_pattern pattern, unit_actions& out) {
    if (policy_ != nullptr && !closed_) policy_->advise(pattern, plan_);
    carry_out(out);
}

void prefetch_fsm::will_need(byte_range range, unit_actions& out) {
    if (closed_) return;
    if (!range.empty()) announced_.push_back(range);
    carry_out(out);
}

void prefetch_fsm::dont_need(byte_range range, unit_actions& out) {
    units_.drop(range, out);
    forget_announced(range);
    carry_out(out);
}

// The policy hears of planned bytes that are in memory as of bytes that arrive, and may plan again.
void prefetch_fsm::carry_out(unit_actions& out) {
    if (closed_) return;
    std::uint64_t limit = 0;
    if (policy_ != nullptr) {
        decide(out);
        limit = policy_->max_under_way();
    }
    stats_.wasted_bytes += units_.take_wasted();
    units_.fetch_next(limit, options_.max_hinted_under_way, out);
    // A list of ranges may be longer than the object: it becomes units as it is requested.
    while (!announced_.empty() && units_.under_way_bytes() < options_.max_hinted_under_way) {
        byte_range& first = announced_.front();
        const std::uint64_t length = std::min(first.length(), options_.max_hinted_under_way);
        units_.hint(byte_range(first.offset(), length));
        first = byte_range::from_to(first.offset() + length, first.end());
        if (first.empty()) announced_.pop_front();
        units_.fetch_next(limit, options_.max_hinted_under_way, out);
    }
}

// A read of announced bytes requests them itself.
void prefetch_fsm::forget_announced(byte_range range) {
    for (std::size_t i = 0; i < announced_.size();) {
        const byte_range old = announced_[i];
        if (!old.overlaps(range)) {
            ++i;
            continue;
        }
        if (old.end() > range.end()) {
            const auto after = byte_range::from_to(range.end(), old.end());
            announced_.insert(announced_.begin() + static_cast<std::ptrdiff_t>(i) + 1, after);
        }
        if (old.offset() < range.offset()) {
            announced_[i++] = byte_range::from_to(old.offset(), range.offset());
        } else {
            announced_.erase(announced_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (old.end() > range.end()) ++i;
    }
}

void prefetch_fsm::decide(unit_actions& out) {
    try {
        do {
            for (const byte_range& range : lost_) policy_->lost(range, plan_);
            lost_.clear();
            in_memory_.clear();
            units_.apply(plan_, in_memory_, out);
            plan_.clear();
            for (const byte_range& range : in_memory_) policy_->arrived({range, 0, {}, {}, {}}, plan_);
            if (const std::uint64_t bytes = units_.take_wasted()) {
                stats_.wasted_bytes += bytes;
                policy_->wasted(bytes);
            }
        } while (!plan_.empty());
    } catch (...) {
        plan_.clear();
        throw;
    }
}

reader_stats prefetch_fsm::stats() const noexcept {
    reader_stats out = stats_;
    out.prefetched_bytes = units_.requested_bytes();
    out.under_way_bytes = units_.under_way_bytes();
    out.orphan_bytes = units_.orphan_bytes();
    out.window_bytes = policy_ == nullptr ? 0 : policy_->window();
    return out;
}

}  // namespace rangeio::fsm
