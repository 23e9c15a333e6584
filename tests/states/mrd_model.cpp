#include "states/mrd_model.hpp"

#include "states/mrd_rules.hpp"
#include "support/named_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace rangeio::states {

using fsm::mrd_action;
using fsm::mrd_action_kind;
using fsm::mrd_actions;
using fsm::mrd_fsm;
using fsm::mrd_state;
using fsm::range_state;
using rule = mrd_rule;

namespace {

constexpr std::int64_t unknown_number = 99;
constexpr std::uint64_t growth = 5;
constexpr unsigned attempt_limit = 1;
constexpr unsigned redirect_limit = 1;

const error_value gone(error_code(14, grpc_category()), "");
const error_value cancelled(error_code(1, grpc_category()), "");
const error_value aborted(error_code(10, grpc_category()), "");
const error_value denied(errc::permission_denied, "", error_class::denied);
const error_value past_the_end(errc::range_not_satisfiable, "", error_class::out_of_range);

std::uint64_t offset_of(std::int64_t number) {
    return 10 * static_cast<std::uint64_t>(number);
}

fsm::time_point at(bool aged) {
    return fsm::time_point() + std::chrono::seconds(aged ? 1 : 0);
}

}  // namespace

// The pointers own nothing, so that a copy of a state counts no references.
std::shared_ptr<range_sink> sink_of(std::int64_t number) {
    static std::array<support::named_sink, 10> sinks{
        support::named_sink(0),
        support::named_sink(1),
        support::named_sink(2),
        support::named_sink(3),
        support::named_sink(4),
        support::named_sink(5),
        support::named_sink(6),
        support::named_sink(7),
        support::named_sink(8),
        support::named_sink(9),
    };
    return {std::shared_ptr<void>(), &sinks.at(static_cast<std::size_t>(number))};
}

mrd_fsm::options mrd_model::options() const {
    mrd_fsm::options out;
    out.retry = retry_policy()
                    .attempts(attempt_limit)
                    .open_attempts(attempt_limit + 1)
                    .max_redirects(redirect_limit)
                    .range_attempts(bad_limit)
                    .max_orphan_bytes(orphan_limit)
                    .max_orphan_ranges(orphan_range_limit)
                    .budget(std::chrono::seconds(aging ? 1 : 0))
                    .stall_timeout(std::chrono::seconds(stalls ? 1 : 0));
    out.max_per_message = max_per_message;
    return out;
}

mrd_model::state mrd_model::initial() const {
    state s(options());
    s.adds = ranges;
    s.room = s.machine.action_bound() + 4;
    return s;
}

void mrd_model::events(const state& s, std::vector<event>& out) const {
    const auto at = s.machine.state();
    if (!s.queue.empty()) out.push_back({kind::perform});
    const bool unopened = at == mrd_state::closing && s.machine.call() == mrd_fsm::call_state::none;
    if (at == mrd_state::fresh || unopened) out.push_back({kind::open});
    if (s.adds > 0) {
        for (std::uint8_t length = 1; length <= max_length; ++length) {
            out.push_back({kind::add, false, 0, length});
            if (tails) out.push_back({kind::add, true, 0, length});
        }
    }
    if (at < mrd_state::closing) {
        out.push_back({kind::close});
        out.push_back({kind::close_with});
        if (reopens) out.push_back({kind::reopen});
    }
    if (tails && !s.grown) out.push_back({kind::grow});
    if (sizes && at < mrd_state::closing) {
        for (auto size = static_cast<std::uint8_t>(s.required + 1); size <= max_size; ++size) {
            out.push_back({kind::require, false, 0, size});
        }
    }
    for (const range& r : s.ranges) {
        const bool known = find(s.machine, r.number) != nullptr;
        if (known) out.push_back({kind::cancel, false, 0, 0, r.number});  // more than once, and too late, too
    }
    if (s.wait_timer != 0) out.push_back({kind::wait_timer});
    if (s.stall_timer != 0) {
        out.push_back({kind::check});
        if (connections) out.push_back({kind::check_slow});
        if (connections) out.push_back({kind::check_crowded});
    }
    if (aging && !s.aged) out.push_back({kind::time_passes});
    if (memory_fails && !s.memory_failed) out.push_back({kind::memory_runs_out});
    if (s.copying != 0) {
        out.push_back({kind::copied});
        if (rejected_chunks) out.push_back({kind::damaged});
    }
    if (s.call) call_events(s, out);
}

void mrd_model::call_events(const state& s, std::vector<event>& out) const {
    if (s.writing) out.push_back({kind::write_done});
    if (s.copying != 0) return;  // one chunk after the other, and the end is last
    if (s.cancelled) out.push_back({kind::call_cancelled});
    out.push_back({kind::broke});  // though it has been cancelled, too: that may come too late
    out.push_back({kind::broke_for_good});
    if (!s.machine.has_opened()) out.push_back({kind::broke_aborted});  // later it is as `broke`
    out.push_back({kind::broke_well});
    if (connections && !s.answers) out.push_back({kind::unconnected});
    out.push_back({kind::redirected});
    int asked = 0;
    for (const range& r : s.ranges) {
        if (!names || !r.asked || find(s.machine, r.number) == nullptr) continue;
        ++asked;
        out.push_back({kind::names_failed, false, 0, 0, r.number});
        out.push_back({kind::names_excused, false, 0, 0, r.number});
    }
    if (asked > 1) out.push_back({kind::names_all});
    if (unnamed) out.push_back({kind::refuses_unnamed});
    if (!s.answers) {
        out.push_back({kind::response});
        for (std::uint8_t size = 1; sizes && size <= max_size; ++size) {
            out.push_back({kind::response, false, 0, size});
        }
        return;
    }
    out.push_back({kind::chunk, true, 0, 1, unknown_number});
    for (const range& r : s.ranges) range_events(s, r, out);
}

void mrd_model::range_events(const state& s, const range& r, std::vector<event>& out) const {
    const auto rest = static_cast<std::uint8_t>(r.length - r.sent);
    if (r.asks > 0 && find(s.machine, r.number) != nullptr) {
        for (const bool end : {false, true}) out.push_back({kind::stale_chunk, end, 0, 1, r.number});
    }
    if (!r.asked || r.over) {
        out.push_back({kind::chunk, true, 0, 1, r.number});  // before it was asked for, or after it was over
        return;
    }
    for (const bool end : {false, true}) {
        for (std::uint8_t size = end ? 0 : 1; size <= rest; ++size) {
            out.push_back({kind::chunk, end, 0, size, r.number});
        }
        if (!rejected_chunks) continue;
        out.push_back({kind::chunk, end, 0, static_cast<std::uint8_t>(rest + 1), r.number});
        if (!r.placed) continue;  // wherever the first bytes of a tail come from, there it begins
        out.push_back({kind::chunk, end, 1, 1, r.number});
        out.push_back({kind::chunk, end, -1, 1, r.number});
    }
}

void mrd_model::send_chunk(state& s, const event& e, mrd_actions& out) const {
    range* const r = find(s, e.number);
    const auto* const known = find(s.machine, e.number);
    if (e.what == kind::stale_chunk) {
        const std::int64_t id = e.number + ((std::int64_t{r->asks} - 1) << 40);
        const auto verdict = s.machine.begin_chunk(id, 0, e.size, e.end, out);
        require(s, !verdict.accept, rule::s1_routing);
        return;
    }
    const bool live = known != nullptr && known->state == range_state::sent;
    const std::uint64_t received = live ? known->received : 0;
    const std::uint64_t due = r != nullptr ? r->base + r->sent : offset_of(e.number);
    const std::int64_t offset = static_cast<std::int64_t>(due) + e.offset;
    if (live && !r->placed && s.outdated()) {
        // Its end of the object is not the end.
        const auto verdict = s.machine.begin_chunk(r->read_id(), offset, e.size, e.end, out);
        require(s, !verdict.accept && !verdict.why, rule::p14_tail);
        r->right = false;
        r->over = r->over || e.end;
        r->sent = static_cast<std::uint8_t>(std::min<int>(r->sent + e.size, r->length));
        return;
    }
    const bool in_place = e.offset == 0 && live && (!r->placed || r->base + received == due);
    const bool fits = e.size == 0 ? e.offset == 0 : in_place && received + e.size <= known->length;
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
    if (live && !fits) ++r->bad;
    const std::int64_t id = r != nullptr ? r->read_id() : e.number;
    const auto verdict = s.machine.begin_chunk(id, offset, e.size, e.end, out);
    require(s, verdict.accept == (live && fits), fits ? rule::s1_routing : rule::s4_right_bytes);
    if (!verdict.accept) return;
    require(s, verdict.sink == sink_of(e.number).get(), rule::s1_routing);
    require(s, verdict.position == received, rule::s4_right_bytes);
    s.copying = e.number;
    s.copy_size = e.size;
    if (e.size > 0) s.moved = true;
}

void mrd_model::end_chunk(state& s, bool damaged, mrd_actions& out) const {
    const std::int64_t number = std::exchange(s.copying, 0);
    range* const r = find(s, number);
    if (damaged) {
        r->right = false;
        if (!r->stopped) ++r->bad;
    } else {
        r->good = static_cast<std::uint8_t>(r->good + s.copy_size);
        if (s.copy_size > 0) r->bad = 0;
        if (s.copy_size > 0) r->placed = true;
        if (!s.outdated() && (s.copy_size > 0 || find(s.machine, number)->ending)) {
            s.progress = true;
            s.attempts = s.redirects = 0;
            s.trying = false;
        }
    }
    s.machine.end_chunk(r->read_id(), damaged ? error_value(errc::data_corrupted) : error_value(), out);
}

// The decision of the policy, derived in another way than in reconnect_policy.
mrd_model::sequel mrd_model::judge(state& s, kind how) const {
    const bool opened = s.machine.has_opened();
    const auto fate = how == kind::call_cancelled ? s.machine.fate() : fsm::call_fate::broken;
    const bool given_up = fate == fsm::call_fate::stalled || fate == fsm::call_fate::out_of_memory ||
                          fate == fsm::call_fate::unwanted || fate == fsm::call_fate::outdated;
    const bool unexplained = how == kind::refuses_unnamed && s.under_way == 0;
    if (how == kind::broke_for_good || unexplained || (how == kind::broke_aborted && !opened))
        return sequel::fail;
    const bool our_loss = how == kind::broke || how == kind::broke_well || how == kind::unconnected ||
                          how == kind::names_excused || given_up;
    const bool nothing_to_do =
        opened && std::ranges::all_of(s.ranges, [](const range& r) { return r.answered || r.refused; });
    if (nothing_to_do && s.answers) {
        s.attempts = s.redirects = 0;
        s.trying = false;
    }
    if (nothing_to_do && (s.answers || !our_loss)) return sequel::sleep;
    if (how == kind::redirected) return ++s.redirects > redirect_limit ? sequel::fail : sequel::call;
    if (!our_loss) return sequel::call;
    // What ends a stream that was open is its budget of time, if it has one.
    const bool counts = how != kind::unconnected || !aging;
    if (s.attempts >= attempt_limit && counts && !(opened && aging)) return sequel::fail;
    const bool tries_on = std::exchange(s.trying, true);
    if (std::exchange(s.slept, false) || !tries_on) s.started_aged = s.aged;
    if (s.aged && !s.started_aged) return sequel::fail;
    if (counts) ++s.attempts;
    if (nothing_to_do) return sequel::sleep;
    if (how == kind::unconnected) return sequel::wait;
    return s.progress || fate == fsm::call_fate::stalled ? sequel::call : sequel::wait;
}

void mrd_model::end_call(state& s, const event& e, mrd_actions& out) const {
    std::vector<fsm::range_error> errors;
    const bool all = e.what == kind::names_all;
    for (range& r : s.ranges) {
        const bool named = e.what == kind::names_failed || e.what == kind::names_excused;
        if (!r.asked || !(all || (named && r.number == e.number))) continue;
        if (find(s.machine, r.number) == nullptr) continue;
        const bool refused = e.what != kind::names_excused;
        errors.push_back({r.read_id(), refused ? past_the_end : aborted});
        r.refused = refused && !r.answered;
    }
    s.under_way = std::ranges::count_if(s.machine.ranges(), &fsm::stream_range::under_way);
    if (e.what == kind::refuses_unnamed && s.under_way == 1) {
        const auto& one = *std::ranges::find_if(s.machine.ranges(), &fsm::stream_range::under_way);
        const bool as_asked = one.state == range_state::sent && one.stale == 0;
        if (range& r = *find(s, one.number); as_asked) r.refused = !r.answered;
    }
    const bool closing = s.machine.state() == mrd_state::closing;
    s.expected = closing ? sequel::none : judge(s, e.what);
    if (s.expected == sequel::fail) {
        s.failed = true;
        for (range& r : s.ranges) r.stopped = r.stopped || !r.refused;
    }
    s.call = s.writing = s.cancelled = s.answers = s.progress = false;
    for (range& r : s.ranges) r.asked = r.over = r.cut = false;
    const auto why = [&]() -> error_value {
        switch (e.what) {
            case kind::call_cancelled: return cancelled;
            case kind::broke:
            case kind::unconnected: return gone;
            case kind::broke_for_good: return denied;
            case kind::broke_well: return {};
            case kind::names_failed:
            case kind::names_excused:
            case kind::names_all:
            case kind::refuses_unnamed: return past_the_end;
            default: return aborted;
        }
    }();
    const bool redirected = e.what == kind::redirected;
    s.machine.call_ended({why, redirected, errors, e.what == kind::unconnected, false}, at(s.aged), out);
    if (e.what == kind::refuses_unnamed && s.under_way > 1 && !closing) {
        const auto half = std::min(static_cast<std::size_t>(s.under_way / 2), max_per_message);
        require(s, s.machine.most_under_way() == half, rule::s10_unnamed);
    }
}

void mrd_model::feed(state& s, const event& e, mrd_actions& out) const {
    mrd_fsm& m = s.machine;
    switch (e.what) {
        case kind::open: m.open(out); break;
        case kind::add: {
            --s.adds;
            range r;
            r.number = ranges - s.adds;
            r.length = e.size;
            r.base = offset_of(r.number);
            r.tail = e.end;
            r.placed = !e.end;
            r.stopped = m.state() >= mrd_state::closing;
            s.slept = s.slept || m.state() == mrd_state::dormant;
            s.ranges.push_back(r);
            const auto number =
                m.add_range(sink_of(r.number), r.tail ? 0 : r.base, r.length, at(s.aged), out, r.tail);
            require(s, number == r.number, rule::s1_routing);
            break;
        }
        case kind::cancel:
            if (range* const r = find(s, e.number); !r->answered) r->stopped = true;
            m.cancel_range(e.number, errc::timed_out, out);
            break;
        case kind::close:
        case kind::close_with:
            (e.what == kind::close ? s.closed_in_order : s.failed) = true;
            for (range& r : s.ranges) r.stopped = true;
            m.close(
                errc::stream_closed, e.what == kind::close ? error_value() : error_value(errc::shut_down), out
            );
            break;
        case kind::reopen: m.reopen(out); break;
        case kind::grow: s.grown = true; break;
        case kind::require:
            s.required = e.size;
            m.require(e.size, out);
            break;
        case kind::wait_timer: m.wait_over(std::exchange(s.wait_timer, 0), out); break;
        case kind::check:
        case kind::check_slow:
        case kind::check_crowded:
            s.heard = e.what == kind::check        ? fsm::silence::stalled
                      : e.what == kind::check_slow ? fsm::silence::slow
                                                   : fsm::silence::crowded;
            m.check_stall(std::exchange(s.stall_timer, 0), out);
            break;
        case kind::time_passes: s.aged = true; break;
        case kind::memory_runs_out: s.memory_failing = s.memory_failed = true; break;
        case kind::response:
            s.answers = true;
            if (m.state() == mrd_state::opening) {
                s.progress = true;
                s.attempts = s.redirects = 0;
                s.trying = false;
            }
            if (e.size == 0) {
                m.response(out);
            } else {
                s.seen = e.size;
                m.response(e.size, out);
            }
            break;
        case kind::chunk:
        case kind::stale_chunk: send_chunk(s, e, out); break;
        case kind::copied: end_chunk(s, false, out); break;
        case kind::damaged: end_chunk(s, true, out); break;
        case kind::write_done:
            s.writing = false;
            m.write_done(out);
            break;
        case kind::call_cancelled:
        case kind::broke:
        case kind::broke_aborted:
        case kind::broke_for_good:
        case kind::broke_well:
        case kind::redirected:
        case kind::names_failed:
        case kind::names_excused:
        case kind::unconnected:
        case kind::names_all:
        case kind::refuses_unnamed: end_call(s, e, out); break;
        case kind::judged:
        case kind::perform: break;
    }
}

// What the shell does; see grpc_transport::mrd::perform().
void mrd_model::perform(state& s, const mrd_action& a) const {
    const bool memory_failing = s.memory_failing;
    mrd_actions out;
    switch (a.kind) {
        case mrd_action_kind::start_call: {
            require(s, !s.call && !s.writing, rule::s7_single_flight);
            if (!s.machine.begin_call(out)) break;
            s.call = true;
            s.seen = s.assumed = s.required;
            s.moved = true;
            std::size_t pending = 0;
            for (const auto& r : s.machine.ranges()) pending += r.pending() ? 1 : 0;
            require(
                s,
                s.machine.message().size() ==
                    std::min({pending, max_per_message, s.machine.most_under_way()}),
                rule::s3_first_message
            );
            ask(s);
            break;
        }
        case mrd_action_kind::write:
            if (!s.machine.begin_write()) break;
            require(s, s.call && !s.writing, rule::s7_single_flight);
            require(s, !s.machine.message().empty(), rule::s2_queue);
            ask(s);
            if (!std::exchange(s.memory_failing, false)) break;
            // Nothing leaves. A service that answers all the same has guessed the names.
            s.writing = false;
            s.machine.out_of_memory(out);
            break;
        case mrd_action_kind::cancel_call:
            if (!s.call) break;
            require(s, s.machine.call() == mrd_fsm::call_state::given_up, rule::s7_single_flight);
            s.cancelled = true;
            break;
        case mrd_action_kind::wait:
            if (std::exchange(s.memory_failing, false)) {
                s.machine.wait_over(a.timer, out);
            } else {
                s.wait_timer = a.timer;
            }
            break;
        case mrd_action_kind::set_stall_timer:
            if (std::exchange(s.memory_failing, false)) {
                s.machine.stall_timer_failed(a.timer, out);
            } else {
                s.stall_timer = a.timer;
            }
            break;
        case mrd_action_kind::classify_silence: {
            const bool meant =
                a.timer == s.machine.stall_timer() && s.machine.call() == mrd_fsm::call_state::there;
            s.machine.silence_classified(a.timer, s.heard, out);
            const bool gives_up =
                std::ranges::count(out, mrd_action_kind::cancel_call, &mrd_action::kind) != 0;
            require(s, gives_up == (meant && !s.moved), rule::s9_stall);
            break;
        }
        case mrd_action_kind::cancel_wait: s.wait_timer = 0; break;
        case mrd_action_kind::cancel_stall_timer: s.stall_timer = 0; break;
        case mrd_action_kind::ended: s.wait_timer = s.stall_timer = 0; break;
        case mrd_action_kind::opened:
            require(s, !s.opened, rule::s7_owner);
            s.opened = true;
            break;
        case mrd_action_kind::reconnecting:
        case mrd_action_kind::reconnected:
            require(
                s, s.opened && s.reconnecting == (a.kind == mrd_action_kind::reconnected), rule::s7_owner
            );
            s.reconnecting = !s.reconnecting;
            break;
        case mrd_action_kind::call_over:
        case mrd_action_kind::complete: break;
    }
    if (out.empty()) return;
    const bool memory_failed = memory_failing && !s.memory_failing;
    const kind what = memory_failed                                 ? kind::memory_runs_out
                      : a.kind == mrd_action_kind::classify_silence ? kind::judged
                                                                    : kind::perform;
    check_step(*this, s.machine, {what}, out, s);
    s.queue.insert(s.queue.end(), out.begin(), out.end());
}

void mrd_model::ask(state& s) const {
    s.writing = true;
    for (const auto& w : s.machine.message()) {
        range* const r = find(s, w.read_id & 0xff);
        require(s, r != nullptr && w.length > 0 && !r->asked && !r->answered, rule::s5_zero);
        if (r == nullptr) continue;
        if (!r->placed) {
            require(s, w.offset == -w.length && w.length == r->length, rule::s12_tail);
            r->base = offset_of(r->number) + (s.grown ? growth : 0);
        } else if (r->tail) {
            require(s, std::cmp_equal(w.offset, r->base + r->good), rule::s12_tail);
        }
        const std::uint64_t from = r->base + r->good;
        const bool at_its_place = !r->placed || std::cmp_equal(w.offset, from);
        const bool rest = at_its_place && w.length == r->length - r->good;
        require(s, rest && w.read_id == r->read_id(), rule::s7_last_good_byte);
        r->asked = true;
        r->over = r->cut = false;
        r->right = true;
        r->sent = r->good;
    }
}

void mrd_model::apply(state& s, const event& e) const {
    s.broken = 0;
    if (e.what != kind::perform) {
        const mrd_fsm before = s.machine;
        const fsm::timer_id stall_timer = s.stall_timer;
        if (e.what == kind::open || e.what == kind::add) s.room = s.queue.size() + before.action_bound() + 4;
        mrd_actions out;
        feed(s, e, out);
        // A range that is asked for again has another name from now on.
        for (range& r : s.ranges) {
            const auto* const known = find(s.machine, r.number);
            if (known == nullptr || known->asks == r.asks) continue;
            r.asks = known->asks;
            r.asked = r.over = r.cut = false;
        }
        check_step(*this, before, e, out, s);
        s.expected = sequel::none;
        // Only a fresh watch begins its time anew.
        const bool watches =
            std::ranges::find(out, mrd_action_kind::set_stall_timer, &mrd_action::kind) != out.end();
        const bool checked =
            e.what == kind::check || e.what == kind::check_slow || e.what == kind::check_crowded;
        if (checked && stall_timer == before.stall_timer()) {
            s.moved = false;
        } else if (watches) {
            s.moved = true;
        }
        s.queue.insert(s.queue.end(), out.begin(), out.end());
    }
    while (!s.queue.empty() && (!late || e.what == kind::perform)) {
        const mrd_action a = s.queue.front();
        s.queue.erase(s.queue.begin());
        perform(s, a);
        if (late) break;
    }
    check_state(*this, s);
}

std::string mrd_model::name(const event& e) const {
    const auto chunk = [&e](const char* what) {
        return fmt::format(
            "{} bytes come for range {}{}{}{}",
            e.size,
            e.number,
            what,
            e.offset == 0 ? "" : " at a wrong offset",
            e.end ? ", with range_end" : ""
        );
    };
    switch (e.what) {
        case kind::open: return "the owner opens the stream";
        case kind::add: return fmt::format("a {} of {} is added", e.end ? "tail" : "range", e.size);
        case kind::cancel: return fmt::format("range {} is cancelled", e.number);
        case kind::close: return "the owner closes the stream";
        case kind::close_with: return "the owner ends the stream with a failure";
        case kind::reopen: return "the owner has the stream reopened";
        case kind::grow: return "the object grows";
        case kind::require: return fmt::format("the owner learns that the object has {} bytes", e.size);
        case kind::perform: return "the shell performs the next action";
        case kind::wait_timer: return "the wait is over";
        case kind::check: return "the stall timer expires";
        case kind::check_slow: return "the stall timer expires, and the connection is slow";
        case kind::check_crowded: return "the stall timer expires, and the connection is crowded";
        case kind::judged: return "a silence is judged";
        case kind::unconnected: return "the call ends, for there is no connection";
        case kind::time_passes: return "the budget of time passes";
        case kind::memory_runs_out: return "there is no memory for the next message or timer";
        case kind::response:
            if (e.size != 0) return fmt::format("the first response of the call reports {} bytes", e.size);
            return "the first response of the call comes";
        case kind::chunk: return chunk("");
        case kind::stale_chunk: return chunk(" under its old name");
        case kind::copied: return "the copy is over";
        case kind::damaged: return "the copy is over, the checksum is wrong";
        case kind::write_done: return "the message has been written";
        case kind::call_cancelled: return "the call ends as it was told";
        case kind::broke: return "the call ends with UNAVAILABLE";
        case kind::broke_aborted: return "the call ends with ABORTED";
        case kind::broke_for_good: return "the call ends with PERMISSION_DENIED";
        case kind::broke_well: return "the call ends with OK";
        case kind::redirected: return "the call ends with a redirect";
        case kind::names_failed: return fmt::format("the call ends, range {} is out of range", e.number);
        case kind::names_excused: return fmt::format("the call ends, range {} is named ABORTED", e.number);
        case kind::names_all: return "the call ends, all ranges are out of range";
        case kind::refuses_unnamed: return "the call ends, a range is out of range and not named";
    }
    return {};
}

// The key omits values that do not influence later events, or follow from the rest by one of the rules. Ranges that the
// machine has removed all behave alike, like an id that was never assigned. If all ranges fit into one message, their
// order makes no difference.
std::string mrd_model::key(const state& s) const {
    const mrd_fsm& m = s.machine;
    std::string out;
    out.reserve(64);
    const auto put = [&out](auto... values) { (out.push_back(static_cast<char>(values)), ...); };
    const auto flags = [](auto... values) {
        int bits = 0;
        ((bits = bits * 2 + (values ? 1 : 0)), ...);
        return bits;
    };
    const bool closing = m.state() >= mrd_state::closing;
    const bool there = m.call() == mrd_fsm::call_state::there;
    put(m.state(), m.call(), s.adds);
    if (unnamed && !closing) put(std::min<std::size_t>(m.most_under_way(), 9));
    if (tails) put(s.grown);
    if (sizes && !closing) put(s.required, s.call ? s.seen * 4 + s.assumed : 0);
    if (memory_fails) put(flags(s.memory_failing, s.memory_failed));
    put(flags(s.call, s.cancelled, s.closed_in_order, s.failed, s.ended));
    if (!closing) {
        put(flags(
                s.wait_timer,
                s.stall_timer,
                s.wait_timer == m.wait_timer(),
                s.stall_timer == m.stall_timer(),
                s.aged
            ),
            flags(s.aged && s.started_aged && !s.slept && s.trying, m.has_opened()));
        if (aging) put(flags(s.slept && s.attempts > 0, s.trying));
        if (connections && late) put(s.heard);
        put(flags(s.opened, s.reconnecting, m.told_reconnecting(), there && m.stall_timer() != 0 && m.moved())
        );
        // How often it was tried lengthens the waits, if it is the budget that ends it.
        put(std::min<int>(s.attempts, attempt_limit + 1) * 16 + s.redirects,
            m.call() == mrd_fsm::call_state::given_up ? m.fate() : fsm::call_fate());
    }
    // Called off with the last copy.
    if (closing) put(flags(m.stall_timer() != 0, m.wait_timer() != 0));
    if (s.call) put(m.wire(), flags(s.writing, s.answers, s.progress));
    if (s.copying != 0) put(s.copy_size);
    std::vector<std::string> each;
    for (const auto& r : m.ranges()) {
        const bool orphan = r.state == range_state::orphaned;
        if (r.state == range_state::forgotten || (closing && orphan)) continue;
        const auto known = std::ranges::find(s.ranges, r.number, &range::number);
        std::string one;
        const auto add = [&one](auto... values) { (one.push_back(static_cast<char>(values)), ...); };
        add(r.state, flags(r.asks != 0, known->asked, known->stopped, known->refused, known->answered));
        add(r.stale, r.orphans);
        if (known->tail) add(flags(known->placed, known->base != offset_of(r.number)) + 8);
        if (known->asked) add(flags(known->over, known->cut, known->right), known->length - known->sent);
        if (!orphan) add(r.length, r.received, r.bad);
        if (r.copying) add(flags(r.ending, r.verdict) + 4);
        each.push_back(std::move(one));
    }
    const std::size_t together = std::min(max_per_message, m.most_under_way());
    if (together >= static_cast<std::size_t>(ranges)) std::ranges::sort(each);
    for (const std::string& one : each) out += one + ';';
    for (const mrd_action& a : s.queue) put(a.kind);
    return out;
}

std::vector<sim::state_rule<mrd_model::state>> mrd_model::rules() const {
    std::vector<sim::state_rule<state>> out;
    for (std::uint32_t n = 0; n < static_cast<std::uint32_t>(rule::count); ++n) {
        out.push_back({rule_name(static_cast<rule>(n)), [n](const state& s) {
                           return (s.broken >> n & 1) == 0;
                       }});
    }
    return out;
}

std::vector<sim::state_goal<mrd_model::state>> mrd_model::goals() const {
    const auto over = [](const state& s) {
        const bool all = std::ranges::all_of(s.ranges, &range::answered);
        const bool closing = s.closed_in_order || s.failed;
        return all && s.queue.empty() && (!closing || s.ended);
    };
    return {
        {silent ? "liveness: if the service falls silent every range is answered and every stream that "
                  "closes ends"
                : "liveness: once faults stop every range is answered and every stream that closes ends",
         over,
         sim::state_goal<state>::strength::certain},
        // What a pool counts on: it hands out no stream that says so.
        {"liveness: a stream that says that it is reconnecting comes back or ends",
         [](const state& s) { return !s.reconnecting || s.ended; },
         sim::state_goal<state>::strength::certain},
    };
}

// The shell and the owner do their part, and so does the service, unless it is the silent one.
bool mrd_model::fair(const event& e) const {
    switch (e.what) {
        case kind::open:
        case kind::perform:
        case kind::copied:
        case kind::wait_timer:
        case kind::call_cancelled: return true;
        case kind::check: return silent;
        case kind::response: return !silent && (e.size == 0 || e.size == max_size);
        case kind::write_done: return !silent;
        case kind::chunk:
            return !silent && e.offset == 0 && e.size == 1 && !e.end && e.number != unknown_number;
        default: return false;
    }
}

}  // namespace rangeio::states
