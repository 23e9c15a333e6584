#include "states/pool_cache_rules.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

// Written from the rules, not from the machine: what streams are idle, on which key and since when is what the actions
// said so far, and each check recomputes from that what should be so.

namespace rangeio::states {

using fsm::cache_action;
using fsm::cache_action_kind;
using fsm::cache_actions;
using fsm::cache_state;
using fsm::cached_id;
using fsm::cached_state;
using fsm::pool_cache_fsm;
using kind = pool_cache_model::kind;
using state = pool_cache_model::state;
using stream = pool_cache_model::stream;
using pool = pool_cache_model::pool;

namespace {

bool same_key(const stream& t, int name, std::int64_t generation) {
    return t.name == name && t.generation == generation;
}

bool in_use(const state& s, const stream& t) {
    return std::ranges::any_of(s.pools, [&](const pool& p) { return same_key(t, p.name, p.generation); });
}

auto idle_on(const state& s, int name, std::int64_t generation) {
    return std::ranges::count_if(s.streams, [&](const stream& t) {
        return t.idle && same_key(t, name, generation);
    });
}

bool too_old(const state& s, const stream& t) {
    const auto timeout = s.machine.config().idle_timeout;
    return timeout.count() > 0 && std::chrono::seconds(s.now - t.idle_since) >= timeout;
}

bool fits(const state& s, const pool& p, const stream& t) {
    if (!t.idle || too_old(s, t) || p.generation == 0 || !same_key(t, p.name, p.generation)) return false;
    return p.opened ? t.size >= p.size : t.finalized;
}

/// Whether `t`, which is idle, may be closed in this step.
bool may_close(
    const state& before, const pool_cache_model::event& e, const stream& t, std::uint32_t& broken
) {
    const auto& options = before.machine.config();
    if (too_old(before, t) || e.what == kind::close) return true;
    if (e.what == kind::reconnecting && e.who == t.id) return true;
    if (e.what == kind::give_up) {
        const bool oldest = std::ranges::none_of(before.streams, [&](const stream& u) {
            return u.idle && same_key(u, t.name, t.generation) && u.given < t.given;
        });
        const auto then = idle_on(before, t.name, t.generation) + 1;
        const bool full = std::cmp_greater(then, options.max_idle_streams_per_key);
        if (!oldest || !full) broken |= bit(cache_rule::stream_limit);
        return oldest && full;
    }
    if (e.what != kind::leave) return false;
    const pool& gone = *find(before.pools, e.who);
    const bool others = std::ranges::any_of(before.pools, [&](const pool& p) {
        return p.id != gone.id && p.name == gone.name && p.generation == gone.generation;
    });
    const bool now_unused = same_key(t, gone.name, gone.generation) && !others;
    if (in_use(before, t) && !now_unused) return false;
    // The key that has been left longest ago, and only if there are too many.
    const bool one_more = !others && idle_on(before, gone.name, gone.generation) > 0;
    const std::size_t unused = before.left.size() + (one_more ? 1 : 0);
    const bool oldest =
        before.left.empty() ? now_unused : same_key(t, before.left[0].name, before.left[0].generation);
    if (!oldest || unused <= options.max_idle_keys) broken |= bit(cache_rule::longest_ago);
    return true;
}

/// The number of actions that may follow without a new request: opened, detach, close and forget of each stream, as far
/// as they are still due, the completions of the callers that wait for the close, and the end.
std::size_t actions_to_come(const pool_cache_fsm& m) {
    std::size_t out = m.closers().size() + (m.state() == cache_state::closed ? 0 : 1);
    for (const auto& t : m.streams()) {
        switch (t.state) {
            case cached_state::opening: out += 4; break;
            case cached_state::up:
            case cached_state::reconnecting: out += 3; break;
            case cached_state::idle: out += 2; break;
            case cached_state::closing: out += t.user != 0 ? 2 : 1; break;
        }
    }
    return out;
}

}  // namespace

std::string rule_name(cache_rule r) {
    switch (r) {
        case cache_rule::one_user: return "P13: a stream has one user at a time, and none while it is idle";
        case cache_rule::in_use: return "P13: a key that a pool is on is never dropped";
        case cache_rule::longest_ago:
            return "limits: only the key left longest ago is dropped, if there are too many";
        case cache_rule::key_limit: return "limits: never more idle keys than are kept";
        case cache_rule::stream_limit:
            return "limits: never more idle streams on a key than are kept; those given up first are closed";
        case cache_rule::one_way_out: return "a stream is taken, closed or dead exactly once";
        case cache_rule::generation: return "a pool gets streams of its own object and generation";
        case cache_rule::first_is_fresh:
            return "the first stream is new, unless a generation was named and the object is finalized";
        case cache_rule::fits:
            return "a stream has seen at least what the pool's first has; the newest goes first";
        case cache_rule::no_needless_open: return "nothing is opened while an idle stream fits";
        case cache_rule::age: return "what has been idle for too long is not handed out";
        case cache_rule::told: return "every user hears opened at most once, and ended once, last";
        case cache_rule::close_ends: return "P9: once it is closing nothing is taken, kept or opened";
        case cache_rule::close_answers:
            return "P9: close() returns after the last end, with the first error, for good";
        case cache_rule::timer: return "liveness: a timer is wanted if and only if something can expire";
        case cache_rule::balance: return "the counters balance";
        case cache_rule::memory: return "memory: only newcomers can make work that was not allowed for";
        case cache_rule::count: break;
    }
    return {};
}

std::uint32_t check_step(
    const state& before,
    const pool_cache_model::event& e,
    const cache_actions& out,
    const pool_cache_fsm& after
) {
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, cache_rule r) {
        if (!holds) broken |= bit(r);
    };
    const bool was_open = before.machine.state() == cache_state::open;
    const stream* const subject = find(before.streams, e.who);

    for (auto it = out.begin(); it != out.end(); ++it) {
        const cache_action& a = *it;
        const stream* const t = find(before.streams, a.stream);
        switch (a.kind) {
            case cache_action_kind::attach: {
                const pool& p = *find(before.pools, e.who);
                const bool touched =
                    std::any_of(out.begin(), it, [&](const cache_action& b) { return b.stream == a.stream; });
                require(t != nullptr && t->idle && t->user == 0 && !touched, cache_rule::one_user);
                require(was_open && e.what == kind::open, cache_rule::close_ends);
                if (t == nullptr) break;
                require(same_key(*t, p.name, p.generation), cache_rule::generation);
                require(p.opened || (p.generation != 0 && t->finalized), cache_rule::first_is_fresh);
                require(!p.opened || t->size >= p.size, cache_rule::fits);
                require(!too_old(before, *t), cache_rule::age);
                for (const stream& u : before.streams) {
                    require(!fits(before, p, u) || u.given <= t->given, cache_rule::fits);
                }
                break;
            }
            case cache_action_kind::open_stream: {
                const pool& p = *find(before.pools, e.who);
                const bool one_fits =
                    std::ranges::any_of(before.streams, [&](const stream& u) { return fits(before, p, u); });
                require(!one_fits, cache_rule::no_needless_open);
                require(was_open, cache_rule::close_ends);
                break;
            }
            case cache_action_kind::close_stream: {
                if (t == nullptr) {
                    broken |= bit(cache_rule::one_way_out);
                } else if (t->idle) {
                    require(may_close(before, e, *t, broken), cache_rule::in_use);
                } else {
                    // Its user has given it up, and it could not be kept.
                    const bool kept = e.what == kind::give_up && was_open &&
                                      t->at == pool_cache_model::status::up &&
                                      before.machine.config().max_idle_streams_per_key > 0;
                    require(t->user == e.who && !kept, cache_rule::one_way_out);
                }
                break;
            }
            case cache_action_kind::detach:
                require(a.stream == 0 || t != nullptr, cache_rule::told);
                if (e.what == kind::give_up || e.what == kind::give_up_busy) {
                    require(e.what == kind::give_up && was_open && t != nullptr, cache_rule::close_ends);
                    require(!a.why, cache_rule::told);
                }
                break;
            case cache_action_kind::complete: {
                const bool failed = before.close_failed || (e.what == kind::failed && subject != nullptr &&
                                                            subject->close_asked && !was_open);
                require(after.state() == cache_state::closed, cache_rule::close_answers);
                require(static_cast<bool>(a.why) == failed, cache_rule::close_answers);
                break;
            }
            case cache_action_kind::forget:
                require(
                    (e.what == kind::ended || e.what == kind::failed) && a.stream == e.who,
                    cache_rule::one_way_out
                );
                break;
            default: break;
        }
    }
    require(was_open || after.state() >= before.machine.state(), cache_rule::close_ends);

    const bool newcomer = e.what == kind::open || e.what == kind::close || e.what == kind::reconnecting ||
                          e.what == kind::reconnected;
    require(
        actions_to_come(after) + out.size() <= actions_to_come(before.machine) + (newcomer ? 5 : 0),
        cache_rule::memory
    );
    // The host allows for four more.
    require(actions_to_come(after) + 1 <= after.action_bound(), cache_rule::memory);
    return broken;
}

std::uint32_t check_state(const state& s) {
    const pool_cache_fsm& m = s.machine;
    const auto& options = m.config();
    std::uint32_t broken = 0;
    const auto require = [&broken](bool holds, cache_rule r) {
        if (!holds) broken |= bit(r);
    };
    std::set<std::pair<int, std::int64_t>> idle_keys;
    std::optional<pool_cache_fsm::time_point> due;
    std::uint64_t idle = 0;
    for (const stream& t : s.streams) {
        const auto* const x = find(m.streams(), t.id);
        require((x == nullptr) == t.forgotten, cache_rule::one_way_out);
        require(x == nullptr || (x->state == cached_state::idle) == t.idle, cache_rule::one_user);
        require(x == nullptr || x->user == t.user, cache_rule::one_user);
        require(!t.idle || t.user == 0, cache_rule::one_user);
        for (const stream& u : s.streams) {
            require(t.id == u.id || t.user == 0 || t.user != u.user, cache_rule::one_user);
        }
        if (!t.idle) continue;
        ++idle;
        const auto expiry = pool_cache_model::time(t.idle_since) + options.idle_timeout;
        due = due ? std::min(*due, expiry) : expiry;
        require(
            std::cmp_less_equal(idle_on(s, t.name, t.generation), options.max_idle_streams_per_key),
            cache_rule::stream_limit
        );
        if (!in_use(s, t)) idle_keys.emplace(t.name, t.generation);
    }
    for (const auto& x : m.streams()) require(find(s.streams, x.id) != nullptr, cache_rule::one_way_out);
    require(idle_keys.size() <= options.max_idle_keys, cache_rule::key_limit);
    if (options.idle_timeout.count() == 0) due.reset();
    require(m.next_expiry() == due, cache_rule::timer);

    std::set<std::pair<int, std::int64_t>> used_keys;
    std::size_t unknown = 0;
    for (const pool& p : s.pools) {
        if (p.generation == 0) ++unknown;
        if (p.generation != 0) used_keys.emplace(p.name, p.generation);
        const auto* const x = find(m.pools(), p.id);
        require(x != nullptr, cache_rule::in_use);
        if (x == nullptr) continue;
        const auto* const k = find(m.keys(), x->key);
        require(k != nullptr && k->pools > 0 && k->object.generation() == p.generation, cache_rule::in_use);
    }
    for (const auto& u : s.users) {
        const bool has_stream =
            std::ranges::any_of(s.streams, [&](const stream& t) { return t.user == u.id && !t.forgotten; });
        require(u.ended != has_stream, cache_rule::told);
    }
    if (m.state() != cache_state::open) {
        require(idle == 0, cache_rule::close_ends);
        require((m.state() == cache_state::closed) == m.streams().empty(), cache_rule::close_answers);
        require(m.state() != cache_state::closed || m.closers().empty(), cache_rule::close_answers);
    }
    require(s.closers == m.closers(), cache_rule::close_answers);
    const auto stats = m.stats();
    require(
        stats.donated == stats.hits + stats.expired + stats.evicted + stats.died + stats.closed + idle &&
            stats.idle_streams == idle && stats.idle_keys == idle_keys.size() &&
            stats.keys_in_use == used_keys.size() + unknown,
        cache_rule::balance
    );
    return broken;
}

}  // namespace rangeio::states
