#include "states/budget_model.hpp"

#include "states/budget_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rangeio::states {

using fsm::budget_action;
using fsm::budget_action_kind;
using fsm::budget_actions;
using fsm::budget_fsm;
using fsm::budget_use;
using fsm::request_class;

namespace {

constexpr request_class all_lanes[] = {
    request_class::demand, request_class::hinted, request_class::speculative
};
constexpr budget_use all_uses[] = {budget_use::parked, budget_use::kept, budget_use::ahead, budget_use::held};
constexpr const char* lane_names[] = {"demand", "hinted", "speculative"};
constexpr const char* use_names[] = {"parked", "kept", "ahead", "held"};

void forget(budget_model::state& s, fsm::reservation_id id) {
    std::erase_if(s.alive, [id](const auto& r) { return r.id == id; });
}

}  // namespace

const budget_model::request* find_request(const budget_model::state& s, fsm::reservation_id id) {
    const auto it = std::ranges::find(s.alive, id, &budget_model::request::id);
    return it == s.alive.end() ? nullptr : &*it;
}

budget_model::state budget_model::initial() const {
    state s;
    s.machine = budget_fsm(options);
    s.requests = requests;
    s.marks = marks;
    s.promotes = promotes;
    s.keeps = keeps;
    s.leaves = leaves;
    return s;
}

void budget_model::events(const state& s, std::vector<event>& out) const {
    if (!s.queue.empty()) out.push_back({kind::perform});
    for (fsm::reader_id reader = 1; reader <= readers; ++reader) {
        const bool waits = std::ranges::any_of(s.alive, [reader](const request& r) {
            return r.reader == reader && r.at != phase::granted;
        });
        if (s.leaves > 0 && waits) out.push_back({kind::leave, reader});
        if (s.requests == 0) continue;
        for (const request_class lane : all_lanes) {
            if (lane == request_class::hinted && !hinted) continue;
            for (std::uint64_t bytes = 1; bytes <= options.unit_bytes; ++bytes) {
                out.push_back({kind::request, reader, lane, bytes});
            }
        }
    }
    for (const request& r : s.alive) {
        if (s.promotes > 0 && r.lane != request_class::demand) out.push_back({kind::promote, r.id});
        if (r.at != phase::granted) out.push_back({kind::cancel, r.id});
        if (r.at != phase::granted) continue;
        out.push_back({kind::release, r.id});
        if (s.keeps > 0 && r.reclaim == question::asked) out.push_back({kind::keep, r.id});
        if (s.marks == 0) continue;
        for (const budget_use use : all_uses) {
            const int different = use == budget_use::held ? 1 : ranks;
            for (int rank = 0; rank < different; ++rank) {
                const event e{kind::mark, r.id, {}, 0, use, static_cast<std::uint64_t>(rank)};
                const bool changes = use != r.use || e.rank != r.rank || r.lane == request_class::demand;
                if (changes) out.push_back(e);
            }
        }
    }
}

void budget_model::feed(state& s, const event& e, budget_actions& out) const {
    budget_fsm& m = s.machine;
    const auto it = std::ranges::find(s.alive, e.who, &request::id);
    request* const r = it == s.alive.end() ? nullptr : &*it;
    switch (e.what) {
        case kind::request:
            --s.requests;
            ++s.last;
            s.alive.push_back({s.last, e.who, e.lane, e.bytes, s.last});
            m.request(s.last, e.who, e.lane, e.bytes, out);
            break;
        case kind::promote:
            --s.promotes;
            r->lane = request_class::demand;
            r->turn = ++s.last;
            r->use = budget_use::held;
            m.promote(e.who, out);
            break;
        case kind::cancel: {
            const bool waited = r->at == phase::waiting;
            forget(s, e.who);
            if (m.cancel(e.who, out) != waited) s.broken |= bit(budget_rule::answer);
            if (!waited) m.release(e.who, out);
            break;
        }
        case kind::leave:
            --s.leaves;
            std::erase_if(s.alive, [&](const request& q) {
                return q.reader == e.who && q.at == phase::waiting;
            });
            m.leave(e.who, out);
            break;
        case kind::mark:
            --s.marks;
            r->use = e.use;
            r->rank = e.rank;
            if (r->lane == request_class::demand) r->lane = request_class::speculative;
            m.mark(e.who, e.use, e.rank, out);
            break;
        case kind::keep:
            --s.keeps;
            r->use = budget_use::held;
            r->reclaim = question::none;
            m.keep(e.who, out);
            break;
        case kind::release:
            forget(s, e.who);
            m.release(e.who, out);
            break;
        case kind::perform: break;
    }
}

// One that was cancelled or released meanwhile is of no interest to its holder any more.
void budget_model::perform(state& s, const budget_action& a) const {
    const auto r = std::ranges::find(s.alive, a.id, &request::id);
    if (r == s.alive.end()) return;
    if (a.kind == budget_action_kind::grant) {
        r->at = phase::granted;
    } else {
        r->reclaim = question::asked;
    }
}

void budget_model::apply(state& s, const event& e) const {
    s.broken = 0;
    if (e.what == kind::perform) {
        const budget_action a = s.queue.front();
        s.queue.erase(s.queue.begin());
        perform(s, a);
    } else {
        const budget_fsm before = s.machine;
        budget_actions out;
        feed(s, e, out);
        s.broken |= check_step(before, e, out, s);
        if (late) {
            s.queue.insert(s.queue.end(), out.begin(), out.end());
        } else {
            for (const budget_action& a : out) perform(s, a);
        }
    }
    s.broken |= check_state(s);
}

std::string budget_model::name(const event& e) const {
    switch (e.what) {
        case kind::request:
            return fmt::format(
                "reader {} requests {}, {}", e.who, e.bytes, lane_names[static_cast<int>(e.lane)]
            );
        case kind::promote: return fmt::format("a reader comes to wait for {}", e.who);
        case kind::cancel: return fmt::format("{} is cancelled", e.who);
        case kind::leave: return fmt::format("reader {} leaves", e.who);
        case kind::mark:
            return fmt::format("{} is {}, rank {}", e.who, use_names[static_cast<int>(e.use)], e.rank);
        case kind::keep: return fmt::format("{} is not given up", e.who);
        case kind::release: return fmt::format("{} is released", e.who);
        case kind::perform: return "the shell performs the next action";
    }
    return {};
}

// Ids are replaced by positions, turns by ranks within the lane, readers by their order of appearance.
std::string budget_model::key(const state& s) const {
    const budget_fsm& m = s.machine;
    std::string out;
    const auto put = [&out](auto value) { out.push_back(static_cast<char>(value)); };
    const auto place = [&s](fsm::reservation_id id) {
        return std::ranges::find(s.alive, id, &request::id) - s.alive.begin();
    };
    for (const int left : {s.requests, s.marks, s.promotes, s.keeps, s.leaves}) put(left);
    for (const request& r : s.alive) {
        put(std::ranges::find(s.alive, r.reader, &request::reader) - s.alive.begin());
        put(static_cast<int>(r.lane) * 4 + static_cast<int>(r.use));
        put(r.bytes);
        put(r.rank);
        put(static_cast<int>(r.at) * 8 + static_cast<int>(r.reclaim) * 2 + r.above);
        put(r.at != phase::waiting ? 0 : std::ranges::count_if(s.alive, [&r](const request& q) {
            return q.at == phase::waiting && q.lane == r.lane && q.turn < r.turn;
        }));
    }
    put('/');
    for (const budget_fsm::waiter& w : m.waiters()) put(place(w.id));
    put('/');
    for (const budget_fsm::reservation& r : m.reservations()) {
        put(place(r.id));
        put(static_cast<int>(r.lane) * 4 + static_cast<int>(r.use));
        put(r.above * 2 + r.asked);
    }
    put('/');
    for (const budget_action& a : s.queue) {
        put(a.kind);
        put(place(a.id));
    }
    return out;
}

std::vector<sim::state_rule<budget_model::state>> budget_model::rules() const {
    std::vector<sim::state_rule<state>> out;
    for (std::uint32_t n = 0; n < static_cast<std::uint32_t>(budget_rule::count); ++n) {
        out.push_back({rule_name(static_cast<budget_rule>(n)), [n](const state& s) {
                           return (s.broken >> n & 1) == 0;
                       }});
    }
    return out;
}

std::vector<sim::state_goal<budget_model::state>> budget_model::goals() const {
    const auto over = [](const state& s) { return s.alive.empty() && s.queue.empty(); };
    return {
        {"liveness: as holders release, in whatever order, every request is granted, and released in its "
         "turn",
         over,
         sim::state_goal<state>::strength::certain}
    };
}

bool budget_model::fair(const event& e) const {
    return e.what == kind::perform || e.what == kind::release;
}

}  // namespace rangeio::states
