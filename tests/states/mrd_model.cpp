#include "states/mrd_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace rangeio::states {

using fsm::mrd_action;
using fsm::mrd_action_kind;
using fsm::mrd_actions;
using fsm::mrd_fsm;
using fsm::mrd_state;
using fsm::range_state;

namespace {

enum rule : std::uint32_t {
    s1_routing,
    s2_queue,
    s2_message,
    s3_opening,
    s4_right_bytes,
    s4_neighbours,
    s5_complete,
    s5_zero,
    s6_short,
    s8_cancel,
    answers,
    end_last,
    balance,
    memory,
    wake_up,
    rule_count,
};

constexpr std::array<const char*, rule_count> rule_names{
    "S1: chunks reach the range that they name, at any time, unknown ones are dropped",
    "S2: ranges queue while a message is written, and leave with the next one",
    "S2: a message is no longer than allowed, and stays as it is until it is written",
    "S3: ranges that were there before the call ride in its first message",
    "S4: only bytes at the right offset, within the range, and undamaged count",
    "S4: what is wrong with one range is not its neighbours' business",
    "S5: a range is complete with its last byte, and only then",
    "S5: a remaining length of zero is never sent, and no range twice",
    "S6: fewer bytes without an error only if the service said that the range was over",
    "S8: a cancelled range answers at once, or when the copy that is under way is over",
    "every range is answered once, and not during a copy",
    "the end of the stream is told once, last, and only if nothing is left",
    "the outstanding bytes are those of the ranges that are not answered",
    "memory: only newcomers can make work that was not allowed for",
    "liveness: whoever waits has somebody who will wake them",
};

constexpr std::int64_t unknown_id = 99;

std::uint64_t offset_of(std::int64_t id) {
    return 10 * static_cast<std::uint64_t>(id);
}

mrd_model::range* find(mrd_model::state& s, std::int64_t id) {
    const auto it = std::ranges::find(s.ranges, id, &mrd_model::range::id);
    return it == s.ranges.end() ? nullptr : &*it;
}

const mrd_fsm::range* find(const mrd_fsm& m, std::int64_t id) {
    const auto it = std::ranges::find_if(m.ranges(), [id](const mrd_fsm::range& r) {
        return r.read_id == id && r.state != range_state::forgotten;
    });
    return it == m.ranges().end() ? nullptr : &*it;
}

void require(mrd_model::state& s, bool holds, rule r) {
    if (!holds) s.broken |= std::uint32_t{1} << r;
}

std::size_t queued(const mrd_fsm& m) {
    return static_cast<std::size_t>(
        std::ranges::count(m.ranges(), range_state::queued, &mrd_fsm::range::state)
    );
}

/// So many actions may still come without a newcomer: answers, messages, and the stages of the stream.
std::size_t actions_to_come(const mrd_fsm& m, std::size_t max_per_message) {
    std::size_t out = (queued(m) + max_per_message - 1) / max_per_message;
    for (const auto& r : m.ranges()) {
        out += r.state == range_state::queued || r.state == range_state::sent ? 1 : 0;
    }
    out += m.state() == mrd_state::fresh ? 1 : 0;    // start_call
    out += m.state() <= mrd_state::opening ? 1 : 0;  // opened
    out += m.state() < mrd_state::closing ? 1 : 0;   // cancel_call
    out += m.state() <= mrd_state::closing ? 1 : 0;  // ended
    return out;
}

}  // namespace

mrd_model::state mrd_model::initial() const {
    state s(max_per_message);
    s.adds = ranges;
    return s;
}

void mrd_model::events(const state& s, std::vector<event>& out) const {
    const auto at = s.machine.state();
    if (!s.queue.empty()) out.push_back({kind::perform});
    if (at == mrd_state::fresh) out.push_back({kind::open});
    if (s.adds > 0) {
        out.push_back({kind::add, false, 0, 1});
        out.push_back({kind::add, false, 0, 2});
    }
    if (at < mrd_state::closing) {
        out.push_back({kind::close});
        out.push_back({kind::close_with});
    }
    for (const range& r : s.ranges) {
        const bool known = find(s.machine, r.id) != nullptr;
        if (known) out.push_back({kind::cancel, false, 0, 0, r.id});  // more than once, and too late, too
    }
    if (s.copying != 0) {
        out.push_back({kind::copied});
        out.push_back({kind::damaged});
    }
    if (!s.started || s.over) return;
    if (s.writing) out.push_back({kind::write_done});
    out.push_back({s.cancelled ? kind::call_ended : kind::call_broke});
    if (s.copying != 0) return;  // one chunk after the other
    if (!s.responded) {
        out.push_back({kind::response});
        return;
    }
    out.push_back({kind::chunk, true, 0, 1, unknown_id});
    for (const range& r : s.ranges) {
        const auto rest = static_cast<std::uint8_t>(r.length - r.sent);
        if (!r.asked || r.over) {
            out.push_back({kind::chunk, true, 0, 1, r.id});  // before it was asked for, or after it was over
            continue;
        }
        for (const bool end : {false, true}) {
            for (std::uint8_t size = end ? 0 : 1; size <= rest; ++size) {
                out.push_back({kind::chunk, end, 0, size, r.id});
            }
            out.push_back({kind::chunk, end, 0, static_cast<std::uint8_t>(rest + 1), r.id});
            out.push_back({kind::chunk, end, 1, 1, r.id});
            out.push_back({kind::chunk, end, -1, 1, r.id});
        }
    }
}

void mrd_model::send_chunk(state& s, const event& e, mrd_actions& out) const {
    range* const r = find(s, e.id);
    const auto* const known = find(s.machine, e.id);
    const bool live = known != nullptr && known->state == range_state::sent;
    const std::uint64_t received = live ? known->received : 0;
    const std::uint64_t due = offset_of(e.id) + (r != nullptr ? r->sent : 0U);
    const std::int64_t offset = static_cast<std::int64_t>(due) + e.offset;
    const bool fits = e.size == 0 || (e.offset == 0 && live && offset_of(e.id) + received == due &&
                                      received + e.size <= known->length);
    // A service may guess the id of a range that is in a message which has not been sent: no harm in
    // believing it.
    if (r != nullptr && (r->asked || live) && !r->over) {
        r->right = r->right && fits;
        if (e.end) {
            r->over = true;
            r->cut = r->sent + e.size < r->length;
        }
        if (e.offset == 0) r->sent = static_cast<std::uint8_t>(std::min<int>(r->sent + e.size, r->length));
    }
    const auto verdict = s.machine.begin_chunk(e.id, offset, e.size, e.end, out);
    require(s, verdict.accept == (live && fits), fits ? s1_routing : s4_right_bytes);
    if (!verdict.accept) return;
    require(s, verdict.cookie == static_cast<std::uintptr_t>(e.id), s1_routing);
    require(s, verdict.position == received, s4_right_bytes);
    s.copying = e.id;
    s.copy_size = e.size;
}

void mrd_model::end_chunk(state& s, bool damaged, mrd_actions& out) const {
    const std::int64_t id = std::exchange(s.copying, 0);
    range* const r = find(s, id);
    if (damaged) {
        r->right = false;
    } else {
        r->good = static_cast<std::uint8_t>(r->good + s.copy_size);
    }
    s.machine.end_chunk(id, damaged ? failure(errc::data_corrupted) : failure(), out);
}

void mrd_model::feed(state& s, const event& e, mrd_actions& out) const {
    mrd_fsm& m = s.machine;
    switch (e.what) {
        case kind::open: m.open(out); break;
        case kind::add: {
            --s.adds;
            range r;
            r.id = ranges - s.adds;
            r.length = e.size;
            r.stopped = m.state() >= mrd_state::closing;
            s.ranges.push_back(r);
            const auto id = m.add_range(static_cast<std::uintptr_t>(r.id), offset_of(r.id), r.length, out);
            require(s, id == (r.stopped ? 0 : r.id), s1_routing);
            break;
        }
        case kind::cancel:
            if (range* const r = find(s, e.id); !r->answered) r->stopped = true;
            m.cancel_range(e.id, errc::timed_out, out);
            break;
        case kind::close:
        case kind::close_with:
            (e.what == kind::close ? s.closed_in_order : s.failed) = true;
            for (range& r : s.ranges) r.stopped = true;
            m.close(errc::stream_closed, e.what == kind::close ? failure() : failure(errc::shut_down), out);
            break;
        case kind::response:
            s.responded = true;
            m.response(out);
            break;
        case kind::chunk: send_chunk(s, e, out); break;
        case kind::copied: end_chunk(s, false, out); break;
        case kind::damaged: end_chunk(s, true, out); break;
        case kind::write_done:
            s.writing = false;
            m.write_done(out);
            break;
        case kind::call_broke:
        case kind::call_ended:
            s.over = true;
            if (!s.closed_in_order) s.failed = true;
            for (range& r : s.ranges) r.stopped = true;
            m.call_ended({}, out);
            break;
        case kind::perform: break;
    }
}

void mrd_model::check_actions(const mrd_fsm& before, const event& e, const mrd_actions& out, state& s) const {
    const mrd_fsm& m = s.machine;
    for (const mrd_action& a : out) {
        require(s, !s.ended || e.what == kind::add, end_last);  // refused ranges are answered still
        switch (a.kind) {
            case mrd_action_kind::start_call:
            case mrd_action_kind::write:
                require(s, !before.writing() || e.what == kind::write_done, s2_queue);
                require(s, m.message().size() <= max_per_message, s2_message);
                if (a.kind == mrd_action_kind::start_call) {
                    require(s, m.message().size() == std::min(queued(before), max_per_message), s3_opening);
                } else {
                    require(s, !m.message().empty(), s2_queue);
                }
                for (const auto& w : m.message()) {
                    const range* const r = find(s, w.read_id);
                    require(s, r != nullptr && !r->asked && !r->answered && w.length == r->length, s5_zero);
                }
                s.on_wire = m.message();
                break;
            case mrd_action_kind::complete: {
                range* const r = find(s, static_cast<std::int64_t>(a.cookie));
                require(s, r != nullptr && !r->answered, answers);
                if (r == nullptr) break;
                r->answered = true;
                require(s, s.copying != r->id, answers);
                require(s, a.received == r->good, s4_right_bytes);
                require(s, (a.received == r->length) <= !a.why, s5_complete);
                if (!a.why && a.received < r->length) require(s, r->cut && r->right, s6_short);
                if (a.why && !r->stopped) require(s, !r->right, s4_right_bytes);
                const bool own = r->stopped || r->id == e.id || find(before, r->id) == nullptr ||
                                 find(before, r->id)->copying;
                require(s, own, s4_neighbours);
                break;
            }
            case mrd_action_kind::ended:
                s.ended = true;
                require(s, s.copying == 0, end_last);
                require(s, std::ranges::all_of(s.ranges, &range::answered), end_last);
                require(s, static_cast<bool>(a.why) == s.failed, end_last);
                break;
            case mrd_action_kind::opened:
            case mrd_action_kind::cancel_call: break;
        }
    }
    if (e.what == kind::cancel) {
        const auto* const was = find(before, e.id);
        const range* const r = find(s, e.id);
        require(s, was == nullptr || was->copying || r->answered, s8_cancel);
    }
    const std::size_t newcomer = e.what == kind::add ? 2 : 0;
    require(
        s,
        actions_to_come(m, max_per_message) + out.size() <=
            actions_to_come(before, max_per_message) + newcomer,
        memory
    );
    require(s, actions_to_come(m, max_per_message) <= m.action_bound(), memory);
}

void mrd_model::check_state(state& s) const {
    const mrd_fsm& m = s.machine;
    const bool sends = m.state() == mrd_state::opening || m.state() == mrd_state::ready;
    require(s, !sends || m.writing() || queued(m) == 0, s2_queue);
    require(s, !m.writing() || std::ranges::equal(m.message(), s.on_wire), s2_message);
    std::uint64_t outstanding = 0;
    for (const auto& r : m.ranges()) {
        if (r.state != range_state::queued && r.state != range_state::sent) continue;
        outstanding += r.length - r.received;
        const range* const known = find(s, r.read_id);
        require(s, known != nullptr && !known->answered, answers);
        require(s, r.received < r.length, s5_complete);
    }
    require(s, m.outstanding_bytes() == outstanding, balance);
    bool waiting = false;
    for (const range& r : s.ranges) {
        if (r.answered) continue;
        waiting = true;
        require(s, find(m, r.id) != nullptr, answers);
        const bool lost = r.stopped && s.copying != r.id;
        require(s, !lost, s8_cancel);
    }
    const bool moving =
        !s.queue.empty() || m.state() == mrd_state::fresh || (s.started && !s.over) || s.copying != 0;
    require(s, moving || !waiting, wake_up);
}

// What the shell does; see grpc_transport::mrd::perform().
void mrd_model::perform(state& s, const mrd_action& a) const {
    switch (a.kind) {
        case mrd_action_kind::start_call: s.started = true; [[fallthrough]];
        case mrd_action_kind::write:
            s.writing = true;
            for (const auto& w : s.machine.message()) find(s, w.read_id)->asked = true;
            break;
        case mrd_action_kind::cancel_call: s.cancelled = true; break;
        case mrd_action_kind::complete:
        case mrd_action_kind::opened:
        case mrd_action_kind::ended: break;
    }
}

void mrd_model::apply(state& s, const event& e) const {
    s.broken = 0;
    if (e.what == kind::perform) {
        const mrd_action a = s.queue.front();
        s.queue.erase(s.queue.begin());
        perform(s, a);
    } else {
        const mrd_fsm before = s.machine;
        mrd_actions out;
        feed(s, e, out);
        check_actions(before, e, out, s);
        if (late) {
            s.queue.insert(s.queue.end(), out.begin(), out.end());
        } else {
            for (const mrd_action& a : out) perform(s, a);
        }
    }
    check_state(s);
}

std::string mrd_model::name(const event& e) const {
    switch (e.what) {
        case kind::open: return "the owner opens the stream";
        case kind::add: return fmt::format("a range of {} is added", e.size);
        case kind::cancel: return fmt::format("range {} is cancelled", e.id);
        case kind::close: return "the owner closes the stream";
        case kind::close_with: return "the owner ends the stream with a failure";
        case kind::perform: return "the shell performs the next action";
        case kind::response: return "the first response comes";
        case kind::chunk:
            return fmt::format(
                "{} bytes come for range {}{}{}",
                e.size,
                e.id,
                e.offset == 0 ? "" : " at a wrong offset",
                e.end ? ", with range_end" : ""
            );
        case kind::copied: return "the copy is over";
        case kind::damaged: return "the copy is over, the checksum is wrong";
        case kind::write_done: return "the message has been written";
        case kind::call_broke: return "the call ends";
        case kind::call_ended: return "the call ends as it was told";
    }
    return {};
}

// Ranges that the machine has forgotten behave all alike, like an id that was never given out.
std::string mrd_model::key(const state& s) const {
    const mrd_fsm& m = s.machine;
    std::string out;
    const auto put = [&out](auto value) { out.push_back(static_cast<char>(value)); };
    put(m.state());
    put(s.adds);
    put(s.copy_size * (s.copying != 0));
    put(s.started * 32 + s.writing * 16 + s.responded * 8 + s.cancelled * 4 + s.over * 2 + m.writing());
    put(s.closed_in_order * 4 + s.failed * 2 + s.ended);
    for (const auto& r : m.ranges()) {
        if (r.state == range_state::forgotten) continue;
        const auto known = std::ranges::find(s.ranges, r.read_id, &range::id);
        put(r.state);
        put(r.length * 16 + r.received);
        put(r.copying * 4 + r.ending * 2 + static_cast<bool>(r.verdict));
        put(known->sent);
        put(known->asked * 32 + known->over * 16 + known->cut * 8 + known->right * 4 + known->stopped * 2 +
            known->answered);
        put(std::ranges::count(s.on_wire, r.read_id, &fsm::wire_range::read_id));
    }
    put('/');
    for (const mrd_action& a : s.queue) put(a.kind);
    return out;
}

std::vector<testing::state_rule<mrd_model::state>> mrd_model::rules() const {
    std::vector<testing::state_rule<state>> out;
    for (std::uint32_t n = 0; n < rule_count; ++n) {
        out.push_back({rule_names.at(n), [n](const state& s) { return (s.broken >> n & 1) == 0; }});
    }
    return out;
}

std::vector<testing::state_goal<mrd_model::state>> mrd_model::goals() const {
    const auto over = [](const state& s) {
        const bool all = std::ranges::all_of(s.ranges, &range::answered);
        const bool closing = s.closed_in_order || s.failed;
        return all && s.queue.empty() && (!closing || s.ended);
    };
    return {
        {"liveness: once faults stop every range is answered and every stream that closes ends",
         over,
         testing::state_goal<state>::strength::certain}
    };
}

// The service sends what is due, the shell and the owner do their part.
bool mrd_model::fair(const event& e) const {
    switch (e.what) {
        case kind::open:
        case kind::perform:
        case kind::response:
        case kind::copied:
        case kind::write_done:
        case kind::call_ended: return true;
        case kind::chunk: return e.offset == 0 && e.size == 1 && !e.end && e.id != unknown_id;
        default: return false;
    }
}

}  // namespace rangeio::states
