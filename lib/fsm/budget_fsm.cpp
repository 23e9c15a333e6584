#include "fsm/budget_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <tuple>

namespace rangeio::fsm {
namespace {

bool may_displace(request_class lane, const budget_fsm::reservation& r) {
    if (r.use == budget_use::held) return false;
    return r.use != budget_use::ahead || lane < r.lane;
}

/// The least goes first.
auto reclaim_order(const budget_fsm::reservation& r) {
    const bool ahead = r.use == budget_use::ahead;
    const bool hinted = ahead && r.lane == request_class::hinted;
    return std::tuple(r.use, hinted, ahead ? ~r.rank : r.rank, r.id);
}

}  // namespace

budget_fsm::budget_fsm(options o) : options_(o) {
    options_.limit_bytes = std::max(o.limit_bytes, o.unit_bytes);
}

// The other events also occur in destructors, so there is room for each waiter among the reservations.
void budget_fsm::request(
    reservation_id id, reader_id reader, request_class lane, std::uint64_t bytes, budget_actions& out
) {
    assert(bytes > 0 && bytes <= options_.unit_bytes);
    const std::size_t room = waiters_.size() + reservations_.size() + 1;
    if (waiters_.capacity() < waiters_.size() + 1) waiters_.reserve(2 * room);
    if (reservations_.capacity() < room) reservations_.reserve(2 * room);
    enqueue({id, reader, lane, bytes});
    pump(out);
}

void budget_fsm::promote(reservation_id id, budget_actions& out) {
    if (reservation* r = find(id)) {
        r->use = budget_use::held;
        if (r->lane == request_class::demand) return;
        r->lane = request_class::demand;
    } else {
        const auto it = std::ranges::find(waiters_, id, &waiter::id);
        if (it == waiters_.end() || it->lane == request_class::demand) return;
        waiter w = *it;
        waiters_.erase(it);
        w.lane = request_class::demand;
        enqueue(w);
    }
    ++promotions_;
    pump(out);
}

bool budget_fsm::cancel(reservation_id id, budget_actions& out) {
    if (std::erase_if(waiters_, [id](const waiter& w) { return w.id == id; }) == 0) return false;
    pump(out);
    return true;
}

void budget_fsm::leave(reader_id reader, budget_actions& out) {
    std::erase_if(waiters_, [reader](const waiter& w) { return w.reader == reader; });
    pump(out);
}

void budget_fsm::mark(reservation_id id, budget_use use, std::uint64_t rank, budget_actions& out) {
    reservation* r = find(id);
    if (r == nullptr) return;
    r->use = use;
    r->rank = rank;
    if (r->lane == request_class::demand) r->lane = request_class::speculative;
    pump(out);
}

void budget_fsm::keep(reservation_id id, budget_actions& out) {
    reservation* r = find(id);
    if (r == nullptr) return;
    r->use = budget_use::held;
    r->asked = false;
    pump(out);
}

void budget_fsm::release(reservation_id id, budget_actions& out) {
    reservation* r = find(id);
    if (r == nullptr) return;
    reserved_ -= r->bytes;
    reservations_.erase(reservations_.begin() + (r - reservations_.data()));
    if (reserved_ <= options_.limit_bytes) {
        for (reservation& other : reservations_) other.above = false;
    }
    pump(out);
}

budget_stats budget_fsm::stats() const noexcept {
    budget_stats out;
    out.limit_bytes = options_.limit_bytes;
    out.reserved_bytes = reserved_;
    out.peak_bytes = peak_;
    for (const waiter& w : waiters_) ++out.waiting[static_cast<std::size_t>(w.lane)];
    out.promotions = promotions_;
    out.reclaims = reclaims_;
    out.above_limit = above_limit_;
    return out;
}

std::size_t budget_fsm::action_bound() const noexcept {
    // Each waiter is granted, and asked for; each reservation is asked for, unless it has been.
    const auto unasked = std::ranges::count(reservations_, false, &reservation::asked);
    return 2 * waiters_.size() + static_cast<std::size_t>(unasked);
}

budget_fsm::reservation* budget_fsm::find(reservation_id id) {
    const auto it = std::ranges::find(reservations_, id, &reservation::id);
    return it == reservations_.end() ? nullptr : &*it;
}

void budget_fsm::enqueue(const waiter& w) {
    waiters_.insert(std::ranges::upper_bound(waiters_, w.lane, {}, &waiter::lane), w);
}

bool budget_fsm::has_room(std::uint64_t bytes) const {
    return reserved_ + bytes <= options_.limit_bytes;
}

// B4. A reservation above the limit counts even when its reader does not wait for it any more: or a reader that reads
// on and keeps what it has read would exceed the limit by more than one unit.
bool budget_fsm::guaranteed(const waiter& w) const {
    if (w.lane != request_class::demand) return false;
    return std::ranges::none_of(reservations_, [&w](const reservation& r) {
        return r.reader == w.reader && (r.lane == request_class::demand || r.above);
    });
}

void budget_fsm::pump(budget_actions& out) {
    bool blocked = false;  // by a waiter that comes first, and lacks room
    for (std::size_t i = 0; i < waiters_.size();) {
        const waiter w = waiters_[i];
        const bool fits = has_room(w.bytes);
        if ((blocked || !fits) && !guaranteed(w)) {
            blocked = true;
            ++i;
            continue;
        }
        waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
        reservations_.push_back({w.id, w.reader, w.lane, w.bytes, budget_use::held, 0, !fits, false});
        reserved_ += w.bytes;
        peak_ = std::max(peak_, reserved_);
        if (!fits) ++above_limit_;
        out.push_back({budget_action_kind::grant, w.id});
    }
    // What demand has taken above the limit is reclaimed, even if nobody waits for it.
    reclaim_for(request_class::demand, 0, out);
    if (!waiters_.empty()) reclaim_for(waiters_.front().lane, waiters_.front().bytes, out);
}

void budget_fsm::reclaim_for(request_class lane, std::uint64_t bytes, budget_actions& out) {
    std::uint64_t coming = 0;
    for (const reservation& r : reservations_) {
        if (r.asked && r.use != budget_use::held) coming += r.bytes;
    }
    while (!has_room(bytes) && reserved_ + bytes - options_.limit_bytes > coming) {
        reservation* r = next_to_reclaim(lane);
        if (r == nullptr) return;
        r->asked = true;
        coming += r->bytes;
        ++reclaims_;
        out.push_back({budget_action_kind::reclaim, r->id});
    }
}

budget_fsm::reservation* budget_fsm::next_to_reclaim(request_class lane) {
    reservation* best = nullptr;
    for (reservation& r : reservations_) {
        if (r.asked || !may_displace(lane, r)) continue;
        if (best == nullptr || reclaim_order(r) < reclaim_order(*best)) best = &r;
    }
    return best;
}

}  // namespace rangeio::fsm
