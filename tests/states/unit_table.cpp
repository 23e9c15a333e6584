#include "fsm/unit_table.hpp"

#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace rangeio;
using fsm::request_class;
using fsm::unit_action;
using fsm::unit_action_kind;
using fsm::unit_actions;
using fsm::unit_id;
using fsm::unit_state;
using fsm::unit_table;

namespace {

/// The handle of a unit, whose address is its id: the machine keeps handles, and calls none.
std::shared_ptr<engine::prefetch_unit> handle_of(unit_id id) {
    return {std::shared_ptr<int>(), reinterpret_cast<engine::prefetch_unit*>(id)};
}

unit_id id_of(const std::shared_ptr<engine::prefetch_unit>& handle) {
    return reinterpret_cast<unit_id>(handle.get());
}

/// `unit_table` with reads, a policy that plans and drops anything, fetches that end in any order, and a budget that
/// wants its bytes back at any time.
class unit_table_model {
public:
    std::uint64_t object = 4;
    std::uint64_t limit = 2;  // of bytes under way
    std::uint64_t max_orphans = 1;
    int reads = 2;
    int plans = 2;
    int drops = 1;
    int parks = 0;
    int failures = 1;
    int reclaims = 1;
    int cancels = 1;
    bool hints = false;
    bool lends = false;  // reads may be lent memory

    enum rule : std::uint32_t {
        twice = 1,      // R3: a byte is requested that is in memory, or under way
        wrong = 2,      // an answer without the bytes, or an error of another unit
        answers = 4,    // a waiter is answered twice, or one that did not ask
        pinned = 8,     // a unit goes while a read uses it
        sums = 16,      // the counts are not those of the units
        limits = 32,    // a fetch begins above the limit, or orphans exceed theirs
        order = 64,     // what is announced waits for what is not
        shape = 128,    // units overlap, are empty, or out of order
        pieces = 256,   // the pieces are not the read
        handles = 512,  // a handle is released twice, or never
        memory = 1024,  // a read waits for the budget, other than for what it is lent
    };
    static constexpr std::array names{
        "R3 no byte is requested twice",
        "R5 an answer is that of its unit",
        "each waiter is answered once",
        "a unit that is used remains",
        "counts",
        "limits",
        "announced units first",
        "units are disjoint and in order",
        "the pieces of a read are all of it",
        "each handle is returned once",
        "a read waits for no memory of others"
    };

    struct fetching {
        unit_id id = 0;
        byte_range range;
        bool sent = false;
        bool cancelled = false;
    };
    struct read {
        byte_range range;
        fsm::read_pieces pieces;
        std::vector<bool> waits;  // for each piece
        bool failed = false;
    };
    struct state {
        unit_table machine;
        std::vector<fetching> fetches;
        std::vector<read> reads;
        std::map<unit_id, bool> held;  // handles of the machine: whether the fetch failed
        int reads_left = 0, plans = 0, drops = 0, parks = 0, failures = 0, reclaims = 0, cancels = 0;
        std::uint32_t broken = 0;
    };
    enum class kind : std::uint8_t {
        begin,
        lend,
        finish,
        cancel,
        plan,
        hint,
        drop,
        park,
        grant,
        done,
        fail,
        reclaim
    };
    struct event {
        kind what = kind::begin;
        byte_range range;
        std::uint64_t who = 0;
    };

    state initial() const {
        state s;
        unit_table::options o;
        o.max_orphan_bytes = max_orphans;
        o.max_unit_bytes = 2;
        o.min_unit_bytes = 1;
        s.machine = unit_table(o);
        s.reads_left = reads;
        s.plans = plans;
        s.drops = drops;
        s.parks = parks;
        s.failures = failures;
        s.reclaims = reclaims;
        s.cancels = cancels;
        return s;
    }

    void events(const state& s, std::vector<event>& out) const {
        for (std::uint64_t from = 0; from < object; ++from) {
            for (std::uint64_t to = from + 1; to <= object; ++to) {
                const byte_range range = byte_range::from_to(from, to);
                if (s.reads_left > 0) out.push_back({kind::begin, range});
                if (s.reads_left > 0 && lends) out.push_back({kind::lend, range});
                if (s.plans > 0) out.push_back({kind::plan, range});
                if (s.plans > 0 && hints) out.push_back({kind::hint, range});
                if (s.drops > 0) out.push_back({kind::drop, range});
                if (s.parks > 0) out.push_back({kind::park, range});
            }
        }
        for (std::size_t i = 0; i < s.reads.size(); ++i) {
            if (std::ranges::find(s.reads[i].waits, true) == s.reads[i].waits.end()) {
                out.push_back({kind::finish, {}, i});
            } else if (s.cancels > 0) {
                out.push_back({kind::cancel, {}, i});
            }
        }
        for (const fetching& f : s.fetches) {
            if (!f.sent) {
                out.push_back({kind::grant, {}, f.id});
            } else if (f.cancelled) {
                out.push_back({kind::fail, {}, f.id});
            } else {
                out.push_back({kind::done, {}, f.id});
                if (s.failures > 0) out.push_back({kind::fail, {}, f.id});
            }
        }
        if (s.reclaims > 0) {
            for (const auto& [id, failed] : s.held) {
                if (!failed) out.push_back({kind::reclaim, {}, id});
            }
        }
    }

    void apply(state& s, const event& e) const {
        s.broken = 0;
        unit_actions out;
        switch (e.what) {
            case kind::begin: begin(s, e.range, false, out); break;
            case kind::lend: begin(s, s.machine.first_piece(e.range), true, out); break;
            case kind::finish: finish(s, e.who, !s.reads[e.who].failed, out); break;
            case kind::cancel: {
                --s.cancels;
                read& r = s.reads[e.who];
                for (std::size_t i = 0; i < r.pieces.size(); ++i) {
                    if (!r.waits[i]) continue;
                    if (!s.machine.cancel_wait(r.pieces[i].unit, waiter(e.who, i))) s.broken |= answers;
                }
                finish(s, e.who, false, out);
                break;
            }
            case kind::plan: {
                --s.plans;
                fsm::prefetch_plan plan;
                plan.fetch.push_back({e.range, 1});
                apply_plan(s, plan, out);
                break;
            }
            case kind::hint:
                --s.plans;
                s.machine.hint(e.range);
                break;
            case kind::drop:
                --s.drops;
                s.machine.drop(e.range, out);
                break;
            case kind::park: {
                --s.parks;
                fsm::prefetch_plan plan;
                plan.park.push_back(e.range);
                apply_plan(s, plan, out);
                break;
            }
            case kind::grant: {
                auto& f = *std::ranges::find(s.fetches, e.who, &fetching::id);
                f.sent = s.machine.granted(e.who);
                if (!f.sent) {
                    s.broken |= handles;  // a fetch that is not wanted has been cancelled
                } else {
                    request(s, f.range, f.id);
                }
                break;
            }
            case kind::done:
            case kind::fail: {
                const auto it = std::ranges::find(s.fetches, e.who, &fetching::id);
                const bool cancelled = it->cancelled;
                s.fetches.erase(it);
                const bool failed = e.what == kind::fail;
                if (failed && !cancelled) --s.failures;
                if (const auto held = s.held.find(e.who); held != s.held.end()) held->second = failed;
                s.machine.done(e.who, failed ? errc::stream_closed : error_value(), out);
                break;
            }
            case kind::reclaim:
                --s.reclaims;
                (void)s.machine.reclaim(e.who, out);
                break;
        }
        perform(s, out);
        unit_actions more;
        const std::uint64_t before = s.machine.under_way_bytes();
        s.machine.fetch_next(limit, limit, more);
        std::uint64_t added = 0;
        bool speculative = false;
        for (const unit_action& a : more) {
            if (before + added >= limit) s.broken |= limits;
            added += a.range.length();
            if (a.what == request_class::hinted && speculative) s.broken |= order;
            speculative = speculative || a.what == request_class::speculative;
        }
        perform(s, more);
        check(s);
    }

    std::string name(const event& e) const {
        static constexpr const char* kinds[] = {
            "begin",
            "lend",
            "finish",
            "cancel",
            "plan",
            "hint",
            "drop",
            "park",
            "grant",
            "done",
            "fail",
            "reclaim"
        };
        return fmt::format("{} {} {}", kinds[static_cast<int>(e.what)], to_string(e.range), e.who);
    }

    std::string key(const state& s) const {
        // Ids by their order: fetch_next and the bound of orphans compare them.
        std::vector<unit_id> ids;
        for (const auto& u : s.machine.units()) ids.push_back(u.id);
        for (const fetching& f : s.fetches) ids.push_back(f.id);
        std::ranges::sort(ids);
        const auto erased = std::ranges::unique(ids);
        ids.erase(erased.begin(), erased.end());
        const auto nth = [&ids](unit_id id) { return std::ranges::lower_bound(ids, id) - ids.begin(); };
        std::string out = fmt::format(
            "{}{}{}{}{}{}{}", s.reads_left, s.plans, s.drops, s.parks, s.failures, s.reclaims, s.cancels
        );
        for (const auto& u : s.machine.units()) {
            out += fmt::format(
                "|{}:{}+{}w{}+{}c{}s{}p{}{}{}{}{}u{}{}",
                nth(u.id),
                u.range.offset(),
                u.range.length(),
                u.wanted.offset(),
                u.wanted.length(),
                static_cast<int>(u.what),
                static_cast<int>(u.state),
                u.pins,
                u.parked,
                u.announced,
                u.lent,
                u.told_late,
                u.used,
                u.handle != nullptr
            );
        }
        for (const fetching& f : s.fetches) out += fmt::format("f{}{}{}", nth(f.id), f.sent, f.cancelled);
        for (const read& r : s.reads) {
            out += fmt::format("r{}+{}{}", r.range.offset(), r.range.length(), r.failed);
            for (std::size_t i = 0; i < r.pieces.size(); ++i) {
                out += fmt::format(
                    "{}{}{}", r.pieces[i].range.offset(), r.pieces[i].unit == 0, bool(r.waits[i])
                );
            }
        }
        return out;
    }

    std::vector<sim::state_rule<state>> rules() const {
        std::vector<sim::state_rule<state>> out;
        for (std::size_t i = 0; i < names.size(); ++i) {
            out.push_back({names[i], [bit = std::uint32_t{1} << i](const state& s) {
                               return !(s.broken & bit);
                           }});
        }
        return out;
    }
    std::vector<sim::state_goal<state>> goals() const {
        return {
            {"each read ends",
             [](const state& s) { return s.reads.empty(); },
             sim::state_goal<state>::strength::certain},
            {"each fetch ends",
             [](const state& s) { return s.fetches.empty(); },
             sim::state_goal<state>::strength::certain},
        };
    }
    bool fair(const event& e) const {
        return e.what == kind::finish || e.what == kind::grant || e.what == kind::done ||
               e.what == kind::fail;
    }

private:
    static fsm::unit_waiter waiter(std::uint64_t read, std::size_t piece) { return 16 * read + piece + 1; }

    /// The bytes of `range` go on the wire.
    void request(state& s, byte_range range, unit_id by) const {
        for (const fetching& f : s.fetches) {
            if (f.id != by && f.sent && !f.cancelled && f.range.overlaps(range)) s.broken |= twice;
        }
        for (const auto& u : s.machine.units()) {
            if (u.id == by || !u.range.overlaps(range)) continue;
            if (u.state == unit_state::ready || u.state == unit_state::direct) s.broken |= twice;
        }
    }

    void begin(state& s, byte_range range, bool lent, unit_actions& out) const {
        --s.reads_left;
        read r;
        r.range = range;
        s.machine.begin(range, lent, r.pieces, out);
        if (lent && r.pieces.size() != 1) s.broken |= pieces;
        std::uint64_t at = range.offset();
        const std::size_t who = s.reads.size();
        s.reads.push_back(r);
        for (std::size_t i = 0; i < r.pieces.size(); ++i) {
            const fsm::read_piece& piece = r.pieces[i];
            if (piece.range.offset() != at || piece.range.empty()) s.broken |= pieces;
            at = piece.range.end();
            if (piece.state == unit_state::direct) {
                if (piece.unit != 0) request(s, piece.range, piece.unit);
                if (lent && piece.unit != 0) s.broken |= pieces;
            } else if (piece.state == unit_state::ready && id_of(piece.bytes) != piece.unit) {
                s.broken |= wrong;
            }
            const bool waits = piece.state != unit_state::direct && piece.state != unit_state::ready;
            s.reads[who].waits.push_back(waits);
            const bool has_room = std::ranges::any_of(s.machine.units(), [&piece](const auto& u) {
                return u.id == piece.unit && u.state != unit_state::reserving;
            });
            if (waits && !lent && !has_room) s.broken |= memory;
            if (waits) s.machine.wait(piece.unit, waiter(who, i), out);
        }
        if (at != range.end()) s.broken |= pieces;
    }

    void finish(state& s, std::uint64_t who, bool delivered, unit_actions& out) const {
        s.machine.end(s.reads[who].pieces, delivered, out);
        // The others keep their numbers: only the last one is taken out.
        s.reads[who] = read();
        while (!s.reads.empty() && s.reads.back().range.empty()) s.reads.pop_back();
    }

    void apply_plan(state& s, const fsm::prefetch_plan& plan, unit_actions& out) const {
        std::vector<byte_range> in_memory;
        s.machine.apply(plan, in_memory, out);
        for (const byte_range& range : in_memory) {
            const bool there = std::ranges::any_of(s.machine.units(), [&](const auto& u) {
                return u.state == unit_state::ready && u.range.contains(range);
            });
            if (!there) s.broken |= wrong;
        }
    }

    void perform(state& s, const unit_actions& out) const {
        for (const unit_action& a : out) {
            switch (a.kind) {
                case unit_action_kind::fetch:
                    s.fetches.push_back({a.unit, a.range});
                    s.held[a.unit] = false;
                    if (!s.machine.made(a.unit, handle_of(a.unit))) s.broken |= handles;
                    break;
                case unit_action_kind::answer: answered(s, a); break;
                case unit_action_kind::cancel:
                case unit_action_kind::release: let_go(s, a); break;
                case unit_action_kind::promote:
                case unit_action_kind::mark:
                case unit_action_kind::keep:
                    if (!s.held.contains(id_of(a.handle))) s.broken |= handles;
                    break;
            }
        }
    }

    void answered(state& s, const unit_action& a) const {
        const std::uint64_t who = (a.waiter - 1) / 16;
        const std::size_t i = (a.waiter - 1) % 16;
        if (who >= s.reads.size() || i >= s.reads[who].waits.size() || !s.reads[who].waits[i]) {
            s.broken |= answers;
            return;
        }
        read& r = s.reads[who];
        r.waits[i] = false;
        if (id_of(a.handle) != r.pieces[i].unit) s.broken |= wrong;
        const auto held = s.held.find(r.pieces[i].unit);
        if (held == s.held.end() || held->second != bool(a.why)) s.broken |= wrong;
        r.failed = r.failed || a.why;
    }

    void let_go(state& s, const unit_action& a) const {
        const unit_id id = id_of(a.handle);
        if (s.held.erase(id) == 0) s.broken |= handles;
        for (const read& r : s.reads) {
            for (const fsm::read_piece& piece : r.pieces) {
                if (piece.unit == id) s.broken |= pinned;
            }
        }
        const auto it = std::ranges::find(s.fetches, id, &fetching::id);
        if ((it != s.fetches.end()) != (a.kind == unit_action_kind::cancel)) s.broken |= handles;
        if (it == s.fetches.end()) return;
        it->cancelled = true;
        if (!it->sent) s.fetches.erase(it);  // nothing of it was requested
    }

    void check(state& s) const {
        std::uint64_t under_way = 0, orphans = 0, free_orphans = 0, at = 0;
        for (const auto& u : s.machine.units()) {
            if (u.range.empty() || u.range.offset() < at) s.broken |= shape;
            at = u.range.end();
            if (u.under_way()) under_way += u.range.length();
            if (u.state == unit_state::sent && u.dropped()) {
                orphans += u.range.length();
                if (u.pins == 0) free_orphans += u.range.length();
            }
            const bool has_handle =
                u.under_way() || u.state == unit_state::ready || u.state == unit_state::failed;
            if (has_handle != (u.handle != nullptr)) s.broken |= handles;
            if (u.dropped() && u.pins == 0 && u.state != unit_state::sent) s.broken |= handles;
        }
        if (under_way != s.machine.under_way_bytes() || orphans != s.machine.orphan_bytes()) s.broken |= sums;
        if (free_orphans > max_orphans) s.broken |= limits;
        std::size_t handles_kept = 0;
        for (const auto& u : s.machine.units()) handles_kept += u.handle != nullptr ? 1 : 0;
        if (handles_kept != s.held.size()) s.broken |= handles;
    }
};

void search(const char* title, const unit_table_model& model) {
    rangeio::states::search_and_report(title, model);
}

}  // namespace

TEST_CASE("unit_table, every state: two reads, plans, cancellations and drops") {
    rangeio::states::print_rules("unit_table", unit_table_model());
    unit_table_model model;
    model.object = 3;
    model.plans = 1;
    model.failures = model.reclaims = 0;
    search("unit_table, two reads, a plan, a drop, a cancellation of 3 bytes", model);
}

TEST_CASE("unit_table, every state: fetches fail, and the budget wants bytes back") {
    unit_table_model model;
    model.object = 3;
    model.reads = 1;
    model.cancels = 0;
    search("unit_table, a read, two plans, a drop, a failure, a reclaim of 3 bytes", model);
}

TEST_CASE("unit_table, every state: units are cut, adopted and dropped in part") {
    unit_table_model model;
    model.reads = 1;
    model.plans = 1;
    model.failures = model.reclaims = 0;
    model.drops = 2;
    search("unit_table, a read, a plan, two drops of 4 bytes", model);
}

TEST_CASE("unit_table, every state: announced and parked ranges") {
    unit_table_model model;
    model.object = 3;
    model.hints = true;
    model.parks = 1;
    model.reads = 1;
    model.drops = model.failures = model.cancels = 0;
    search("unit_table, a read, two plans or hints, a park, a reclaim of 3 bytes", model);
}

TEST_CASE("unit_table, every state: reads are lent the memory of units") {
    unit_table_model model;
    model.object = 3;
    model.lends = true;
    model.plans = 1;
    model.drops = 0;
    search("unit_table, two reads that may be lent memory, a plan, a failure, a reclaim of 3 bytes", model);
}

// Not run by default (--no-skip runs them).
TEST_CASE("unit_table, every state: more of everything" * doctest::skip()) {
    unit_table_model model;
    model.object = 3;
    search("unit_table, two reads, two plans of 3 bytes", model);  // 858179 states, 52 s
    model.object = 4;
    model.reads = 1;
    model.failures = 0;
    model.drops = 2;
    search("unit_table, two plans, two drops of 4 bytes", model);  // 425745 states, 38 s
}
