#include "fsm/unary_fsm.hpp"

#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

using namespace rangeio;
using fsm::unary_action;
using fsm::unary_action_kind;
using fsm::unary_actions;
using fsm::unary_fsm;
using fsm::unary_state;

namespace {

/// `unary_fsm` and everything that may happen to it. The shell performs the actions in order, at any later moment; a
/// timer expires when it is due or after it was dropped; a call ends by itself or by its cancellation.
class unary_model {
public:
    retry_policy policy;

    enum rule : std::uint32_t { two_calls = 1, after_the_end = 2, call_unwanted = 4 };

    struct state {
        unary_fsm machine{retry_policy()};
        std::vector<unary_action> queue;    // not performed yet
        std::vector<std::uint64_t> timers;  // that may go off
        bool started = false;
        bool calling = false;
        bool told_to_end = false;
        bool cancelled = false;
        bool over = false;
        std::uint32_t broken = 0;
    };
    enum class kind : std::uint8_t { start, perform, answer, fail, fail_for_good, timer, cancel, unanswered };
    struct event {
        kind what = kind::perform;
        std::uint64_t turn = 0;
    };

    state initial() const {
        state out;
        out.machine = unary_fsm(policy);
        return out;
    }

    void events(const state& s, std::vector<event>& out) const {
        if (!s.started) out.push_back({kind::start, 0});
        if (!s.queue.empty()) out.push_back({kind::perform, 0});
        if (s.calling) {
            for (const kind k : {kind::answer, kind::fail, kind::fail_for_good}) out.push_back({k, 0});
        }
        for (const auto turn : s.timers) out.push_back({kind::timer, turn});
        if (s.cancelled) return;
        for (const kind k : {kind::cancel, kind::unanswered}) out.push_back({k, 0});
    }

    void apply(state& s, const event& e) const {
        unary_actions out;
        switch (e.what) {
            case kind::start:
                s.started = true;
                s.machine.start(out);
                break;
            case kind::perform: perform(s); break;
            case kind::answer: end(s, {}, out); break;
            case kind::fail: end(s, error_code(14, grpc_category()), out); break;
            case kind::fail_for_good: end(s, errc::not_found, out); break;
            case kind::timer:
                std::erase(s.timers, e.turn);
                s.machine.timer_expired(e.turn, out);
                break;
            case kind::cancel:
                s.cancelled = true;
                s.machine.cancel(errc::shut_down, out);
                break;
            case kind::unanswered:
                s.cancelled = true;
                s.machine.unanswered(errc::timed_out, out);
                break;
        }
        for (const unary_action& action : out) {
            if (s.over) s.broken |= after_the_end;
            if (action.kind == unary_action_kind::call && s.machine.cancelled()) s.broken |= call_unwanted;
            if (action.kind == unary_action_kind::complete) s.over = true;
            s.queue.push_back(action);
        }
    }

    std::string name(const event& e) const {
        static constexpr const char* names[] = {
            "start", "perform", "answer", "fail", "fail for good", "timer", "cancel", "unanswered"
        };
        return fmt::format("{} {}", names[static_cast<int>(e.what)], e.turn);
    }

    std::string key(const state& s) const {
        const auto& m = s.machine;
        std::string out = fmt::format(
            "{} {} {} {} {} {} {} {} {}|",
            int(m.state()),
            m.reconnect().attempts(),
            m.stall_limit().count(),
            m.cancelled(),
            s.started,
            s.calling,
            s.told_to_end,
            s.over,
            s.broken
        );
        // Turns by their age: only whether one is the newest counts.
        for (const auto turn : s.timers) out += fmt::format("{} ", m.turn() - turn);
        for (const auto& action : s.queue) {
            const auto age = action.turn == 0 ? 0 : m.turn() - action.turn + 1;
            out += fmt::format("{}.{} ", int(action.kind), age);
        }
        return out;
    }

    std::vector<sim::state_rule<state>> rules() const {
        std::vector<sim::state_rule<state>> out;
        const auto add = [&out](const char* what, std::uint32_t bit) {
            out.push_back({what, [bit](const state& s) { return (s.broken & bit) == 0; }});
        };
        add("one call at a time", two_calls);
        add("nothing is wanted after the end", after_the_end);
        add("no call is made for a question that was cancelled", call_unwanted);
        out.push_back({"the question does not end while its call is open", [](const state& s) {
                           return !s.over || !s.calling;
                       }});
        return out;
    }
    std::vector<sim::state_goal<state>> goals() const {
        using goal = sim::state_goal<state>;
        return {{"the question ends", [](const state& s) { return s.over; }, goal::strength::certain}};
    }
    // A mute service does not end its calls by itself.
    bool fair(const event& e) const {
        return e.what == kind::start || e.what == kind::perform || e.what == kind::timer ||
               e.what == kind::fail;
    }

private:
    void perform(state& s) const {
        const unary_action action = s.queue.front();
        s.queue.erase(s.queue.begin());
        switch (action.kind) {
            case unary_action_kind::call:
                if (s.calling) s.broken |= two_calls;
                s.calling = true;
                s.told_to_end = false;
                break;
            case unary_action_kind::cancel_call: s.told_to_end = s.calling; break;
            case unary_action_kind::set_stall_timer:
            case unary_action_kind::wait: s.timers.push_back(action.turn); break;
            case unary_action_kind::drop_timer:
            case unary_action_kind::complete: break;  // a timer that was dropped may be on its way
        }
    }
    void end(state& s, const error_value& why, unary_actions& out) const {
        s.calling = false;
        s.machine.call_ended(why, {}, out);
    }
};

}  // namespace

TEST_CASE("unary_fsm, every state: calls, timers and cancellations occur in any order") {
    unary_model m;
    m.policy = retry_policy().attempts(2).budget({}).initial_backoff(std::chrono::seconds(1));
    states::print_rules("unary_fsm", m);
    states::search_and_report("unary_fsm, waits", m);
    m.policy.initial_backoff({});
    states::search_and_report("unary_fsm, no waits", m);
    m.policy.stall_timeout({});
    states::search_and_report("unary_fsm, no stall timeout", m);
}
