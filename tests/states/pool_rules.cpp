#include "states/pool_rules.hpp"

#include <algorithm>

// Written from the rules, not from the machine: each check recomputes what should be so, and compares.

namespace rangeio::states {

using fsm::pool_action;
using fsm::pool_action_kind;
using fsm::pool_actions;
using fsm::pool_fsm;
using fsm::pool_state;
using fsm::stream_id;
using fsm::stream_state;
using kind = pool_model::kind;
using status = pool_model::status;

namespace {

std::size_t live(const pool_fsm& m) {
    return static_cast<std::size_t>(std::ranges::count_if(m.streams(), [](const auto& t) {
        return t.state != stream_state::gone;
    }));
}

bool is_ready(const pool_fsm::stream& t) {
    return t.state == stream_state::ready;
}

bool is_idle(const pool_fsm::stream& t) {
    return is_ready(t) && t.leases == 0;
}

const pool_fsm::stream* find(const pool_fsm& m, stream_id id) {
    const auto it = std::ranges::find(m.streams(), id, &pool_fsm::stream::id);
    return it == m.streams().end() ? nullptr : &*it;
}

bool serves(const pool_fsm::stream& t) {
    return t.state == stream_state::ready || t.state == stream_state::reconnecting;
}

bool has_waiter(const pool_fsm& m, fsm::waiter_id id) {
    return std::ranges::count(m.waiters(), id, &pool_fsm::waiter::id) > 0;
}

/// The number of actions that may follow without a new caller: the completion of each waiter, the open, the close and
/// the drop of a stream of its own, and the close and the drop of each existing stream.
std::size_t actions_to_come(const pool_fsm& m) {
    std::size_t out = m.initializers().size() + m.closers().size();
    for (const auto& w : m.waiters()) out += w.open == 0 && !w.declined ? 4 : 1;
    // The first stream is for the first waiter, unless it is leased already.
    const auto taken = [](const pool_fsm::stream& t) {
        return t.state == stream_state::opening && (t.ridden || t.rider != 0);
    };
    const bool first_taken = m.state() == pool_state::fresh && std::ranges::any_of(m.streams(), taken);
    if (first_taken) out += 3;  // another one follows if its range was bad
    if (m.state() == pool_state::fresh && !m.waiters().empty() && !first_taken) out -= 3;
    for (const auto& t : m.streams()) {
        out += t.state != stream_state::closing && t.state != stream_state::gone ? 2 : 1;
    }
    return out;
}

/// P2 for a caller without waiters before it. `shares`: rather than wait for a new stream.
bool follows_p2(const pool_fsm& before, bool shares, const pool_actions& out) {
    const pool_fsm::stream* idle = nullptr;
    for (const auto& t : before.streams()) {
        if (is_idle(t) && (idle == nullptr || t.idle_since > idle->idle_since)) idle = &t;
    }
    if (idle != nullptr) {
        return out.size() == 1 && out[0].kind == pool_action_kind::grant && out[0].stream == idle->id;
    }
    const bool can_grow = live(before) < before.config().pool_size;
    if (shares && before.config().multi_request && std::ranges::any_of(before.streams(), is_ready)) {
        const bool opens = can_grow && std::ranges::none_of(before.streams(), [](const auto& t) {
                               return t.state == stream_state::opening;
                           });
        return out.size() == (opens ? 2U : 1U) && out[0].kind == pool_action_kind::grant &&
               (!opens || out[1].kind == pool_action_kind::open_stream);
    }
    if (can_grow) {
        return out.size() == 1 && out[0].kind == pool_action_kind::open_stream;
    }
    if (before.config().multi_request && std::ranges::any_of(before.streams(), is_ready)) {
        return out.size() == 1 && out[0].kind == pool_action_kind::grant;
    }
    return out.empty();
}

/// P4 for a busy stream that is shared.
bool follows_policy(const pool_fsm& before, stream_id chosen) {
    const auto* const c = find(before, chosen);
    if (c == nullptr) return false;
    const auto rank = [&](const pool_fsm::stream& t) {
        return before.config().sharing == fsm::share_policy::least_outstanding
                   ? std::pair<std::uint64_t, std::uint64_t>(t.load, t.leases)
                   : std::pair<std::uint64_t, std::uint64_t>(t.id <= before.last_shared(), t.id);
    };
    return std::ranges::none_of(before.streams(), [&](const auto& t) {
        return is_ready(t) && rank(t) < rank(*c);
    });
}

}  // namespace

std::string rule_name(rule r) {
    switch (r) {
        case rule::p1_one_first_open: return "P1: one first open, however many ask, and none if nobody did";
        case rule::p1_everybody_told:
            return "P1: the first open's outcome reaches all who wait; after a failure comes another try";
        case rule::p2_order: return "P2: idle (used last first), then new, then shared, then waits";
        case rule::p2_asker_alone:
            return "P2: whoever has asked for an open gets a stream that nobody else has, unless the open "
                   "fails";
        case rule::p2_size: return "P2: never more streams than pool_size";
        case rule::p3_idle_beside_waiter: return "P3, P8: no waiter stands beside a stream it could have";
        case rule::p3_grows: return "P3: whoever waits while the pool can grow has an open under way";
        case rule::p4_ready_only: return "P4: leases only on streams that are ready";
        case rule::p4_policy: return "P4: sharing follows the policy";
        case rule::p4_choice:
            return "P4: which of several busy streams is shared is decided by acquire and a failed open "
                   "alone";
        case rule::p5_leases: return "P5: a stream's count is its leases, those on their way included";
        case rule::p5_last_release:
            return "P5: only the last release, or the deadline, closes a leased stream";
        case rule::p6_dead: return "P6: a stream that has ended is gone, and kept for its leases only";
        case rule::p7_asker: return "P7: an open and the waiter that its failure belongs to know each other";
        case rule::p7_failure:
            return "P7: a failed open fails its waiter alone, and not as long as other streams serve";
        case rule::p8_order: return "P8: nobody is overtaken, but by sharing while a stream opens for it";
        case rule::p8_passes:
            return "P8: a speculative caller is passed by max_passes grants in a row, and no more";
        case rule::p8_answer: return "P8: everybody is answered once, or can give up";
        case rule::p9_nobody_waits:
            return "P9: from the first moment of close() on, nobody waits for a stream";
        case rule::p9_streams_close:
            return "P9: closing ends idle and opening streams at once, leased ones later";
        case rule::p9_end: return "P9: close() returns after the last end, with the first error, for good";
        case rule::p11_balance: return "P11: the counters balance";
        case rule::p12_rider:
            return "P12: the caller that causes the first open has a lease before it, unless it gave up; "
                   "nobody else";
        case rule::p14_size:
            return "P14: a stream that is leased, or opens, knows of every byte that the pool knows of";
        case rule::memory: return "memory: only newcomers can make work that was not allowed for";
        case rule::wake_up: return "liveness: whoever waits has somebody who will wake them";
        case rule::count: break;
    }
    return {};
}

std::uint32_t check_step(
    const pool_fsm& before, const pool_model::event& e, const pool_actions& out, const pool_model::state& s
) {
    const pool_fsm& after = s.machine;
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, rule r) {
        if (!holds) broken |= bit(r);
    };
    const bool was_open = before.state() == pool_state::open;
    const bool was_closing = before.state() == pool_state::closing || before.state() == pool_state::closed;
    const auto subject = static_cast<stream_id>(e.who);
    const auto* const old = find(before, subject);
    std::size_t failed_waiters = 0;
    const bool passed_on = std::ranges::any_of(before.waiters(), [&out](const auto& w) {
        return w.declined && std::ranges::count(out, w.id, &pool_action::waiter) != 0;
    });
    const bool acquires = e.what == kind::acquire || e.what == kind::share || e.what == kind::speculate;
    const bool end =
        e.what == kind::failed || e.what == kind::hung_up || e.what == kind::ended || e.what == kind::refused;

    for (auto it = out.begin(); it != out.end(); ++it) {
        const pool_action& a = *it;
        const auto* const t = find(after, a.stream);
        switch (a.kind) {
            case pool_action_kind::open_stream:
                require(t != nullptr && t->state == stream_state::opening, rule::p6_dead);
                require(!was_closing, rule::p9_streams_close);
                break;
            case pool_action_kind::drop: require(t == nullptr, rule::p6_dead); break;
            case pool_action_kind::close_stream:
                require(t != nullptr && t->state == stream_state::closing, rule::p9_streams_close);
                if (const auto* const was = find(before, a.stream);
                    e.what != kind::close_now && was != nullptr && was->state != stream_state::opening) {
                    require(t != nullptr && t->leases == 0, rule::p5_last_release);
                }
                break;
            case pool_action_kind::grant:
                require(t != nullptr && is_ready(*t), rule::p4_ready_only);
                require(after.state() == pool_state::open, rule::p9_nobody_waits);
                require(a.size == after.info()->size, rule::p14_size);
                if (t != nullptr) {
                    const auto later = std::ranges::count_if(it, out.end(), [&](const pool_action& b) {
                        return b.kind == pool_action_kind::grant && b.stream == a.stream;
                    });
                    const bool shared = t->leases > static_cast<std::uint32_t>(later);
                    // The shell refreshes loads before these events, and before no other.
                    const bool loads_are_new = acquires || end;
                    const bool choice = shared && std::ranges::count_if(after.streams(), is_ready) > 1;
                    require(!choice || loads_are_new, rule::p4_choice);
                    for (const auto& w : before.waiters()) {
                        // A failure also passes to the younger waiter that has exchanged its open.
                        const bool refused = (end && w.open == subject) || passed_on;
                        // A demand takes the stream that was opened for another class.
                        const bool displaced = std::ranges::any_of(out, [&w](const pool_action& b) {
                            return b.kind == pool_action_kind::grant && b.stream == w.open &&
                                   b.waiter != w.id;
                        });
                        require(
                            w.id != a.waiter || w.open == 0 || refused || !shared || displaced,
                            rule::p2_asker_alone
                        );
                    }
                    for (const auto& w : after.waiters()) {
                        const bool own_way = w.open != 0 && after.config().multi_request && shared;
                        const auto served =
                            std::ranges::find(before.waiters(), a.waiter, &pool_fsm::waiter::id);
                        const bool is_new = served == before.waiters().end();
                        // A class that was passed too often first, then by class, then by arrival. A newcomer is known
                        // by its event.
                        auto what = e.what == kind::speculate ? fsm::request_class::speculative
                                                              : fsm::request_class::demand;
                        if (!is_new) what = served->what;
                        const auto rank = [&s](fsm::waiter_id id) {
                            return std::ranges::find(s.callers, id, &pool_model::caller::id)->rank;
                        };
                        const bool later = w.what > what || (w.what == what && rank(w.id) > rank(a.waiter));
                        const bool overdue = !is_new && before.passes(what) == before.config().max_passes;
                        require(later || overdue || own_way, rule::p8_order);
                    }
                }
                break;
            case pool_action_kind::complete:
                if (has_waiter(before, a.waiter)) {
                    ++failed_waiters;
                    require(static_cast<bool>(a.why), rule::p7_failure);
                }
                if (std::ranges::count(before.closers(), a.waiter) > 0 ||
                    (e.what == kind::close && a.waiter == s.last_id)) {
                    require(after.state() == pool_state::closed, rule::p9_end);
                    require(static_cast<bool>(a.why) == s.close_failed, rule::p9_end);
                }
                break;
        }
    }

    if (e.what == kind::refused && before.state() == pool_state::fresh) {
        // The others still wait, for another open.
        require(after.initializers() == before.initializers(), rule::p12_rider);
        require(after.waiters().size() == before.waiters().size(), rule::p12_rider);
    } else if (before.state() == pool_state::fresh && (e.what == kind::opened || end)) {
        require(after.initializers().empty(), rule::p1_everybody_told);
        require(!end || after.waiters().empty(), rule::p1_everybody_told);
        for (const pool_action& a : out) {
            if (a.kind != pool_action_kind::complete) continue;
            require(static_cast<bool>(a.why) == end, rule::p1_everybody_told);
        }
    }
    if (was_open && end) {
        const bool asked = old != nullptr && old->state == stream_state::opening && old->asker != 0;
        const bool served = std::ranges::any_of(before.streams(), [subject](const auto& t) {
            return t.id != subject && serves(t);
        });
        auto told = asked ? 1 : 0;
        for (const auto& w : before.waiters()) told += w.declined ? 1 : 0;
        require(failed_waiters == static_cast<std::size_t>(served ? 0 : told), rule::p7_failure);
        require(served || !asked || !has_waiter(after, old->asker), rule::p7_failure);
    }
    if ((e.what == kind::acquire || e.what == kind::share) && was_open && before.waiters().empty()) {
        require(follows_p2(before, e.what == kind::share, out), rule::p2_order);
        for (const pool_action& a : out) {
            if (a.kind != pool_action_kind::grant || is_idle(*find(before, a.stream))) continue;
            require(follows_policy(before, a.stream), rule::p4_policy);
        }
    }
    const bool initializes = e.what == kind::initialize || e.what == kind::ride;
    if ((acquires || initializes) && was_closing) {
        const bool refused = out.size() == 1 && out[0].kind == pool_action_kind::complete &&
                             out[0].why.code() == errc::pool_closed;
        require(refused, rule::p9_nobody_waits);
    }
    if (initializes && was_open) {
        require(out.size() == 1 && !out[0].why, rule::p1_one_first_open);
    }
    if (e.what == kind::release && old != nullptr && old->leases > 1) {
        require(out.empty(), rule::p5_last_release);
    }
    if (e.what == kind::close_now) {
        for (const auto& t : after.streams()) {
            const bool ends = t.state == stream_state::closing || t.state == stream_state::gone;
            require(ends, rule::p9_streams_close);
        }
    }
    require(!was_closing || after.state() >= before.state(), rule::p9_end);
    require(!was_open || after.state() != pool_state::fresh, rule::p1_one_first_open);

    const bool newcomer = acquires || initializes || e.what == kind::close;
    require(
        actions_to_come(after) + out.size() <= actions_to_come(before) + (e.what == kind::ride ? 7
                                                                          : newcomer           ? 4
                                                                                               : 0),
        rule::memory
    );
    require(actions_to_come(after) <= after.action_bound(), rule::memory);
    return broken;
}

std::uint32_t check_state(const pool_model::state& s) {
    const pool_fsm& m = s.machine;
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, rule r) {
        if (!holds) broken |= bit(r);
    };
    const auto& options = m.config();
    const bool is_open = m.state() == pool_state::open;
    const bool can_grow = live(m) < options.pool_size;
    const bool any_idle = std::ranges::any_of(m.streams(), is_idle);
    const bool any_ready = std::ranges::any_of(m.streams(), is_ready);
    const bool any_serves = std::ranges::any_of(m.streams(), serves);
    const bool shareable = options.multi_request && !can_grow && any_ready;

    require(live(m) <= options.pool_size, rule::p2_size);
    require(m.last_shared() == s.last_granted, rule::p4_policy);
    if (m.state() < pool_state::closing) {
        require((m.state() == pool_state::open) == s.initialized, rule::p1_everybody_told);
    }
    if (m.state() == pool_state::fresh) {
        const bool asked = !m.initializers().empty() || !m.waiters().empty();
        require(live(m) <= 1 && (!asked || live(m) == 1), rule::p1_one_first_open);
    }
    for (const auto& w : m.waiters()) {
        require(!is_open || !any_idle, rule::p3_idle_beside_waiter);
        require(!is_open || w.open != 0 || !shareable, rule::p3_idle_beside_waiter);
        const bool could_share = w.declined && options.multi_request && any_ready;
        require(!is_open || !could_share, rule::p3_idle_beside_waiter);
        require(!is_open || !w.shares || w.open != 0 || !any_ready, rule::p3_idle_beside_waiter);
        require(!w.declined || (w.open == 0 && any_serves), rule::p7_failure);
        require(!is_open || w.open != 0 || w.declined || !can_grow, rule::p3_grows);
        const auto* const t = find(m, w.open);
        require(
            w.open == 0 || (t != nullptr && t->asker == w.id && t->state == stream_state::opening),
            rule::p7_asker
        );
    }
    for (const auto& t : m.streams()) {
        if (t.asker != 0) {
            const auto w = std::ranges::find(m.waiters(), t.asker, &pool_fsm::waiter::id);
            require(w != m.waiters().end() && w->open == t.id, rule::p7_asker);
        }
        require(t.state != stream_state::gone || t.leases > 0, rule::p6_dead);
        const bool first = m.state() == pool_state::fresh;
        require(t.state != stream_state::opening || t.leases <= (first ? 1U : 0U), rule::p4_ready_only);
        require(options.multi_request || t.leases <= 1, rule::p5_leases);
        std::uint64_t leases = 0;
        for (const auto& u : s.streams) {
            if (u.id != t.id) continue;
            leases += u.holders;
            require(u.at != status::ended || t.state == stream_state::gone, rule::p6_dead);
        }
        for (const pool_action& a : s.queue) leases += a.kind == pool_action_kind::grant && a.stream == t.id;
        require(t.leases == leases, rule::p5_leases);
        if (m.state() >= pool_state::closing) {
            const bool ends = t.state == stream_state::closing || t.state == stream_state::gone;
            require(ends || t.leases > 0, rule::p9_streams_close);
        }
    }
    for (const auto& t : s.streams) require(t.holders == 0 || m.knows(t.id), rule::p5_leases);
    for (const auto& c : s.callers) {
        const auto known = std::ranges::count(m.waiters(), c.id, &pool_fsm::waiter::id) +
                           std::ranges::count(m.initializers(), c.id) + std::ranges::count(m.closers(), c.id);
        require(known == (c.answered ? 0 : 1), rule::p8_answer);
    }
    if (m.state() >= pool_state::closing) {
        require(m.waiters().empty() && m.initializers().empty(), rule::p9_nobody_waits);
        require((m.state() == pool_state::closed) == (live(m) == 0), rule::p9_end);
        require(m.state() != pool_state::closed || m.closers().empty(), rule::p9_end);
    }
    const pool_stats stats = m.stats();
    std::uint64_t leases = 0;
    for (const auto& t : m.streams()) leases += t.leases;
    require(
        stats.opened == stats.opening + stats.ready + stats.reconnecting + stats.closed + stats.failed &&
            stats.leases == leases && stats.closing <= stats.closed &&
            live(m) == stats.opening + stats.ready + stats.reconnecting + stats.closing,
        rule::p11_balance
    );
    const bool moving = !s.queue.empty() || std::ranges::any_of(s.streams, [](const auto& t) {
        return t.holders > 0 || (t.at != status::up && t.at != status::ended);
    });
    require(s.callers.empty() || moving, rule::wake_up);
    return broken;
}

}  // namespace rangeio::states
