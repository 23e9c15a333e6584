#include "states/pool_cache_model.hpp"

#include "states/pool_cache_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rangeio::states {

using fsm::cache_action;
using fsm::cache_action_kind;
using fsm::cache_actions;
using fsm::cache_state;
using fsm::cached_id;
using fsm::pool_cache_fsm;

namespace {

object_ref object(int name, std::int64_t generation) {
    return {"b-1", std::string(1, static_cast<char>('a' + name)), generation};
}

bool can_leave(const pool_cache_model::state& s, const pool_cache_model::pool& p) {
    return std::ranges::none_of(s.users, [&](const auto& u) { return u.pool == p.id; });
}

}  // namespace

pool_cache_model::state pool_cache_model::initial() const {
    state s;
    s.machine = pool_cache_fsm(options);
    s.named_pools = named_pools;
    s.nameless_pools = nameless_pools;
    s.opens = opens;
    s.ticks = ticks;
    s.closes = closes;
    s.finalized = !grows;
    return s;
}

void pool_cache_model::events(const state& s, std::vector<event>& out) const {
    if (!s.queue.empty()) out.push_back({kind::perform});
    for (int n = 0; n < names; ++n) {
        if (s.named_pools > 0) out.push_back({kind::enter_named, static_cast<std::uint64_t>(n)});
        if (s.nameless_pools > 0) out.push_back({kind::enter_nameless, static_cast<std::uint64_t>(n)});
    }
    for (const pool& p : s.pools) {
        // A pool opens its first stream alone (P1).
        const bool first = std::ranges::none_of(s.users, [&](const user& u) { return u.pool == p.id; });
        if (s.opens > 0 && (p.opened || first)) out.push_back({kind::open, p.id});
        if (can_leave(s, p)) out.push_back({kind::leave, p.id});
    }
    for (const user& u : s.users) {
        if (u.given_up || u.gone) continue;
        out.push_back({kind::give_up, u.id});
        out.push_back({kind::give_up_busy, u.id});
    }
    for (const stream& t : s.streams) {
        switch (t.at) {
            case status::asked: break;
            case status::opening:
                out.push_back({kind::opened, t.id});
                out.push_back({kind::failed, t.id});
                break;
            case status::up:
                if (!faults) break;
                out.push_back({kind::failed, t.id});
                // Not again before its user has heard of the last time, or the queue would have no end.
                if (std::ranges::none_of(s.queue, [&](const cache_action& a) {
                        return a.kind == cache_action_kind::reconnected && a.stream == t.id;
                    })) {
                    out.push_back({kind::reconnecting, t.id});
                }
                break;
            case status::reconnecting:
                out.push_back({kind::reconnected, t.id});
                out.push_back({kind::failed, t.id});
                break;
            case status::closing:
                out.push_back({kind::ended, t.id});
                out.push_back({kind::failed, t.id});
                break;
            case status::ended: break;
        }
    }
    if (s.closes > 0) out.push_back({kind::close});
    for (const fsm::caller_id who : s.machine.closers()) out.push_back({kind::cancel, who});
    if (s.ticks > 0) out.push_back({kind::pass});
    const auto due = s.machine.next_expiry();
    if (due && *due <= time(s.now)) out.push_back({kind::tick});
    if (grows && s.size == 1 && !s.finalized) out.push_back({kind::grow});
    if (grows && !s.finalized) out.push_back({kind::finalize});
    if (replaced && s.live == 1) out.push_back({kind::replace});
}

void pool_cache_model::feed(state& s, const event& e, cache_actions& out) const {
    pool_cache_fsm& m = s.machine;
    stream* const t = find(s.streams, e.who);
    switch (e.what) {
        case kind::enter_named:
        case kind::enter_nameless: {
            const std::int64_t generation = e.what == kind::enter_named ? 1 : 0;
            --(generation != 0 ? s.named_pools : s.nameless_pools);
            const int n = static_cast<int>(e.who);
            const fsm::pool_id id = m.enter(object(n, generation));
            if ((id == 0) != (m.state() != cache_state::open)) s.broken |= bit(cache_rule::close_ends);
            if (id == 0) break;
            s.pools.push_back({id, n, generation});
            std::erase_if(s.left, [&](const unused& k) { return k.name == n && k.generation == generation; });
            break;
        }
        case kind::leave: {
            const pool gone = *find(s.pools, e.who);
            std::erase_if(s.pools, [&](const pool& p) { return p.id == e.who; });
            const bool others = std::ranges::any_of(s.pools, [&](const pool& p) {
                return p.name == gone.name && p.generation == gone.generation;
            });
            if (!others) s.left.push_back({gone.name, gone.generation});
            m.leave(e.who, out);
            break;
        }
        case kind::open:
            --s.opens;
            s.users.push_back({++s.last_id, e.who});
            m.open(s.last_id, e.who, time(s.now), out);
            break;
        case kind::give_up:
        case kind::give_up_busy:
            find(s.users, e.who)->given_up = true;
            m.give_up(e.who, e.what == kind::give_up, {}, time(s.now), out);
            break;
        case kind::close:
            --s.closes;
            s.closers.push_back(++s.last_id);
            m.close(s.last_id, out);
            break;
        case kind::cancel:
            if (!m.cancel(e.who)) s.broken |= bit(cache_rule::close_answers);
            std::erase(s.closers, e.who);
            break;
        case kind::opened: {
            pool* const p = find(s.pools, t->pool);
            t->at = status::up;
            t->generation = p != nullptr && p->generation != 0 ? p->generation : s.live;
            t->size = s.size;
            t->finalized = s.finalized;
            m.opened(t->id, {t->generation, static_cast<std::uint64_t>(t->size), t->finalized}, out);
            break;
        }
        case kind::ended:
        case kind::failed:
            t->at = status::ended;
            if (e.what == kind::failed && t->close_asked && m.state() == cache_state::closing) {
                s.close_failed = true;
            }
            m.ended(t->id, e.what == kind::failed ? error_value(errc::stalled) : error_value(), out);
            break;
        case kind::reconnecting:
            t->at = status::reconnecting;
            m.reconnecting(t->id, out);
            break;
        case kind::reconnected:
            t->at = status::up;
            m.reconnected(t->id, out);
            break;
        case kind::pass:
            --s.ticks;
            ++s.now;
            break;
        case kind::tick: m.tick(time(s.now), out); break;
        case kind::grow: s.size = 2; break;
        case kind::finalize: s.finalized = true; break;
        case kind::replace: s.live = 2; break;
        case kind::perform: break;
    }
}

// What the actions mean, from the moment that the machine has decided them.
void pool_cache_model::account(state& s, const cache_actions& out) const {
    for (const cache_action& a : out) {
        user* const u = find(s.users, a.caller);
        switch (a.kind) {
            case cache_action_kind::open_stream:
                s.streams.push_back({a.stream, u->pool, find(s.pools, u->pool)->name});
                s.streams.back().user = u->id;
                break;
            case cache_action_kind::attach:
            case cache_action_kind::opened: {
                stream* const t = find(s.streams, a.stream);
                if (t == nullptr || u == nullptr || u->opened || u->ended) {
                    s.broken |= bit(cache_rule::told);
                    break;
                }
                u->opened = true;
                t->user = u->id;
                t->idle = false;
                pool& p = *find(s.pools, u->pool);
                if (!p.opened) p.size = t->size;
                p.opened = true;
                if (p.generation == 0) {
                    p.generation = t->generation;
                    std::erase_if(s.left, [&](const unused& k) {
                        return k.name == p.name && k.generation == p.generation;
                    });
                }
                break;
            }
            case cache_action_kind::detach: {
                if (u == nullptr || u->ended) {
                    s.broken |= bit(cache_rule::told);
                    break;
                }
                u->ended = true;
                stream* const t = find(s.streams, a.stream);
                if (t == nullptr) break;
                t->user = 0;
                if (t->forgotten) break;
                t->idle = true;
                t->idle_since = s.now;
                t->given = ++s.gifts;
                break;
            }
            case cache_action_kind::close_stream: {
                stream* const t = find(s.streams, a.stream);
                if (t == nullptr || t->close_asked) {
                    s.broken |= bit(cache_rule::one_way_out);
                    break;
                }
                t->close_asked = true;
                t->idle = false;
                break;
            }
            case cache_action_kind::forget: {
                stream* const t = find(s.streams, a.stream);
                if (t == nullptr || t->forgotten) {
                    s.broken |= bit(cache_rule::one_way_out);
                    break;
                }
                t->forgotten = true;
                t->idle = false;
                break;
            }
            case cache_action_kind::reconnecting:
            case cache_action_kind::reconnected:
                if (u == nullptr || !u->opened || u->ended) s.broken |= bit(cache_rule::told);
                break;
            case cache_action_kind::complete:
                if (std::erase(s.closers, a.caller) != 1) s.broken |= bit(cache_rule::close_answers);
                break;
            case cache_action_kind::closed: break;
        }
    }
    std::erase_if(s.left, [&](const unused& k) {
        return std::ranges::none_of(s.streams, [&](const stream& t) {
            return t.idle && t.name == k.name && t.generation == k.generation;
        });
    });
}

// What the shell does; see engine::pool_cache_core::perform().
void pool_cache_model::perform(state& s, const cache_action& a) const {
    if (a.kind == cache_action_kind::detach) {
        if (user* const u = find(s.users, a.caller)) u->gone = true;
    }
    stream* const t = find(s.streams, a.stream);
    if (t == nullptr) return;
    if (a.kind == cache_action_kind::open_stream) t->at = status::opening;
    if (a.kind == cache_action_kind::close_stream && t->at != status::ended) t->at = status::closing;
}

void pool_cache_model::apply(state& s, const event& e) const {
    s.broken = 0;
    if (e.what == kind::perform) {
        const cache_action a = s.queue.front();
        s.queue.erase(s.queue.begin());
        perform(s, a);
    } else {
        const state before = s;
        cache_actions out;
        feed(s, e, out);
        s.broken |= check_step(before, e, out, s.machine);
        account(s, out);
        if (late) {
            s.queue.insert(s.queue.end(), out.begin(), out.end());
        } else {
            for (const cache_action& a : out) perform(s, a);
        }
    }
    std::erase_if(s.users, [](const user& u) { return u.gone; });
    std::erase_if(s.streams, [&](const stream& t) {
        return t.forgotten &&
               std::ranges::none_of(s.queue, [&](const cache_action& a) { return a.stream == t.id; });
    });
    s.broken |= check_state(s);
}

std::string pool_cache_model::name(const event& e) const {
    switch (e.what) {
        case kind::enter_named: return fmt::format("a pool on object {}, generation 1", e.who);
        case kind::enter_nameless: return fmt::format("a pool on object {}, live generation", e.who);
        case kind::leave: return fmt::format("pool {} is gone", e.who);
        case kind::open: return fmt::format("pool {} opens a stream", e.who);
        case kind::give_up: return fmt::format("user {} gives its stream up", e.who);
        case kind::give_up_busy: return fmt::format("user {} gives its stream up, with bytes due", e.who);
        case kind::close: return "somebody closes the cache";
        case kind::cancel: return fmt::format("{} does not wait for the close any more", e.who);
        case kind::perform: return "the shell performs the next action";
        case kind::opened: return fmt::format("stream {} has opened", e.who);
        case kind::ended: return fmt::format("stream {} has closed", e.who);
        case kind::failed: return fmt::format("stream {} fails", e.who);
        case kind::reconnecting: return fmt::format("stream {} breaks and reconnects", e.who);
        case kind::reconnected: return fmt::format("stream {} has reconnected", e.who);
        case kind::pass: return "time passes";
        case kind::tick: return "the timer rings";
        case kind::grow: return "the object grows";
        case kind::finalize: return "the object is finalized";
        case kind::replace: return "the object is replaced";
    }
    return {};
}

// Ids are replaced by positions, times by ages, counts by ranks; pools and users that are alike stay apart, for there
// are few.
std::string pool_cache_model::key(const state& s) const {
    const pool_cache_fsm& m = s.machine;
    std::string out;
    const auto put = [&out](auto value) { out.push_back(static_cast<char>(value)); };
    const auto place = [](const auto& things, auto id) {
        const auto it = std::ranges::find_if(things, [id](const auto& x) { return x.id == id; });
        return it - things.begin();
    };
    put(m.state());
    put(s.named_pools * 8 + s.nameless_pools);
    put(s.opens);
    put(s.ticks);
    put(s.closes * 4 + s.close_failed);
    put(s.closers.size());
    put(m.closers().size());
    put(s.size * 8 + s.finalized * 4 + s.live);
    for (const pool& p : s.pools) {
        put(p.name * 16 + p.generation * 4 + p.opened * 2);
        put(p.size);
    }
    put('/');
    for (const user& u : s.users) {
        put(place(s.pools, u.pool));
        put(u.opened * 4 + u.given_up * 2 + u.ended);
    }
    put('/');
    for (const unused& k : s.left) put(k.name * 4 + k.generation);
    put('/');
    const int timeout = static_cast<int>(options.idle_timeout / std::chrono::seconds(1));
    for (const stream& t : s.streams) {
        put(t.at);
        put(place(s.users, t.user));
        put(place(s.pools, t.pool));
        put(t.close_asked * 2 + t.forgotten);
        put(t.generation * 16 + t.size * 2 + t.finalized);
        put(!t.idle ? 0 : 1 + std::ranges::count_if(s.streams, [&](const stream& u) {
                              return u.idle && u.given < t.given;
                          }));
        put(t.idle ? std::min(s.now - t.idle_since, timeout) : 0);
        const auto* const x = find(m.streams(), t.id);
        put(x == nullptr ? 99 : static_cast<int>(x->state));
        put(x == nullptr ? 99 : place(m.keys(), x->key));
        put(x == nullptr ? 99 : place(s.users, x->user));
    }
    put('/');
    for (const auto& p : m.pools()) put(place(m.keys(), p.key) * 2 + p.opened);
    put('/');
    for (const auto& k : m.keys()) {
        put((k.object.name()[0] - 'a') * 4 + k.object.generation());
        put(k.pools);
        put(k.pools > 0 ? 0 : 1 + std::ranges::count_if(m.keys(), [&](const auto& o) {
                                  return o.pools == 0 && o.last_used < k.last_used;
                              }));
    }
    for (const cache_action& a : s.queue) {
        put(a.kind);
        put(place(s.streams, a.stream));
        put(place(s.users, a.caller));
    }
    return out;
}

std::vector<sim::state_rule<pool_cache_model::state>> pool_cache_model::rules() const {
    std::vector<sim::state_rule<state>> out;
    for (std::uint32_t n = 0; n < static_cast<std::uint32_t>(cache_rule::count); ++n) {
        out.push_back({rule_name(static_cast<cache_rule>(n)), [n](const state& s) {
                           return (s.broken >> n & 1) == 0;
                       }});
    }
    return out;
}

std::vector<sim::state_goal<pool_cache_model::state>> pool_cache_model::goals() const {
    const auto over = [](const state& s) {
        const auto due = s.machine.next_expiry();
        return s.queue.empty() && s.users.empty() && s.closers.empty() &&
               s.machine.state() != cache_state::closing && (!due || *due > time(s.now)) &&
               std::ranges::all_of(s.streams, [](const stream& t) { return t.idle; });
    };
    return {
        {"liveness: once faults stop every user and every close ends, and what remains is idle and not "
         "overdue",
         over,
         sim::state_goal<state>::strength::certain}
    };
}

bool pool_cache_model::fair(const event& e) const {
    switch (e.what) {
        case kind::perform:
        case kind::give_up:
        case kind::give_up_busy:
        case kind::opened:
        case kind::ended:
        case kind::reconnected:
        case kind::tick: return true;
        default: return false;
    }
}

}  // namespace rangeio::states
