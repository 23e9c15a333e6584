#include "states/mrd_rules.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace rangeio::states {

using fsm::mrd_action;
using fsm::mrd_action_kind;
using fsm::mrd_actions;
using fsm::mrd_fsm;
using fsm::mrd_state;
using fsm::range_state;
using kind = mrd_model::kind;
using range = mrd_model::range;
using rule = mrd_rule;
using sequel = mrd_model::sequel;
using state = mrd_model::state;

namespace {

constexpr std::array<const char*, static_cast<std::size_t>(rule::count)> rule_names{
    "S1: chunks reach the range that they name, at any time, unknown ones are dropped",
    "S2: ranges queue while a message is written, and leave with the next one",
    "S2: a message is no longer than allowed",
    "S3, S7: the first message of a call has the ranges that are there, as many as are allowed",
    "S4: only bytes at the right offset, within the range, and undamaged count",
    "S4: what is wrong with one range is not its neighbours' business",
    "S4: a range fails for rejected chunks only after its tries, and then it does",
    "S5: a range is complete with its last byte, and only then",
    "S5: a remaining length of zero is never sent, and no range twice on a call",
    "S6: fewer bytes without an error only if the service said that the range was over",
    "S7: a range is asked for from its last good byte to its end",
    "S7: one call at a time, and what belongs to one does not reach the next",
    "S7: after a call comes what the policy says: another at once or after a wait, sleep, or failure",
    "S7: the owner hears of reconnecting, then of the end of it, in turn",
    "S7: a stream sleeps without ranges, without a call, and open as far as its owner knows",
    "S7: a call that has to bring a stream back is given up with the last range",
    "S8: a cancelled range answers at once, or when the copy that is under way is over",
    "S8: orphan bytes are those that the call still owes; too many end the call, and no others do",
    "S9: a call is given up when nothing came between two looks and its connection says so, and only then",
    "S10: a range that the service names fails with what it says, the others do not",
    "S10: where a range is refused without a name half as many go on together, until the one that is alone "
    "fails",
    "S12: a tail is asked for from the end until a byte has come, then from where that lay, and told so",
    "P14: a call that serves knows of every byte that its owner knows of; one that does not is given up, and "
    "no other",
    "P14: a tail is not taken from a call that reports less than was known before it began",
    "every range is answered once, and not during a copy",
    "the end of the stream is told once, last, and only if nothing is left",
    "the outstanding bytes are those of the ranges that are not answered",
    "memory: what may happen before the next newcomer was allowed for by the last one",
    "the timers are set while a stream waits, or is watched, and not longer",
    "liveness: whoever waits has somebody who will wake them",
};

/// Which timer the shell will have when everything that is queued has been performed.
fsm::timer_id timer_to_be(const state& s, fsm::timer_id now, mrd_action_kind sets, mrd_action_kind cancels) {
    for (const mrd_action& a : s.queue) {
        if (a.kind == sets) now = a.timer;
        // The timer has expired, and the decision is being queried.
        if (a.kind == mrd_action_kind::classify_silence && sets == mrd_action_kind::set_stall_timer)
            now = a.timer;
        if (a.kind == cancels || a.kind == mrd_action_kind::ended) now = 0;
    }
    return now;
}

bool has(const mrd_actions& out, mrd_action_kind what) {
    return std::ranges::any_of(out, [what](const mrd_action& a) { return a.kind == what; });
}

void check_answer(
    const mrd_model& model, const mrd_fsm& before, const mrd_model::event& e, const mrd_action& a, state& s
) {
    range* const r = find(s, a.number);
    require(s, r != nullptr && !r->answered, rule::answers);
    if (r == nullptr) return;
    r->answered = true;
    require(s, a.sink == sink_of(a.number), rule::s1_routing);
    require(s, s.copying != r->number, rule::answers);
    require(s, a.received == r->good, rule::s4_right_bytes);
    require(s, (a.received == r->length) <= !a.why, rule::s5_complete);
    require(s, r->stopped || a.offset == (r->placed ? r->base : 0), rule::s12_tail);
    if (!a.why && a.received < r->length) require(s, r->cut && r->right, rule::s6_short);
    const bool tried = r->bad > model.bad_limit;
    if (a.why && !r->stopped && !r->refused) require(s, tried, rule::s4_tries);
    if (r->refused && !r->stopped) require(s, a.why.code() == errc::range_not_satisfiable, rule::s10_named);
    const auto* const was = find(before, r->number);
    const bool own = r->stopped || r->refused || r->number == e.number || was == nullptr || was->copying;
    require(s, own, rule::s4_neighbours);
}

void check_sequel(const mrd_fsm& before, const mrd_actions& out, state& s) {
    const bool holds = [&] {
        switch (s.expected) {
            case sequel::none: return true;
            case sequel::call: return has(out, mrd_action_kind::start_call);
            case sequel::wait: return has(out, mrd_action_kind::wait);
            case sequel::sleep: return s.machine.state() == mrd_state::dormant;
            case sequel::fail: return has(out, mrd_action_kind::ended);
        }
        return false;
    }();
    require(s, holds, rule::s7_policy);
    if (before.state() != mrd_state::closing && has(out, mrd_action_kind::ended)) {
        require(s, s.expected == sequel::fail || s.closed_in_order || s.failed, rule::s7_policy);
    }
}

void check_given_up(const mrd_fsm& before, const mrd_model::event& e, const mrd_actions& out, state& s) {
    const bool cancels = has(out, mrd_action_kind::cancel_call);
    const bool closes = e.what == kind::close || e.what == kind::close_with;
    const bool had = before.call() == mrd_fsm::call_state::there;
    if (e.what == kind::check || e.what == kind::check_slow || e.what == kind::check_crowded) {
        const bool meant = before.stall_timer() != 0 && before.stall_timer() != s.machine.stall_timer();
        const bool asks = has(out, mrd_action_kind::classify_silence);
        require(s, !cancels && asks == (meant && had && !s.moved), rule::s9_stall);
    } else if (e.what == kind::judged) {
        // see mrd_model::perform()
    } else if (e.what == kind::response || e.what == kind::require) {
        const bool answered = e.what == kind::response || before.state() == mrd_state::ready;
        require(s, cancels == (had && answered && s.seen < s.required), rule::p14_size);
        const auto fate =
            e.what == kind::response && s.outdated() ? fsm::call_fate::outdated : fsm::call_fate::reopened;
        require(s, !cancels || s.machine.fate() == fate, rule::p14_size);
    } else if (e.what == kind::reopen) {
        require(s, cancels == (had && before.has_opened()), rule::s7_single_flight);
    } else if (cancels && !closes && e.what != kind::memory_runs_out) {
        const bool useless = before.state() == mrd_state::reopening && before.told_reconnecting() &&
                             s.machine.outstanding_bytes() == 0;
        const bool many = s.machine.orphans_due() > mrd_model::orphan_limit ||
                          s.machine.orphan_ranges_due() > mrd_model::orphan_range_limit;
        require(s, useless || many, rule::s8_orphans);
    }
    if (closes) require(s, cancels == had, rule::s7_single_flight);
}

}  // namespace

std::string rule_name(rule r) {
    return rule_names.at(static_cast<std::size_t>(r));
}

range* find(state& s, std::int64_t number) {
    const auto it = std::ranges::find(s.ranges, number, &range::number);
    return it == s.ranges.end() ? nullptr : &*it;
}

const fsm::stream_range* find(const mrd_fsm& m, std::int64_t number) {
    const auto it = std::ranges::find_if(m.ranges(), [number](const fsm::stream_range& r) {
        return r.number == number && r.state != range_state::forgotten;
    });
    return it == m.ranges().end() ? nullptr : &*it;
}

void check_step(
    const mrd_model& model, const mrd_fsm& before, const mrd_model::event& e, const mrd_actions& out, state& s
) {
    for (const mrd_action& a : out) {
        require(s, !s.ended || e.what == kind::add, rule::end_last);  // refused ranges are answered still
        if (a.kind == mrd_action_kind::complete) check_answer(model, before, e, a, s);
        if (a.kind != mrd_action_kind::ended) continue;
        s.ended = true;
        require(s, s.copying == 0 && !s.call, rule::end_last);
        require(s, std::ranges::all_of(s.ranges, &range::answered), rule::end_last);
        require(s, static_cast<bool>(a.why) == s.failed, rule::end_last);
    }
    check_sequel(before, out, s);
    check_given_up(before, e, out, s);
    if (e.what == kind::cancel) {
        const auto* const was = find(before, e.number);
        require(s, was == nullptr || was->copying || find(s, e.number)->answered, rule::s8_cancel);
    }
    for (const range& r : s.ranges) {
        if (r.refused) require(s, r.answered, rule::s10_named);
        if (r.bad > model.bad_limit) require(s, r.answered, rule::s4_tries);
    }
    const std::size_t newcomer = e.what == kind::add ? 1 : 0;
    require(s, out.size() <= before.action_bound() + newcomer, rule::memory);
}

void check_state(const mrd_model& model, state& s) {
    const mrd_fsm& m = s.machine;
    const bool there = m.call() == mrd_fsm::call_state::there;
    const auto queued = std::ranges::count(m.ranges(), range_state::queued, &fsm::stream_range::state);
    const auto under_way = std::ranges::count_if(m.ranges(), &fsm::stream_range::under_way);
    const bool full = std::cmp_greater_equal(under_way, m.most_under_way());
    require(s, !there || queued == 0 || full || m.wire() != mrd_fsm::wire_state::free, rule::s2_queue);
    require(s, m.most_under_way() > 0, rule::s10_unnamed);
    require(s, m.message().size() <= model.max_per_message, rule::s2_message);
    require(s, s.call == (there || m.call() == mrd_fsm::call_state::given_up), rule::s7_single_flight);
    require(
        s, m.reconnect().attempts() == s.attempts && m.reconnect().redirects() == s.redirects, rule::s7_policy
    );

    require(s, !s.call || m.reconnect().moved() == s.progress, rule::s7_policy);
    require(s, !there || m.stall_timer() == 0 || m.moved() == s.moved, rule::s9_stall);

    std::uint64_t outstanding = 0;
    std::uint64_t orphans = 0;
    std::size_t names = 0;
    bool pending = false;
    for (const auto& r : m.ranges()) {
        orphans += r.orphans;
        names += r.stale;
        if (r.state == range_state::orphaned && r.asks == 0) {
            const range* const known = find(s, r.number);
            const int owed = known->length - known->sent;
            require(s, !known->right || static_cast<int>(r.orphans) == owed, rule::s8_orphans);
        }
        if (!r.pending()) continue;
        pending = true;
        outstanding += r.length - r.received;
        const range* const known = find(s, r.number);
        require(s, known != nullptr && !known->answered, rule::answers);
        require(s, known->stopped || r.bad == known->bad, rule::s4_tries);
        require(s, r.received < r.length, rule::s5_complete);
    }
    require(s, m.outstanding_bytes() == outstanding, rule::balance);
    require(s, m.orphans_due() == orphans, rule::s8_orphans);
    require(s, m.orphan_ranges_due() == names, rule::s8_orphans);
    const bool bearable = orphans <= mrd_model::orphan_limit && names <= mrd_model::orphan_range_limit;
    require(s, !there || bearable, rule::s8_orphans);

    require(s, !there || !s.answers || s.seen >= s.required, rule::p14_size);

    const bool sleeps = m.state() == mrd_state::dormant;
    require(s, !sleeps || (!pending && !s.call && !m.told_reconnecting()), rule::s7_sleep);
    const bool brings_back = m.state() == mrd_state::reopening && m.told_reconnecting();
    require(s, !brings_back || !there || pending, rule::s7_useless);
    const bool waits = m.state() == mrd_state::waiting;
    const auto wait_timer = timer_to_be(s, s.wait_timer, mrd_action_kind::wait, mrd_action_kind::cancel_wait);
    const auto stall_timer =
        timer_to_be(s, s.stall_timer, mrd_action_kind::set_stall_timer, mrd_action_kind::cancel_stall_timer);
    require(s, waits == (m.wait_timer() != 0) && wait_timer == m.wait_timer(), rule::timers);
    require(s, stall_timer == m.stall_timer(), rule::timers);
    const bool due = pending || !m.has_opened();
    require(s, !model.stalls || !there || !due || m.stall_timer() != 0, rule::timers);
    // A timer without need would keep a context running that has nothing else to do.
    require(s, due || m.stall_timer() == 0, rule::timers);
    // The room depends on the queue at the arrival of the last range, so on the way into a state, and is not in its
    // key. With two ranges the queue fits into the least room that each new range reserves, which is required here;
    // with three it need not, and the room of the first way there is required.
    const std::size_t least = m.action_bound() - m.ranges().size() + 4;
    const std::size_t room = model.ranges < 3 ? least : s.room;
    require(s, s.queue.size() <= room, rule::memory);
    bool unanswered = false;
    for (const range& r : s.ranges) {
        if (r.answered) continue;
        unanswered = true;
        require(s, find(m, r.number) != nullptr, rule::answers);
        require(s, !r.stopped || s.copying == r.number, rule::s8_cancel);
    }
    const bool moving =
        !s.queue.empty() || m.state() == mrd_state::fresh || s.call || s.wait_timer || s.copying != 0;
    require(s, moving || !unanswered, rule::wake_up);
}

}  // namespace rangeio::states
