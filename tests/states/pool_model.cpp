#include "states/pool_model.hpp"

#include <rangeio/multi_range_downloader.hpp>

#include "states/pool_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace rangeio::states {

using fsm::pool_action;
using fsm::pool_action_kind;
using fsm::pool_actions;
using fsm::pool_fsm;
using fsm::stream_id;
using fsm::stream_state;

namespace {

pool_model::stream* find(pool_model::state& s, stream_id id) {
    const auto it = std::ranges::find(s.streams, id, &pool_model::stream::id);
    return it == s.streams.end() ? nullptr : &*it;
}

/// An object that grows.
std::shared_ptr<const object_info> object_of(std::uint64_t size) {
    auto out = std::make_shared<object_info>();
    out->size = size;
    return out;
}

const std::shared_ptr<const object_info> first_report = object_of(1);

/// What the machine keeps as a stream; nobody calls it.
class no_stream final : public multi_range_downloader {
    void open(std::shared_ptr<stream_listener>) override {}
    std::int64_t read(std::shared_ptr<range_sink>) override { return 0; }
    void cancel(std::int64_t, const error_value&) noexcept override {}
    void close(const error_value&) noexcept override {}
    std::uint64_t outstanding_bytes() const noexcept override { return 0; }
};

bool waits(const pool_fsm& m, fsm::waiter_id id) {
    return std::ranges::count(m.waiters(), id, &pool_fsm::waiter::id) +
               std::ranges::count(m.initializers(), id) + std::ranges::count(m.closers(), id) >
           0;
}

// P8, as far as a checker can know it: how many grants in a row went to demands while a speculative caller waited.
void count_passes(pool_model::state& s, const pool_fsm& before, const pool_actions& out) {
    const auto speculative = [](const pool_fsm& m, fsm::waiter_id id) {
        const auto it = std::ranges::find(m.waiters(), id, &pool_fsm::waiter::id);
        return it != m.waiters().end() && it->what == fsm::request_class::speculative;
    };
    // A caller for which a stream opens is not passed by callers that share another stream.
    const bool shares = s.machine.config().multi_request;
    const bool waits_on = std::ranges::any_of(s.machine.waiters(), [shares](const pool_fsm::waiter& w) {
        return w.what == fsm::request_class::speculative && (w.open == 0 || !shares);
    });
    for (const pool_action& a : out) {
        if (a.kind != pool_action_kind::grant) continue;
        s.passed = waits_on && !speculative(before, a.waiter) ? s.passed + 1 : 0;
    }
    if (!waits_on) s.passed = 0;
    if (s.passed > s.machine.config().max_passes) s.broken |= bit(rule::p8_passes);
}

}  // namespace

pool_model::state pool_model::initial() const {
    state s;
    s.machine = pool_fsm(options);
    s.acquires = acquires;
    s.initializes = initializes;
    s.speculations = speculations;
    s.rides = rides;
    s.sharers = sharers;
    s.closes = closes;
    s.close_now = close_now;
    s.growths = growths;
    return s;
}

void pool_model::events(const state& s, std::vector<event>& out) const {
    if (!s.queue.empty()) out.push_back({kind::perform});
    if (s.acquires > 0) out.push_back({kind::acquire});
    if (s.sharers > 0) out.push_back({kind::share});
    if (s.speculations > 0) out.push_back({kind::speculate});
    for (const pool_fsm::waiter& w : s.machine.waiters()) {
        if (w.what != fsm::request_class::demand) out.push_back({kind::promote, w.id});
    }
    if (s.initializes > 0) out.push_back({kind::initialize});
    if (s.rides > 0) out.push_back({kind::ride});
    if (s.closes > 0) out.push_back({kind::close});
    if (s.close_now) out.push_back({kind::close_now});
    if (s.growths > 0 && s.machine.info() != nullptr) out.push_back({kind::updated});
    for (const caller& c : s.callers) {
        if (waits(s.machine, c.id)) out.push_back({kind::cancel, c.id});
    }
    for (const stream& t : s.streams) {
        if (t.holders > 0) out.push_back({kind::release, t.id});
        switch (t.at) {
            case status::opening:
                out.push_back({kind::opened, t.id});
                out.push_back({kind::failed, t.id});
                out.push_back({kind::hung_up, t.id});
                if (t.ridden) out.push_back({kind::refused, t.id});
                break;
            case status::up:
                if (faults) {
                    out.push_back({kind::failed, t.id});
                    out.push_back({kind::reconnecting, t.id});
                }
                break;
            case status::reconnecting:
                out.push_back({kind::reconnected, t.id});
                out.push_back({kind::failed, t.id});
                break;
            case status::closing_unopened: out.push_back({kind::opened, t.id}); [[fallthrough]];
            case status::closing:
                out.push_back({kind::ended, t.id});
                out.push_back({kind::failed, t.id});
                break;
            case status::ended: break;
        }
        if (options.sharing == fsm::share_policy::least_outstanding && t.at == status::up) {
            out.push_back({kind::load, t.id});
        }
    }
}

void pool_model::feed(state& s, const event& e, pool_actions& out) const {
    pool_fsm& m = s.machine;
    const auto id = static_cast<stream_id>(e.who);
    stream* const t = find(s, id);
    switch (e.what) {
        case kind::acquire:
            --s.acquires;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.acquire(s.last_id, {}, fsm::request_class::demand, out);
            break;
        case kind::share:
            --s.sharers;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.acquire(s.last_id, {}, fsm::request_class::demand, out, true);
            break;
        case kind::speculate:
            --s.speculations;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.acquire(s.last_id, {}, fsm::request_class::speculative, out);
            break;
        case kind::promote:
            std::ranges::find(s.callers, e.who, &caller::id)->rank = ++s.last_rank;
            m.promote(e.who);
            break;
        case kind::initialize:
            --s.initializes;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.initialize(s.last_id, false, out);
            break;
        case kind::ride:
            --s.rides;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.initialize(s.last_id, true, out);
            if (!out.empty() && out.front().kind == pool_action_kind::open_stream) s.rider = s.last_id;
            break;
        case kind::close:
            --s.closes;
            s.callers.push_back({++s.last_id, false, ++s.last_rank});
            m.close(s.last_id, out);
            break;
        case kind::close_now:
            s.close_now = false;
            m.close_now(out);
            break;
        case kind::cancel:
            if (e.who == s.rider) s.rider = 0;
            if (m.cancel(e.who, out)) {
                std::erase_if(s.callers, [&](const caller& c) { return c.id == e.who; });
            } else {
                s.broken |= bit(rule::p8_answer);  // it waits, and cannot be cancelled
            }
            break;
        case kind::release:
            --t->holders;
            m.release(id, out);
            break;
        case kind::opened:
            t->at = t->at == status::opening ? status::up : status::closing;
            s.initialized = true;
            m.opened(id, first_report, out);
            break;
        case kind::ended:
        case kind::hung_up:
            t->at = status::ended;
            m.ended(id, {}, out);
            break;
        case kind::failed:
        case kind::refused: {
            const auto it = std::ranges::find(m.streams(), id, &pool_fsm::stream::id);
            if (it != m.streams().end() && it->state == stream_state::closing) s.close_failed = true;
            t->at = status::ended;
            m.ended(id, e.what == kind::failed ? errc::stalled : errc::range_not_satisfiable, out);
            break;
        }
        case kind::reconnecting:
            t->at = status::reconnecting;
            m.reconnecting(id, out);
            break;
        case kind::reconnected:
            t->at = status::up;
            m.reconnected(id, out);
            break;
        case kind::load: {
            const auto it = std::ranges::find(m.streams(), id, &pool_fsm::stream::id);
            if (it != m.streams().end()) m.set_load(id, 1 - it->load);
            break;
        }
        case kind::updated: {
            const std::uint64_t size = m.info()->size;
            if (m.updated(object_of(size + 1)) != size + 1) s.broken |= bit(rule::p14_size);
            // Of one that was asked before, and answers after.
            if (m.updated(object_of(size)) != 0 || m.info()->size != size + 1)
                s.broken |= bit(rule::p14_size);
            --s.growths;
            break;
        }
        case kind::perform: break;
    }
}

// What the shell does; see engine::pool_core::perform().
void pool_model::perform(state& s, const pool_action& a) const {
    stream* const t = find(s, a.stream);
    switch (a.kind) {
        case pool_action_kind::open_stream: {
            static const auto handle = std::make_shared<no_stream>();
            s.streams.push_back({a.stream});
            const auto& known = s.machine.info();
            const auto first = s.machine.made(a.stream, handle);
            if (first.size != (known == nullptr ? 0 : known->size)) s.broken |= bit(rule::p14_size);
            if (first.rider != s.rider) s.broken |= bit(rule::p12_rider);
            if (first.rider == 0) break;
            s.rider = 0;
            s.streams.back().holders = 1;
            s.streams.back().ridden = true;
            s.last_granted = a.stream;
            std::erase_if(s.callers, [&](const caller& c) { return c.id == first.rider; });
            break;
        }
        case pool_action_kind::drop:
            if (s.machine.knows(a.stream)) s.broken |= bit(rule::p6_dead);
            if (t != nullptr && (t->at != status::ended || t->holders > 0)) s.broken |= bit(rule::p6_dead);
            break;
        case pool_action_kind::close_stream:
            if (t == nullptr || t->at == status::ended) break;
            t->at = t->at == status::opening ? status::closing_unopened : status::closing;
            break;
        case pool_action_kind::grant:
            if (t != nullptr) {
                ++t->holders;
            } else {
                s.broken |= bit(rule::p5_leases);  // a lease on nothing
            }
            [[fallthrough]];
        case pool_action_kind::complete:
            std::erase_if(s.callers, [&](const caller& c) { return c.id == a.waiter; });
            break;
    }
}

void pool_model::apply(state& s, const event& e) const {
    s.broken = 0;
    if (e.what == kind::perform) {
        const pool_action a = s.queue.front();
        s.queue.erase(s.queue.begin());
        perform(s, a);
    } else {
        const pool_fsm before = s.machine;
        pool_actions out;
        feed(s, e, out);
        for (const pool_action& a : out) {
            if (a.waiter == 0) continue;
            const auto it = std::ranges::find(s.callers, a.waiter, &caller::id);
            if (it == s.callers.end() || it->answered) s.broken |= bit(rule::p8_answer);
            if (it != s.callers.end()) it->answered = true;
            if (a.waiter == s.rider) s.rider = 0;
            if (a.kind == pool_action_kind::grant) s.last_granted = a.stream;
        }
        count_passes(s, before, out);
        s.broken |= check_step(before, e, out, s);
        if (late) {
            s.queue.insert(s.queue.end(), out.begin(), out.end());
        } else {
            for (const pool_action& a : out) perform(s, a);
        }
    }
    std::erase_if(s.streams, [&](const stream& t) {
        return t.at == status::ended && t.holders == 0 && !s.machine.knows(t.id);
    });
    s.broken |= check_state(s);
}

std::string pool_model::name(const event& e) const {
    switch (e.what) {
        case kind::acquire: return "somebody acquires";
        case kind::share: return "somebody acquires, and shares a busy stream rather than wait for a new one";
        case kind::speculate: return "a speculative caller acquires";
        case kind::promote: return fmt::format("caller {} is waited for", e.who);
        case kind::initialize: return "somebody initializes";
        case kind::ride: return "a caller initializes, with a range for the opening message";
        case kind::close: return "somebody closes the pool";
        case kind::close_now: return "the deadline of close passes";
        case kind::cancel: return fmt::format("caller {} gives up", e.who);
        case kind::perform: return "the shell performs the next action";
        case kind::release: return fmt::format("a lease on stream {} is released", e.who);
        case kind::opened: return fmt::format("stream {} has opened", e.who);
        case kind::ended: return fmt::format("stream {} has closed", e.who);
        case kind::hung_up: return fmt::format("stream {} hangs up before it has opened", e.who);
        case kind::failed: return fmt::format("stream {} fails", e.who);
        case kind::refused: return fmt::format("stream {} ends, for a range in its opening message", e.who);
        case kind::reconnecting: return fmt::format("stream {} breaks and reconnects", e.who);
        case kind::reconnected: return fmt::format("stream {} has reconnected", e.who);
        case kind::load: return fmt::format("the load of stream {} changes", e.who);
        case kind::updated: return "something has been appended";
    }
    return {};
}

// Ids are replaced by positions, counts that only increase by ranks, and equal waiters by their number.
std::string pool_model::key(const state& s) const {
    const pool_fsm& m = s.machine;
    std::string out;
    const auto put = [&out](auto value) { out.push_back(static_cast<char>(value)); };
    const auto place = [&s](stream_id id) {
        const auto it = std::ranges::find(s.streams, id, &stream::id);
        return it - s.streams.begin();
    };
    put(m.state());
    put(s.acquires);
    put(s.sharers);
    put(s.speculations);
    put(s.passed);
    put(m.passes(fsm::request_class::speculative));
    put(s.initializes);
    put(s.rides * 2 + (s.rider != 0));
    put(s.growths);
    put(s.closes * 4 + s.close_now * 2 + s.close_failed);
    put(m.initializers().size());
    put(m.closers().size());
    for (const pool_fsm::waiter& w : m.waiters()) {
        const auto it = std::ranges::find(m.streams(), w.open, &pool_fsm::stream::id);
        put(it - m.streams().begin());
        put(static_cast<bool>(w.declined) * 8 + w.shares * 16 + static_cast<int>(w.what));
    }
    put('/');
    for (const stream& t : s.streams) {
        put(t.at);
        put(t.holders);
        put(t.ridden);
        put(m.knows(t.id));
    }
    put('/');
    for (const pool_fsm::stream& t : m.streams()) {
        put(place(t.id));
        put(t.state);
        put(t.leases);
        // The asker is known by its own `open`: here it matters only whether there is one.
        put(t.asker != 0);
        const auto idle = [](const pool_fsm::stream& u) {
            return u.leases == 0 && (u.state == stream_state::ready || u.state == stream_state::reconnecting);
        };
        put(!idle(t) ? 0 : 1 + std::ranges::count_if(m.streams(), [&](const pool_fsm::stream& u) {
                               return idle(u) && u.idle_since < t.idle_since;
                           }));
        put(t.load);
    }
    put('/');
    if (options.multi_request && options.sharing == fsm::share_policy::round_robin) {
        put(std::ranges::count_if(m.streams(), [&](const pool_fsm::stream& t) {
            return t.id <= m.last_shared() && t.state != stream_state::gone &&
                   t.state != stream_state::closing;
        }));
    }
    for (const pool_action& a : s.queue) {
        put(a.kind);
        put(place(a.stream));
    }
    return out;
}

std::vector<sim::state_rule<pool_model::state>> pool_model::rules() const {
    std::vector<sim::state_rule<state>> out;
    for (std::uint32_t n = 0; n < static_cast<std::uint32_t>(rule::count); ++n) {
        out.push_back({rule_name(static_cast<rule>(n)), [n](const state& s) {
                           return (s.broken >> n & 1) == 0;
                       }});
    }
    return out;
}

std::vector<sim::state_goal<pool_model::state>> pool_model::goals() const {
    const auto over = [](const state& s) {
        const bool quiet = std::ranges::all_of(s.streams, [](const stream& t) {
            return (t.at == status::up || t.at == status::ended) && t.holders == 0;
        });
        return quiet && s.queue.empty() && s.callers.empty() && s.machine.state() != fsm::pool_state::closing;
    };
    return {
        {"liveness: once faults stop every operation ends, in whatever order things happen",
         over,
         sim::state_goal<state>::strength::certain}
    };
}

bool pool_model::fair(const event& e) const {
    return e.what == kind::perform || e.what == kind::release || e.what == kind::opened ||
           e.what == kind::ended || e.what == kind::reconnected;
}

}  // namespace rangeio::states
