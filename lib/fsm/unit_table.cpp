#include "fsm/unit_table.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace rangeio::fsm {
namespace {

byte_range hull(byte_range a, byte_range b) noexcept {
    if (a.empty()) return b;
    if (b.empty()) return a;
    return byte_range::from_to(std::min(a.offset(), b.offset()), std::max(a.end(), b.end()));
}

/// What remains of `range` when `part` is taken from one of its ends, or all of it.
byte_range without(byte_range range, byte_range part) noexcept {
    if (part.contains(range)) return {};
    if (part.contains(range.offset())) return byte_range::from_to(part.end(), range.end());
    if (!part.empty() && part.offset() < range.end() && part.end() >= range.end()) {
        return byte_range::from_to(range.offset(), part.offset());
    }
    return range;
}

}  // namespace

std::size_t unit_table::first_that_ends_after(std::uint64_t offset) const noexcept {
    const auto it = std::ranges::upper_bound(units_, offset, {}, [](const unit& u) { return u.range.end(); });
    return static_cast<std::size_t>(it - units_.begin());
}

unit_table::unit* unit_table::find(unit_id id) noexcept {
    const auto it = std::ranges::find(units_, id, &unit::id);
    return it == units_.end() ? nullptr : &*it;
}

void unit_table::insert(byte_range range, unit_state state, request_class what) {
    unit u;
    u.id = ++last_id_;
    u.range = u.wanted = range;
    u.what = what;
    u.announced = what == request_class::hinted;
    u.state = state;
    units_.insert(
        units_.begin() + static_cast<std::ptrdiff_t>(first_that_ends_after(range.offset())), std::move(u)
    );
    if (state == unit_state::waiting) ++waiting_;
}

byte_range unit_table::first_piece(byte_range range) const noexcept {
    range = range.intersect(byte_range(range.offset(), std::min(range.length(), options_.max_unit_bytes)));
    for (std::size_t i = first_that_ends_after(range.offset()); i < units_.size(); ++i) {
        const unit& u = units_[i];
        if (u.range.offset() >= range.end()) break;
        const bool takes =
            u.state == unit_state::waiting || (u.state == unit_state::reserving && u.pins == 0);
        if (takes) continue;
        if (u.range.contains(range.offset())) return range.intersect(u.range);
        return byte_range::from_to(range.offset(), u.range.offset());
    }
    return range;
}

// A read takes bytes from a unit that has not been requested: the rest remains planned.
void unit_table::cut(unit& u, byte_range part) {
    const byte_range before = byte_range::from_to(u.range.offset(), part.offset());
    const byte_range after = byte_range::from_to(part.end(), u.range.end());
    if (before.empty() && after.empty()) {
        --waiting_;
        units_.erase(units_.begin() + (&u - units_.data()));
        return;
    }
    u.range = u.wanted = before.empty() ? after : before;
    if (!before.empty() && !after.empty()) insert(after, unit_state::waiting, u.what);
}

void unit_table::begin(byte_range range, bool lent, read_pieces& pieces, unit_actions& out) {
    // Room for everything first: each unit that the read overlaps is cut in two at most, and has a piece before it.
    const std::size_t from = first_that_ends_after(range.offset());
    std::size_t until = from;
    while (until < units_.size() && units_[until].range.offset() < range.end()) ++until;
    const std::size_t most = 2 * (until - from) + 1;
    if (units_.capacity() < units_.size() + most) units_.reserve(2 * (units_.size() + most));
    pieces.reserve(pieces.size() + most);

    const auto request = [&](byte_range missing) {
        if (lent)
            out.push_back({.kind = unit_action_kind::fetch, .range = missing, .what = request_class::demand});
        insert(missing, unit_state::direct, request_class::demand);
        pieces.push_back({missing, last_id_});
        if (!lent) return;
        out.back().unit = last_id_;
        unit& u = *find(last_id_);
        u.lent = true;
        u.pins = 1;
        u.state = pieces.back().state = unit_state::reserving;
        under_way_ += missing.length();
    };
    std::uint64_t begin = range.offset();  // of the missing bytes before `at`
    std::uint64_t at = begin;
    while (at < range.end()) {
        const std::size_t i = first_that_ends_after(at);
        if (i == units_.size() || units_[i].range.offset() >= range.end()) break;
        unit& u = units_[i];
        const byte_range part = range.intersect(u.range).intersect(byte_range::from_to(at, range.end()));
        at = part.end();
        // A read waits for no memory: what has none yet it requests itself. To hold what it has got and to wait for the
        // rest could be a deadlock.
        if (u.state == unit_state::reserving && u.pins == 0) withdraw(u, out);
        if (u.state == unit_state::waiting) {
            cut(u, part);
            continue;
        }
        if (begin < part.offset()) request(byte_range::from_to(begin, part.offset()));
        begin = at;
        unit& used = units_[first_that_ends_after(part.offset())];  // where it is after an insertion
        if (used.state == unit_state::direct || used.state == unit_state::reserving) {
            pieces.push_back({part});
            continue;
        }
        ++used.pins;
        if (used.dropped()) adopt(used, used.range);
        if (used.state == unit_state::sent && used.what != request_class::demand) {
            used.what = request_class::demand;
            out.push_back({.kind = unit_action_kind::promote, .handle = used.handle});
        }
        pieces.push_back({part, used.id, used.state, used.state == unit_state::ready ? used.handle : nullptr}
        );
    }
    if (begin < range.end()) request(byte_range::from_to(begin, range.end()));
    read_until_ = range.end();
}

void unit_table::wait(unit_id id, unit_waiter who, unit_actions& out) {
    unit* u = find(id);  // pinned by the read
    if (u->under_way()) {
        u->waiters.push_back(who);
        ++waiters_;
        return;
    }
    out.push_back({.kind = unit_action_kind::answer, .waiter = who, .handle = u->handle, .why = u->why});
    if (u->state == unit_state::failed) u->wanted = {};
}

bool unit_table::cancel_wait(unit_id id, unit_waiter who) noexcept {
    unit* u = find(id);
    if (u == nullptr) return false;
    const auto it = std::ranges::find(u->waiters, who);
    if (it == u->waiters.end()) return false;
    u->waiters.erase(it);
    --waiters_;
    return true;
}

void unit_table::end(const read_pieces& pieces, bool delivered, unit_actions& out) noexcept {
    for (const read_piece& piece : pieces) {
        if (piece.unit == 0) continue;
        const std::size_t i = first_that_ends_after(piece.range.offset());
        unit& u = units_[i];
        if (u.state == unit_state::direct) {
            units_.erase(units_.begin() + static_cast<std::ptrdiff_t>(i));
            continue;
        }
        --u.pins;
        if (delivered) {
            const bool unread = u.used < u.range.length();
            u.used = std::min(u.range.length(), u.used + piece.range.length());
            ++uses_;
            u.read = hull(u.read, piece.range);
            if (unread && u.used == u.range.length()) u.told_late = true;
            if (u.announced && u.used == u.range.length() && u.read == u.range) let_go(u);
        }
        if (u.lent && u.pins == 0) let_go(u);
        if (u.pins != 0 || u.state == unit_state::sent) continue;
        if (u.dropped()) {
            remove(u, out);
        } else if (!u.under_way() && std::exchange(u.told_late, false)) {
            mark(u, out);
        }
    }
    bound_orphans(out);
}

void unit_table::apply(const prefetch_plan& plan_of, std::vector<byte_range>& in_memory, unit_actions& out) {
    for (const byte_range& range : plan_of.drop) drop(range, out);
    for (const byte_range& range : plan_of.park) park(range, out);
    for (const prefetch_unit& planned : plan_of.fetch) plan(planned, request_class::speculative, &in_memory);
}

void unit_table::park(byte_range range, unit_actions& out) noexcept {
    for (std::size_t i = first_that_ends_after(range.offset());
         i < units_.size() && units_[i].range.offset() < range.end();) {
        unit& u = units_[i];
        if (u.state == unit_state::waiting && !u.announced) {
            remove(u, out);
            continue;
        }
        u.parked = true;
        if (u.state == unit_state::ready && u.pins == 0) mark(u, out);
        ++i;
    }
}

void unit_table::hint(byte_range range) {
    plan({range}, request_class::hinted, nullptr);
}

void unit_table::plan(const prefetch_unit& planned, request_class what, std::vector<byte_range>* in_memory) {
    const byte_range range = planned.range;
    const std::uint64_t length = std::clamp(
        range.length() / std::max<std::uint64_t>(1, planned.parts),
        options_.min_unit_bytes,
        options_.max_unit_bytes
    );
    const auto add = [&](std::uint64_t begin, std::uint64_t end) {
        for (; begin < end; begin += length) {
            insert(byte_range::from_to(begin, std::min(begin + length, end)), unit_state::waiting, what);
        }
    };
    std::uint64_t at = range.offset();
    while (at < range.end()) {
        const std::size_t i = first_that_ends_after(at);
        if (i == units_.size() || units_[i].range.offset() >= range.end()) break;
        const byte_range part = range.intersect(units_[i].range);
        add(at, part.offset());
        at = part.end();
        unit& u = units_[first_that_ends_after(part.offset())];
        if (u.state == unit_state::direct) continue;
        adopt(u, part);
        u.parked = u.lent = false;
        if (what == request_class::hinted && u.state == unit_state::waiting) u.what = what;
        u.announced = u.announced && what == request_class::hinted;
        if (u.state == unit_state::ready && in_memory != nullptr) in_memory->push_back(part);
    }
    add(at, range.end());
}

void unit_table::adopt(unit& u, byte_range wanted) noexcept {
    if (u.dropped() && u.state == unit_state::sent) orphaned_ -= u.range.length();
    u.wanted = hull(u.wanted, wanted);
}

void unit_table::drop(byte_range range, unit_actions& out) noexcept {
    for (std::size_t i = first_that_ends_after(range.offset()); i < units_.size();) {
        unit& u = units_[i];
        if (u.range.offset() >= range.end()) break;
        const unit_id id = u.id;
        if (u.state != unit_state::direct && !u.dropped()) {
            const byte_range rest = without(u.wanted, range);
            if (rest.empty()) {
                drop_unit(u, out);
            } else {
                u.wanted = rest;
                if (u.state == unit_state::waiting) u.range = rest;
            }
        }
        if (i < units_.size() && units_[i].id == id) ++i;
    }
    bound_orphans(out);
}

void unit_table::drop_all(unit_actions& out) noexcept {
    drop(byte_range(0, byte_range::max_end), out);
}

void unit_table::drop_unit(unit& u, unit_actions& out) noexcept {
    let_go(u);
    if (u.pins != 0 || u.state == unit_state::sent) return;
    remove(u, out);
}

void unit_table::let_go(unit& u) noexcept {
    if (!u.dropped() && u.state == unit_state::sent) orphaned_ += u.range.length();
    u.wanted = {};
}

void unit_table::withdraw(unit& u, unit_actions& out) {
    if (u.handle != nullptr) {
        out.push_back({.kind = unit_action_kind::cancel, .handle = std::move(u.handle)});
        u.handle = nullptr;
    }
    // The shell knows the old number, under which nothing more may happen.
    u.id = ++last_id_;
    u.state = unit_state::waiting;
    ++waiting_;
    under_way_ -= u.range.length();
    requested_ -= u.range.length();
}

void unit_table::remove(unit& u, unit_actions& out) noexcept {
    if (u.state == unit_state::waiting) --waiting_;
    if (u.under_way()) under_way_ -= u.range.length();
    if (u.state == unit_state::sent) orphaned_ -= u.range.length();
    if (u.state == unit_state::sent || u.state == unit_state::ready) wasted_ += u.range.length() - u.used;
    if (u.handle != nullptr) {
        out.push_back(
            {.kind = u.under_way() ? unit_action_kind::cancel : unit_action_kind::release,
             .handle = std::move(u.handle)}
        );
    }
    units_.erase(units_.begin() + (&u - units_.data()));
}

// The orphans that were requested first go first: most of their bytes have arrived.
void unit_table::bound_orphans(unit_actions& out) noexcept {
    while (orphaned_ > options_.max_orphan_bytes) {
        unit* first = nullptr;
        for (unit& u : units_) {
            if (u.state != unit_state::sent || !u.dropped() || u.pins != 0) continue;
            if (first == nullptr || u.id < first->id) first = &u;
        }
        if (first == nullptr) return;
        remove(*first, out);
    }
}

void unit_table::fetch_next(std::uint64_t max_speculative, std::uint64_t max_hinted, unit_actions& out) {
    while (waiting_ != 0) {
        unit* next = nullptr;
        for (unit& u : units_) {
            if (u.state != unit_state::waiting) continue;
            if (next == nullptr || std::tuple(u.what, u.id) < std::tuple(next->what, next->id)) next = &u;
        }
        if (under_way_ >= (next->what == request_class::hinted ? max_hinted : max_speculative)) return;
        // Without room for what has to follow, there is none for this either.
        if (out.capacity() - out.size() <= action_bound() + 4)
            out.reserve(2 * (out.size() + action_bound() + 8));
        out.push_back(
            {.kind = unit_action_kind::fetch, .unit = next->id, .range = next->range, .what = next->what}
        );
        next->state = unit_state::reserving;
        --waiting_;
        under_way_ += next->range.length();
        requested_ += next->range.length();
    }
}

bool unit_table::made(unit_id id, std::shared_ptr<engine::prefetch_unit> handle) noexcept {
    unit* u = find(id);
    if (u == nullptr) return false;
    u->handle = std::move(handle);
    return true;
}

bool unit_table::granted(unit_id id) noexcept {
    unit* u = find(id);
    if (u == nullptr) return false;
    u->state = unit_state::sent;
    if (u->dropped()) orphaned_ += u->range.length();
    return true;
}

void unit_table::done(unit_id id, const error_value& why, unit_actions& out) noexcept {
    unit* u = find(id);
    if (u == nullptr) return;
    under_way_ -= u->range.length();
    if (u->dropped() && u->state == unit_state::sent) orphaned_ -= u->range.length();
    const bool asked = !u->waiters.empty();
    u->state = why ? unit_state::failed : unit_state::ready;
    u->why = why;
    answer(*u, out);
    if (why && asked) u->wanted = {};
    if (u->pins != 0) {
        u->told_late = true;
    } else if (u->dropped()) {
        remove(*u, out);
    } else {
        mark(*u, out);
    }
}

void unit_table::answer(unit& u, unit_actions& out) noexcept {
    for (const unit_waiter who : u.waiters) {
        out.push_back({.kind = unit_action_kind::answer, .waiter = who, .handle = u.handle, .why = u.why});
    }
    waiters_ -= u.waiters.size();
    u.waiters.clear();
}

void unit_table::mark(const unit& u, unit_actions& out) noexcept {
    if (u.handle == nullptr) return;
    unit_action action{.kind = unit_action_kind::mark, .handle = u.handle};
    if (u.parked) {
        action.use = budget_use::parked;
        action.rank = uses_;
    } else if (u.used == u.range.length()) {
        action.use = budget_use::kept;
        action.rank = uses_;
    } else {
        action.use = budget_use::ahead;
        action.rank =
            u.range.offset() >= read_until_ ? u.range.offset() - read_until_ : read_until_ - u.range.offset();
    }
    out.push_back(std::move(action));
}

std::optional<byte_range> unit_table::reclaim(unit_id id, unit_actions& out) noexcept {
    unit* u = find(id);
    if (u == nullptr) return std::nullopt;
    if (u->pins != 0) {
        u->told_late = true;
        out.push_back({.kind = unit_action_kind::keep, .handle = u->handle});
        return byte_range();
    }
    return give_up(*u, out);
}

byte_range unit_table::refused(unit_id id, const error_value& why, unit_actions& out) noexcept {
    unit* u = find(id);
    if (u == nullptr) return {};
    if (u->pins == 0) return give_up(*u, out);
    done(id, why, out);
    return {};
}

byte_range unit_table::give_up(unit& u, unit_actions& out) noexcept {
    const byte_range lost = u.used == u.range.length() ? byte_range() : u.wanted;
    let_go(u);
    remove(u, out);
    return lost;
}

}  // namespace rangeio::fsm
