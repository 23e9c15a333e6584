#include "states/connections_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <utility>

namespace rangeio::states {

using fsm::connection_id;
using fsm::connections_fsm;
using fsm::silence;

namespace {

constexpr int checks = static_cast<int>(fsm::checks_per_stall);
constexpr std::chrono::seconds look_time{1};

fsm::time_point at(int now) {
    return fsm::time_point() + now * look_time;
}

constexpr std::array<const char*, static_cast<std::size_t>(connections_model::rule::count)> rule_names{
    "a call is placed where there is room, and waits only if there is none and no further connection is "
    "allowed",
    "a further connection is opened only if all are full, and there are fewer than allowed",
    "no call is placed on a connection that was replaced",
    "a connection is dead only if nothing was heard for the stall timeout, and a sign of life that was asked "
    "for had its time",
    "on a connection that lives, or cannot be asked, a call is given up only when it had its time",
    "a call on a connection that is dead, and can be asked, is given up within a look of its time",
    "a call is crowded out only without an answer where others have one, if there is room elsewhere, and "
    "none is left there",
    "a sign of life is asked for once, until something is heard",
    "the calls of a connection, and those that were answered, are those that are there",
    "a connection that was replaced, or is a further one, goes with its last call, and no other does",
    "every connection takes a call at least",
};

const connections_fsm::connection* find(const connections_fsm& m, connection_id id) {
    for (const auto* const list : {&m.open(), &m.replaced()}) {
        const auto it = std::ranges::find(*list, id, &connections_fsm::connection::id);
        if (it != list->end()) return &*it;
    }
    return nullptr;
}

bool has_room(const connections_fsm& m, const connections_fsm::connection& c) {
    return c.calls < std::min(m.limit(), c.room_for);
}

void require(connections_model::state& s, bool holds, connections_model::rule r) {
    if (!holds) s.broken |= std::uint32_t{1} << static_cast<std::uint32_t>(r);
}

}  // namespace

connections_model::state connections_model::initial() const {
    connections_fsm::options o;
    o.spread = spread;
    o.streams_per_connection = room;
    o.max_connections = most;
    o.stall_timeout = checks * look_time;
    state out(o);
    if (fast) out.machine.moved(at(checks), 8 * connections_fsm::slow_link, true);
    out.streams.resize(static_cast<std::size_t>(streams));
    return out;
}

void connections_model::events(const state& s, std::vector<event>& out) const {
    const auto waiting = std::ranges::count_if(s.streams, &stream::waits);
    std::size_t orders = waiting == 0 ? 0 : 1;
    for (auto n = static_cast<std::size_t>(waiting); n > 1; --n) orders *= n;
    for (std::size_t order = 0; order < orders; ++order) {
        out.push_back({kind::time_passes, order});
        if (unaskable) out.push_back({kind::time_passes_unasked, order});
    }
    for (std::size_t i = 0; i < s.streams.size(); ++i) {
        const stream& c = s.streams[i];
        if (c.on == 0) {
            out.push_back({kind::place, i});
            continue;
        }
        out.push_back({c.given_up ? kind::ends_as_told : kind::ends, i});
        if (c.given_up) continue;
        if (c.idle) {
            out.push_back({kind::ask_more, i});
        } else if (c.answered) {
            out.push_back({kind::bytes, i});
            out.push_back({kind::last_bytes, i});
        } else {
            out.push_back({kind::answer, i});
        }
    }
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
        if (s.lines[i].heard != s.now) out.push_back({kind::sign_of_life, i});
    }
}

void connections_model::place(state& s, stream& on) const {
    const connections_fsm before = s.machine;
    const connection_id id = s.machine.place();
    const auto& open = before.open();
    const bool somewhere =
        open.empty() || std::ranges::any_of(open, [&](const auto& c) { return has_room(before, c); });
    const bool may_grow = open.size() + before.replaced().size() < most;
    const bool grew = !open.empty() && s.machine.open().size() > open.size();
    const auto* const was = find(before, id);
    const bool has_it = was == nullptr || has_room(before, *was);
    require(s, has_it || (!somewhere && !may_grow), rule::room);
    require(s, !grew || (!somewhere && may_grow), rule::most);
    require(s, !s.left.contains(id), rule::left);
    if (was == nullptr) s.lines.push_back({id, true, s.now, 0});
    on = {id, s.now, 0, on.excused, false, true, false, false};
}

// In checks: what the bytes need that may come first, on a link that is as slow as links are taken to be.
int connections_model::bytes_time(std::uint8_t excused) const {
    return static_cast<int>(due / connections_fsm::slow_link) * checks << excused;
}

int connections_model::answer_time(std::uint8_t excused) const {
    return fast ? 1 : std::max(1, bytes_time(excused));
}

void connections_model::look(state& s, stream& at_call, bool askable) const {
    if (std::exchange(at_call.moved, false)) {
        at_call.checks = 0;
        return;
    }
    ++at_call.checks;
    const line& on = *std::ranges::find(s.lines, at_call.on, &line::id);
    connections_fsm::silent_call call;
    call.on = at_call.on;
    call.answered = at_call.answered;
    call.checks = at_call.checks;
    call.excused = at_call.excused;
    call.now = at(s.now);
    call.began = at(at_call.began);
    call.heard = at(on.heard);
    call.due = due;
    judge(s, at_call, s.machine.silent(call), askable);
}

void connections_model::judge(state& s, stream& at_call, const connections_fsm::verdict& said, bool askable)
    const {
    line& on = *std::ranges::find(s.lines, at_call.on, &line::id);
    const int quiet = s.now - on.heard;
    const bool wait_timer_sign = on.wait_timer_sign();
    const int time = checks << at_call.excused;
    const int answer = answer_time(at_call.excused);
    if (said.dead) require(s, wait_timer_sign && quiet >= time && s.now - on.asked >= answer, rule::dead);
    const bool others = std::ranges::any_of(s.streams, [&](const stream& c) {
        return &c != &at_call && c.on == at_call.on && c.answered;
    });
    if (said.how == silence::crowded) {
        const auto* const c = find(s.machine, at_call.on);
        const bool room_elsewhere = std::ranges::any_of(s.machine.open(), [&](const auto& other) {
            return &other != c && has_room(s.machine, other);
        });
        const bool may_grow = s.machine.open().size() + s.machine.replaced().size() < most;
        require(s, !at_call.answered && others && (room_elsewhere || may_grow), rule::crowded);
        require(s, !has_room(s.machine, *c), rule::crowded);
    } else if (said.how != silence::borne && !said.dead) {
        const bool alive = quiet < time;
        require(s, alive || !on.askable, rule::slow);
        require(
            s,
            at_call.checks >= (alive ? std::max(time, checks + bytes_time(at_call.excused)) : time),
            rule::slow
        );
    } else if (said.how == silence::borne) {
        const int longest = std::max(time, 1 + answer);
        require(s, !on.askable || at_call.checks <= longest || quiet <= longest, rule::time);
    }
    if (said.ask) {
        require(s, !wait_timer_sign && on.askable, rule::probe);
        on.askable = askable;
        on.asked = s.now;
        if (!askable) s.machine.unaskable(on.id);
    }
    for (stream& c : s.streams) {
        const bool goes = &c == &at_call ? said.how != silence::borne : said.dead && c.on == on.id;
        if (!goes || c.given_up) continue;
        c.given_up = true;
        c.excused = std::min(static_cast<std::uint8_t>(c.excused + 1), max_excused);
    }
    if (std::ranges::any_of(s.machine.replaced(), [&](const auto& c) { return c.id == on.id; }))
        s.left.insert(on.id);
    require(s, !said.dead || s.left.contains(on.id), rule::left);
}

void connections_model::pass_time(state& s, std::size_t order, bool askable) const {
    ++s.now;
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < s.streams.size(); ++i) {
        if (s.streams[i].waits()) waiting.push_back(i);
    }
    for (; order != 0; --order) std::ranges::next_permutation(waiting);
    for (const std::size_t i : waiting) {
        if (s.streams[i].waits()) look(s, s.streams[i], askable);
    }
}

void connections_model::end(state& s, stream& of) const {
    const connection_id id = of.on;
    const bool gone = s.machine.ended(id, of.answered);
    const bool alone = std::ranges::count(s.streams, id, &stream::on) == 1;
    const bool first = std::ranges::any_of(std::span(s.machine.open()).first(spread), [id](const auto& c) {
        return c.id == id;
    });
    require(s, gone == (alone && !first) && gone == (find(s.machine, id) == nullptr), rule::gone);
    if (gone) std::erase_if(s.lines, [id](const line& l) { return l.id == id; });
    of = {0, 0, 0, of.excused, false, false, false, false};
}

void connections_model::check(state& s) const {
    for (const auto* const list : {&s.machine.open(), &s.machine.replaced()}) {
        for (const auto& c : *list) {
            if (c.id == 0) {
                require(s, c.calls == 0, rule::balance);
                continue;
            }
            const auto on = [&c](const stream& t) { return t.on == c.id; };
            const auto answered = [&c](const stream& t) { return t.on == c.id && t.answered; };
            require(s, std::cmp_equal(c.calls, std::ranges::count_if(s.streams, on)), rule::balance);
            require(s, std::cmp_equal(c.answered, std::ranges::count_if(s.streams, answered)), rule::balance);
            require(s, c.room_for > 0, rule::limit);
        }
    }
    require(s, s.machine.limit() > 0, rule::limit);
}

void connections_model::apply(state& s, const event& e) const {
    s.broken = 0;
    const auto hear = [&s](stream& c) {
        std::ranges::find(s.lines, c.on, &line::id)->heard = s.now;
        c.moved = true;
    };
    switch (e.what) {
        case kind::place: place(s, s.streams[e.which]); break;
        case kind::answer:
            hear(s.streams[e.which]);
            s.streams[e.which].answered = true;
            s.machine.answered(s.streams[e.which].on);
            break;
        case kind::bytes:
        case kind::last_bytes:
            hear(s.streams[e.which]);
            s.streams[e.which].excused = 0;
            s.streams[e.which].idle = e.what == kind::last_bytes;
            break;
        case kind::ask_more:
            s.streams[e.which].idle = false;
            s.streams[e.which].moved = true;  // the time begins now
            break;
        case kind::time_passes:
        case kind::time_passes_unasked: pass_time(s, e.which, e.what == kind::time_passes); break;
        case kind::sign_of_life: s.lines[e.which].heard = s.now; break;
        case kind::ends:
        case kind::ends_as_told: end(s, s.streams[e.which]); break;
    }
    check(s);
}

std::string connections_model::name(const event& e) const {
    static constexpr std::array what{
        "a call of stream {} begins",
        "the call of stream {} is answered",
        "bytes come for stream {}",
        "the last bytes come for stream {}",
        "stream {} asks for more",
        "the time of a look passes (order {})",
        "the time of a look passes (order {}), and no sign of life can be asked for",
        "connection {} gives a sign of life",
        "the call of stream {} ends",
        "the call of stream {} ends as it was told",
    };
    return fmt::format(fmt::runtime(what[static_cast<std::size_t>(e.what)]), e.which + 1);
}

// A time counts by its age, up to the time of a call and a look. Streams are interchangeable, and so are replaced
// connections.
std::string connections_model::key(const state& s) const {
    const auto& m = s.machine;
    const int longest = std::max(checks << max_excused, 1 + answer_time(max_excused)) + 1;
    std::string out;
    const auto put = [](std::string& to, auto... values) { (to.push_back(static_cast<char>(values)), ...); };
    const auto flags = [](auto... values) {
        int bits = 0;
        ((bits = bits * 2 + (values ? 1 : 0)), ...);
        return bits;
    };
    const auto text_of = [&](const stream& c) {
        std::string one;
        put(one, c.excused, flags(c.answered, c.moved, c.idle, c.given_up));
        const line* const on = c.on == 0 ? nullptr : &*std::ranges::find(s.lines, c.on, &line::id);
        // A look that follows on bytes counts from there.
        if (on != nullptr && !c.given_up)
            put(one, c.moved || c.idle ? 0 : c.checks, !c.answered && on->heard >= c.began);
        return one;
    };
    const auto text_of_line = [&](const connections_fsm::connection& c) {
        std::string one;
        if (c.id == 0) return one;
        const line& on = *std::ranges::find(s.lines, c.id, &line::id);
        const bool asking = on.wait_timer_sign();
        put(one, std::min(c.room_for, room), flags(c.askable, asking));
        put(one,
            std::min(s.now - on.heard, longest),
            asking ? std::min(s.now - on.asked, answer_time(max_excused)) : 0);
        std::vector<std::string> calls;
        for (const stream& t : s.streams) {
            if (t.on == c.id) calls.push_back(text_of(t));
        }
        std::ranges::sort(calls);
        for (const auto& t : calls) one += t + ',';
        return one;
    };
    put(out, m.limit(), m.turn());
    for (const auto& c : m.open()) out += text_of_line(c) + ';';
    std::vector<std::string> rest;
    for (const auto& c : m.replaced()) rest.push_back(text_of_line(c));
    std::ranges::sort(rest);
    for (const auto& c : rest) out += c + '|';
    rest.clear();
    for (const stream& t : s.streams) {
        if (t.on == 0) rest.push_back(text_of(t));
    }
    std::ranges::sort(rest);
    for (const auto& t : rest) out += t + '.';
    return out;
}

std::vector<sim::state_rule<connections_model::state>> connections_model::rules() const {
    std::vector<sim::state_rule<state>> out;
    for (std::uint32_t n = 0; n < rule_names.size(); ++n) {
        out.push_back({rule_names[n], [n](const state& s) { return (s.broken >> n & 1) == 0; }});
    }
    return out;
}

std::vector<sim::state_goal<connections_model::state>> connections_model::goals() const {
    return {
        {"liveness: a call on which nothing comes any more is given up, and ends",
         [](const state& s) {
             return std::ranges::all_of(s.streams, [](const stream& c) { return c.on == 0 || c.idle; });
         },
         sim::state_goal<state>::strength::certain}
    };
}

// The shell does its part; the service says nothing, but gives signs of life as long as its path is there.
bool connections_model::fair(const event& e) const {
    return e.what == kind::time_passes || e.what == kind::sign_of_life || e.what == kind::ends_as_told;
}

}  // namespace rangeio::states
