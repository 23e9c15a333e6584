#include "states/budget_rules.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

// Written from the rules, on what readers and holders know: of the machine only what it reports is compared.

namespace rangeio::states {

using fsm::budget_action;
using fsm::budget_action_kind;
using fsm::budget_actions;
using fsm::budget_fsm;
using fsm::budget_use;
using fsm::request_class;
using kind = budget_model::kind;
using phase = budget_model::phase;
using question = budget_model::question;
using request = budget_model::request;

namespace {

using requests = std::vector<request>;

std::uint64_t sum(const requests& all) {
    std::uint64_t out = 0;
    for (const request& r : all) out += r.at != phase::waiting ? r.bytes : 0;
    return out;
}

/// Bytes that holders have been asked for, and have not refused.
std::uint64_t coming(const requests& all) {
    std::uint64_t out = 0;
    for (const request& r : all) {
        out += r.reclaim != question::none && r.use != budget_use::held ? r.bytes : 0;
    }
    return out;
}

/// Null: nobody waits.
const request* first_waiter(const requests& all) {
    const request* out = nullptr;
    for (const request& r : all) {
        if (r.at != phase::waiting) continue;
        if (out == nullptr || std::tuple(r.lane, r.turn) < std::tuple(out->lane, out->turn)) out = &r;
    }
    return out;
}

/// B4: its reader waits, and has nothing to work on.
bool guaranteed(const requests& all, const request& r) {
    return r.lane == request_class::demand && std::ranges::none_of(all, [&r](const request& q) {
               return q.reader == r.reader && q.at != phase::waiting &&
                      (q.lane == request_class::demand || q.above);
           });
}

bool displaces(request_class lane, const request& r) {
    switch (r.use) {
        case budget_use::parked:
        case budget_use::kept: return true;
        case budget_use::ahead:
            return lane == request_class::demand ||
                   (lane == request_class::hinted && r.lane == request_class::speculative);
        case budget_use::held: break;
    }
    return false;
}

/// Whether `a` is to be reclaimed before `b`.
bool before_in_order(const request& a, const request& b) {
    if (a.use != b.use) return a.use < b.use;
    if (a.use != budget_use::ahead) return a.rank < b.rank;
    if (a.lane != b.lane) return a.lane > b.lane;
    return a.rank > b.rank;
}

std::uint64_t excess(std::uint64_t bytes, std::uint64_t limit) {
    return bytes > limit ? bytes - limit : 0;
}

/// The bytes that are missing, and the lane that may displace others for them: those above the limit, taken by demand,
/// and those of the first waiter.
struct lack {
    std::uint64_t for_demand = 0;
    std::uint64_t for_waiter = 0;
    request_class lane = request_class::demand;

    lack(const requests& all, std::uint64_t limit) {
        const std::uint64_t reserved = sum(all);
        const request* const w = first_waiter(all);
        for_demand = excess(reserved, limit + coming(all));
        if (w == nullptr) return;
        for_waiter = excess(reserved + w->bytes, limit + coming(all));
        lane = w->lane;
    }
    bool wants(const request& r) const {
        return (for_demand > 0 && displaces(request_class::demand, r)) ||
               (for_waiter > 0 && displaces(lane, r));
    }
};

}  // namespace

std::string rule_name(budget_rule r) {
    switch (r) {
        case budget_rule::b1_room: return "B1: nothing is granted without room, but by B4";
        case budget_rule::b2_order: return "B2: in the order of lanes and arrivals, but by B4";
        case budget_rule::b2_wake_up: return "B2: the first of all waiters has no room";
        case budget_rule::b3_lane:
            return "B3: a request that a reader comes to wait for joins the demand lane, last";
        case budget_rule::b3_not_reclaimed:
            return "B3: a reservation that a reader comes to wait for is demanded";
        case budget_rule::b4_at_once: return "B4: no reader waits that has no demanded bytes to work on";
        case budget_rule::b4_bound: return "B4: at most one unit above the limit for each reader";
        case budget_rule::b5_held: return "B5: what is held is not reclaimed";
        case budget_rule::b5_displaces: return "B5: read-ahead is displaced by higher lanes alone";
        case budget_rule::b5_order: return "B5: parked, kept, read-ahead from its far end";
        case budget_rule::b5_once: return "B5: no reservation is asked for again before it has answered";
        case budget_rule::b5_no_more: return "B5: no more is reclaimed than is needed";
        case budget_rule::b5_enough: return "B5: what can be reclaimed is, if it is needed";
        case budget_rule::b6_sum:
            return "B6: as much is reserved as holders have, so nothing after the last release";
        case budget_rule::answer: return "every request is granted once, or cancelled";
        case budget_rule::stats: return "the counters are right";
        case budget_rule::memory: return "memory: only requests can make work that was not allowed for";
        case budget_rule::count: break;
    }
    return {};
}

std::uint32_t check_step(
    const budget_fsm& before, const budget_model::event& e, const budget_actions& out, budget_model::state& s
) {
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, budget_rule r) {
        if (!holds) broken |= bit(r);
    };
    const memory_budget_stats was = before.stats();
    const memory_budget_stats is = s.machine.stats();
    requests& all = s.alive;
    std::uint64_t peak = was.peak_bytes, above = was.above_limit, reclaims = was.reclaims;
    if (sum(all) <= is.limit_bytes) {
        for (request& r : all) r.above = false;
    }
    for (const budget_action& a : out) {
        const auto r = std::ranges::find(all, a.id, &request::id);
        // A decision on what was cancelled or released is one too many.
        require(r != all.end(), budget_rule::answer);
        if (r == all.end()) continue;
        if (a.kind == budget_action_kind::grant) {
            const bool first = first_waiter(all) == &*r;
            const bool fits = sum(all) + r->bytes <= is.limit_bytes;
            require(r->at == phase::waiting, budget_rule::answer);
            require(fits || guaranteed(all, *r), budget_rule::b1_room);
            require(first || guaranteed(all, *r), budget_rule::b2_order);
            r->at = phase::decided;
            r->above = !fits;
            above += fits ? 0 : 1;
            peak = std::max(peak, sum(all));
        } else {
            ++reclaims;
            const lack lacking(all, is.limit_bytes);
            require(r->at != phase::waiting && r->use != budget_use::held, budget_rule::b5_held);
            require(r->lane != request_class::demand, budget_rule::b3_not_reclaimed);
            require(r->reclaim == question::none, budget_rule::b5_once);
            require(lacking.for_demand + lacking.for_waiter > 0, budget_rule::b5_no_more);
            require(r->use == budget_use::held || lacking.wants(*r), budget_rule::b5_displaces);
            for (const request& q : all) {
                const bool could = q.at != phase::waiting && q.reclaim == question::none && lacking.wants(q);
                require(!could || !before_in_order(q, *r), budget_rule::b5_order);
            }
            r->reclaim = question::decided;
        }
    }
    require(is.peak_bytes == peak, budget_rule::stats);
    require(is.above_limit == above && is.reclaims == reclaims, budget_rule::stats);
    require(is.promotions == was.promotions + (e.what == kind::promote), budget_rule::stats);
    // The reclaim that keep() answers has been performed, and made room.
    const std::size_t more = e.what == kind::request ? 2 : e.what == kind::keep ? 1 : 0;
    require(s.machine.action_bound() + out.size() <= before.action_bound() + more, budget_rule::memory);
    return broken;
}

std::uint32_t check_state(const budget_model::state& s) {
    const budget_fsm& m = s.machine;
    const requests& all = s.alive;
    const auto line = m.waiters();
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, budget_rule r) {
        if (!holds) broken |= bit(r);
    };
    const memory_budget_stats stats = m.stats();
    const std::uint64_t limit = stats.limit_bytes;
    const std::uint64_t reserved = sum(all);

    const request* const first = first_waiter(all);
    require(first == nullptr || reserved + first->bytes > limit, budget_rule::b2_wake_up);
    std::array<std::size_t, 3> waiting{};
    for (const request& r : all) {
        if (r.at != phase::waiting) continue;
        ++waiting[static_cast<std::size_t>(r.lane)];
        require(!guaranteed(all, r), budget_rule::b4_at_once);
        // Its place in line, as promotions have left it.
        const auto place = std::ranges::count_if(all, [&r](const request& q) {
            return q.at == phase::waiting && std::tuple(q.lane, q.turn) < std::tuple(r.lane, r.turn);
        });
        const auto index = static_cast<std::size_t>(place);
        require(
            index < line.size() && line[index].id == r.id && line[index].lane == r.lane, budget_rule::b3_lane
        );
    }
    const std::array reported{stats.waiting_demand, stats.waiting_hinted, stats.waiting_speculative};
    require(reported == waiting, budget_rule::stats);

    std::set<fsm::reader_id> exceeding;
    for (const request& r : all) {
        if (r.above) require(exceeding.insert(r.reader).second, budget_rule::b4_bound);
    }
    require(reserved <= limit + exceeding.size() * m.config().unit_bytes, budget_rule::b4_bound);

    const lack lacking(all, limit);
    for (const request& r : all) {
        const bool could = r.at != phase::waiting && r.reclaim == question::none && lacking.wants(r);
        require(!could, budget_rule::b5_enough);
    }
    require(stats.reserved_bytes == reserved, budget_rule::b6_sum);
    const auto holders = std::ranges::count_if(all, [](const request& r) { return r.at != phase::waiting; });
    require(m.reservations().size() == static_cast<std::size_t>(holders), budget_rule::b6_sum);
    require(holders > 0 || stats.reserved_bytes == 0, budget_rule::b6_sum);

    std::size_t to_come = 0;  // a grant and a reclaim of each
    for (const request& r : all) {
        to_come += r.at == phase::waiting ? 2 : r.reclaim == question::none ? 1 : 0;
    }
    require(to_come <= m.action_bound(), budget_rule::memory);
    return broken;
}

}  // namespace rangeio::states
