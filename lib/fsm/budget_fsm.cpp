#include "fsm/budget_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace rangeio::fsm {

budget_fsm::budget_fsm(options o) : options_(o) {
    options_.limit_bytes = std::max(o.limit_bytes, o.unit_bytes);
}

// The nodes are made aside and then moved, so that a failure to make one changes nothing.
void budget_fsm::request(
    reservation_id id, reader_id reader, request_class lane, std::uint64_t bytes, budget_actions& out
) {
    assert(bytes > 0 && bytes <= options_.unit_bytes && !entries_.contains(id));
    const entry e{reader, lane, bytes, turns_ + 1};
    entries made{{id, e}};
    std::set<place> its_place{place_of(id, e)};
    std::set<share> its_share{share_of(id, e)};
    if (!readers_.contains(reader)) {
        std::set<need> none{need{need::of::nothing, 0, reader}};
        readers_.try_emplace(reader).first->second.at = *none.begin();
        needs_.merge(none);
    }
    ++turns_;
    entries_.merge(made);
    places_.merge(its_place);
    shares_.merge(its_share);
    count(e, 1);
    review(reader);
    pump(out);
}

void budget_fsm::promote(reservation_id id, budget_actions& out) {
    const auto it = entries_.find(id);
    if (it == entries_.end() || it->second.lane == request_class::demand) return;
    change(it, [this](entry& e) {
        e.lane = request_class::demand;
        e.use = budget_use::held;
        if (!e.granted) e.turn = ++turns_;
    });
    ++promotions_;
    pump(out);
}

bool budget_fsm::cancel(reservation_id id, budget_actions& out) {
    const auto it = entries_.find(id);
    if (it == entries_.end() || it->second.granted) return false;
    remove(it);
    pump(out);
    return true;
}

void budget_fsm::leave(reader_id reader, budget_actions& out) {
    for (;;) {
        const auto first = shares_.lower_bound({reader, share::of::waiting_demand});
        if (first == shares_.end() || first->reader != reader || first->what == share::of::granted) break;
        remove(entries_.find(first->id));
    }
    pump(out);
}

void budget_fsm::mark(reservation_id id, budget_use use, std::uint64_t rank, budget_actions& out) {
    const auto it = entries_.find(id);
    if (it == entries_.end() || !it->second.granted) return;
    change(it, [use, rank](entry& e) {
        e.use = use;
        e.rank = rank;
        if (e.lane == request_class::demand) e.lane = request_class::speculative;
    });
    pump(out);
}

void budget_fsm::keep(reservation_id id, budget_actions& out) {
    const auto it = entries_.find(id);
    if (it == entries_.end() || !it->second.asked) return;
    change(it, [](entry& e) {
        e.use = budget_use::held;
        e.asked = false;
    });
    pump(out);
}

void budget_fsm::release(reservation_id id, budget_actions& out) {
    const auto it = entries_.find(id);
    if (it == entries_.end() || !it->second.granted) return;
    reserved_ -= it->second.bytes;
    if (is_above(id, it->second)) readers_.at(it->second.reader).above.reset();
    remove(it);
    while (has_room(0)) {
        const auto above = needs_.lower_bound({need::of::room});
        if (above == needs_.end() || above->what != need::of::room) break;
        const reader_id who = above->reader;
        readers_.at(who).above.reset();
        review(who);
    }
    pump(out);
}

memory_budget_stats budget_fsm::stats() const noexcept {
    memory_budget_stats out;
    out.limit_bytes = options_.limit_bytes;
    out.reserved_bytes = reserved_;
    out.peak_bytes = peak_;
    out.waiting_demand = waiting_[static_cast<std::size_t>(request_class::demand)];
    out.waiting_hinted = waiting_[static_cast<std::size_t>(request_class::hinted)];
    out.waiting_speculative = waiting_[static_cast<std::size_t>(request_class::speculative)];
    out.promotions = promotions_;
    out.reclaims = reclaims_;
    out.above_limit = above_limit_;
    return out;
}

std::size_t budget_fsm::action_bound() const noexcept {
    // Each waiter is granted, and asked for; each reservation is asked for, unless it has been.
    std::size_t out = unasked_;
    for (const std::size_t waiting : waiting_) out += 2 * waiting;
    return out;
}

std::vector<budget_fsm::waiter> budget_fsm::waiters() const {
    std::vector<waiter> out;
    for (const place& p : places_) {
        if (p.in > line::speculative) break;
        const entry& e = entries_.at(p.id);
        out.push_back({p.id, e.reader, e.lane, e.bytes});
    }
    return out;
}

std::vector<budget_fsm::reservation> budget_fsm::reservations() const {
    std::map<std::uint64_t, reservation> by_turn;
    for (const auto& [id, e] : entries_) {
        if (!e.granted) continue;
        by_turn[e.turn] = {id, e.reader, e.lane, e.bytes, e.use, e.rank, is_above(id, e), e.asked};
    }
    std::vector<reservation> out;
    for (const auto& [turn, r] : by_turn) out.push_back(r);
    return out;
}

budget_fsm::place budget_fsm::place_of(reservation_id id, const entry& e) {
    if (!e.granted) return {static_cast<line>(e.lane), e.turn, id};
    if (e.asked) return {line::none, 0, id};
    switch (e.use) {
        case budget_use::parked: return {line::parked, e.rank, id};
        case budget_use::kept: return {line::kept, e.rank, id};
        case budget_use::ahead: {
            const bool hinted = e.lane == request_class::hinted;
            return {hinted ? line::ahead_hinted : line::ahead_speculative, ~e.rank, id};
        }
        case budget_use::held: break;
    }
    return {line::none, 0, id};
}

budget_fsm::share budget_fsm::share_of(reservation_id id, const entry& e) {
    if (e.granted) return {e.reader, share::of::granted, 0, id};
    const bool demand = e.lane == request_class::demand;
    return {e.reader, demand ? share::of::waiting_demand : share::of::waiting, e.turn, id};
}

void budget_fsm::count(const entry& e, int sign) {
    const auto one = static_cast<std::size_t>(sign);
    if (!e.granted) {
        waiting_[static_cast<std::size_t>(e.lane)] += one;
        return;
    }
    if (e.lane == request_class::demand) readers_.at(e.reader).demanded += one;
    if (!e.asked) unasked_ += one;
    if (e.asked && e.use != budget_use::held) coming_ += one * e.bytes;
}

/// Changes an entry by `f`, and with it all that is known of it elsewhere.
template <class F>
void budget_fsm::change(entries::iterator it, F f) {
    auto& [id, e] = *it;
    auto its_place = places_.extract(place_of(id, e));
    auto its_share = shares_.extract(share_of(id, e));
    count(e, -1);
    f(e);
    count(e, 1);
    its_place.value() = place_of(id, e);
    its_share.value() = share_of(id, e);
    places_.insert(std::move(its_place));
    shares_.insert(std::move(its_share));
    review(e.reader);
}

void budget_fsm::remove(entries::iterator it) {
    const auto& [id, e] = *it;
    const reader_id reader = e.reader;
    places_.erase(place_of(id, e));
    shares_.erase(share_of(id, e));
    count(e, -1);
    entries_.erase(it);
    review(reader);
}

/// After a change of its entries, or of `above`. A reader without entries is gone.
///
/// B4. A reservation above the limit counts even when its reader does not wait for it any more: or a reader that reads
/// on and keeps what it has read would exceed the limit by more than one unit.
void budget_fsm::review(reader_id id) {
    const auto it = readers_.find(id);
    reader_state& r = it->second;
    const auto first = shares_.lower_bound({id, share::of::waiting_demand});
    if (first == shares_.end() || first->reader != id) {
        needs_.erase(r.at);
        readers_.erase(it);
        return;
    }
    auto node = needs_.extract(r.at);
    if (r.above) {
        r.at = {need::of::room, 0, id};
    } else if (r.demanded == 0 && first->what == share::of::waiting_demand) {
        r.at = {need::of::unit, first->turn, id};
    } else {
        r.at = {need::of::nothing, 0, id};
    }
    node.value() = r.at;
    needs_.insert(std::move(node));
}

void budget_fsm::grant(reservation_id id, budget_actions& out) {
    const auto it = entries_.find(id);
    const entry& e = it->second;
    if (!has_room(e.bytes)) {
        ++above_limit_;
        readers_.at(e.reader).above = id;
    }
    reserved_ += e.bytes;
    peak_ = std::max(peak_, reserved_);
    change(it, [this](entry& granted) {
        granted.granted = true;
        granted.turn = ++turns_;
    });
    out.push_back({budget_action_kind::grant, id});
}

/// Null: nobody waits.
const budget_fsm::entry* budget_fsm::head() const {
    const auto first = places_.begin();
    const bool waits = first != places_.end() && first->in <= line::speculative;
    return waits ? &entries_.at(first->id) : nullptr;
}

void budget_fsm::pump(budget_actions& out) {
    while (head() != nullptr && has_room(head()->bytes)) grant(places_.begin()->id, out);
    while (!needs_.empty() && needs_.begin()->what == need::of::unit) {
        grant(shares_.lower_bound({needs_.begin()->reader, share::of::waiting_demand})->id, out);
    }
    // What demand has taken above the limit is reclaimed, even if nobody waits for it.
    reclaim_for(request_class::demand, 0, out);
    if (const entry* const first = head()) reclaim_for(first->lane, first->bytes, out);
}

void budget_fsm::reclaim_for(request_class lane, std::uint64_t bytes, budget_actions& out) {
    const line last = lane == request_class::demand   ? line::ahead_hinted
                      : lane == request_class::hinted ? line::ahead_speculative
                                                      : line::kept;
    while (!has_room(bytes) && reserved_ + bytes - options_.limit_bytes > coming_) {
        const auto next = places_.lower_bound({line::parked});
        if (next == places_.end() || next->in > last) return;
        const reservation_id id = next->id;
        change(entries_.find(id), [](entry& e) { e.asked = true; });
        ++reclaims_;
        out.push_back({budget_action_kind::reclaim, id});
    }
}

}  // namespace rangeio::fsm
