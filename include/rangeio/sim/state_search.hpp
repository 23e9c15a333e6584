#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

/// Checks a state machine in every state that it can reach.
///
/// A *model* is the machine together with a small environment: the next actions of callers and of the network, in any
/// order. The search tries all of them, breadth first, so that the trace that it prints for a broken rule is a shortest
/// one. It needs no I/O, no thread and no clock; it finds errors that tests of chosen sequences miss.
///
/// A model is a class with these members (see `searchable`):
///
///     using state = ...;    // copyable; holds the machine and the environment
///     using event = ...;    // small and copyable
///     state initial() const;
///     void events(const state&, std::vector<event>& out) const;   // appends the events that may happen next
///     void apply(state&, const event&) const;                     // performs the event
///     std::string name(const event&) const;                       // for traces
///     std::string key(const state&) const;   // equal for states that behave alike; see below
///     std::vector<state_rule<state>> rules() const;               // must hold after each step
///     std::vector<state_goal<state>> goals() const;               // must remain reachable
///     bool fair(const event&) const;         // happens sooner or later if it can; faults and new callers do not
///
/// **Keys.** Two states with one key are explored once. Omit data that has no influence on the future (counters), and
/// rename symmetric data (the ids of callers) by order of appearance: this makes a large model small. A key that omits
/// too much hides behavior; rules are nevertheless checked on every step, also on a step to a known key.
///
/// **Rules of a step.** A rule sees one state. For a rule about a step ("only the last release closes"), let `apply`
/// record its observation in the state.
namespace rangeio::sim {

/// A property that holds in every state.
template <class State>
struct state_rule {
    std::string name;
    std::function<bool(const State&)> holds;
};

/// A condition that remains reachable after any sequence of events.
template <class State>
struct state_goal {
    enum class strength {
        /// From every state some sequence of fair events reaches the goal.
        possible,
        /// From every state every sequence of fair events reaches the goal: none ends before, none repeats for ever.
        /// Fair events that do not change the state are not counted as steps.
        certain,
    };

    std::string name;
    std::function<bool(const State&)> reached;
    strength how = strength::possible;
};

template <class Model>
concept searchable = requires(
    const Model& model,
    typename Model::state& state,
    const typename Model::event& event,
    std::vector<typename Model::event>& events
) {
    { model.initial() } -> std::convertible_to<typename Model::state>;
    model.events(state, events);
    model.apply(state, event);
    { model.name(event) } -> std::convertible_to<std::string>;
    { model.key(state) } -> std::convertible_to<std::string>;
    { model.rules() } -> std::convertible_to<std::vector<state_rule<typename Model::state>>>;
    { model.goals() } -> std::convertible_to<std::vector<state_goal<typename Model::state>>>;
    { model.fair(event) } -> std::convertible_to<bool>;
};

/// The result of a search.
class search_result {
public:
    /// Distinct keys, and steps between them (steps to known keys included).
    std::size_t states = 0;
    std::size_t transitions = 0;
    /// Steps from the initial state to the farthest one.
    std::size_t depth = 0;
    /// False if the limit on states, or a broken rule, ended the search: the result does not cover the remaining
    /// states, and goals were not checked.
    bool complete = false;
    /// The name of the rule or goal that does not hold; empty if all hold.
    std::string broken;
    /// The names of the events that lead there from the initial state, as few as possible.
    std::vector<std::string> trace;
    /// For a goal that is not certain: fair events that follow the trace and do not reach the goal.
    std::vector<std::string> lost_in;

    /// The search is complete, and everything holds.
    explicit operator bool() const noexcept { return complete && broken.empty(); }

    /// For people, several lines.
    std::string text() const {
        std::string out = std::to_string(states) + " states, " + std::to_string(transitions) +
                          " transitions, depth " + std::to_string(depth) + '\n';
        if (!complete) out += "not complete\n";
        if (broken.empty()) return out;
        out += "broken: " + broken + '\n';
        for (const std::string& step : trace) out += "  " + step + '\n';
        if (!lost_in.empty()) out += "and then, without reaching the goal:\n";
        for (const std::string& step : lost_in) out += "  " + step + '\n';
        return out;
    }
};

namespace detail {

template <searchable Model>
class state_search {
public:
    using state = typename Model::state;
    using event = typename Model::event;

    state_search(const Model& model, std::size_t max_states)
        : model_(model), max_states_(max_states), rules_(model.rules()), goals_(model.goals()) {}

    search_result run() {
        if (explore()) {
            result_.complete = true;
            for (std::size_t g = 0; g < goals_.size() && result_.broken.empty(); ++g) check_goal(g);
        }
        result_.states = nodes_.size();
        return std::move(result_);
    }

private:
    using index = std::uint32_t;

    struct node {
        index parent;
        event by;  // unused in the first
    };
    struct edge {
        index from;
        index to;
    };

    // One generation after the other; only these two are kept as states, the others as keys.
    bool explore() {
        std::vector<std::pair<index, state>> generation;
        std::vector<std::pair<index, state>> next;
        generation.emplace_back(0, model_.initial());
        known_.emplace(model_.key(generation.front().second), 0);
        nodes_.push_back({0, event{}});
        note_goals(generation.front().second);
        if (!check_rules(generation.front().second, 0, nullptr)) return false;
        std::vector<event> enabled;
        for (; !generation.empty(); generation.swap(next), next.clear(), ++result_.depth) {
            for (const auto& [from, before] : generation) {
                enabled.clear();
                model_.events(before, enabled);
                for (const event& e : enabled) {
                    state after = before;
                    model_.apply(after, e);
                    ++result_.transitions;
                    if (!check_rules(after, from, &e)) return false;
                    const auto [it, fresh] =
                        known_.try_emplace(model_.key(after), static_cast<index>(nodes_.size()));
                    if (!goals_.empty() && it->second != from && model_.fair(e)) {
                        fair_.push_back({from, it->second});
                    }
                    if (!fresh) continue;
                    if (nodes_.size() >= max_states_) return false;
                    nodes_.push_back({from, e});
                    note_goals(after);
                    next.emplace_back(it->second, std::move(after));
                }
            }
            if (next.empty()) break;
        }
        return true;
    }

    bool check_rules(const state& s, index from, const event* by) {
        for (const auto& rule : rules_) {
            if (rule.holds(s)) continue;
            result_.broken = rule.name;
            result_.trace = trace_to(from);
            if (by != nullptr) result_.trace.push_back(model_.name(*by));
            return false;
        }
        return true;
    }

    void note_goals(const state& s) {
        for (const auto& goal : goals_) reached_.push_back(goal.reached(s));
    }

    // Backwards over the fair steps, from the states that have reached the goal to those that can, or must, reach it.
    void check_goal(std::size_t g) {
        const bool certain = goals_[g].how == state_goal<state>::strength::certain;
        std::vector<index> first(nodes_.size() + 1);
        std::vector<index> sources(fair_.size());
        std::vector<index> ways(nodes_.size());  // fair steps that have not been found to lead to the goal
        for (const edge& e : fair_) ++first[e.to + 1], ++ways[e.from];
        for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
        auto at = first;
        for (const edge& e : fair_) sources[at[e.to]++] = e.from;

        std::vector<bool> good(nodes_.size());
        std::vector<index> work;
        for (index i = 0; i < nodes_.size(); ++i) {
            if (!reached_[i * goals_.size() + g]) continue;
            good[i] = true;
            work.push_back(i);
        }
        while (!work.empty()) {
            const index to = work.back();
            work.pop_back();
            for (index i = first[to]; i < first[to + 1]; ++i) {
                const index from = sources[i];
                if (good[from] || (--ways[from] != 0 && certain)) continue;
                good[from] = true;
                work.push_back(from);
            }
        }
        for (index i = 0; i < nodes_.size(); ++i) {
            if (good[i]) continue;
            result_.broken = goals_[g].name;
            result_.trace = trace_to(i);
            result_.lost_in = walk_lost(i, good);
            return;
        }
    }

    std::vector<event> events_to(index to) const {
        std::vector<event> out;
        for (; to != 0; to = nodes_[to].parent) out.push_back(nodes_[to].by);
        return {out.rbegin(), out.rend()};
    }

    std::vector<std::string> trace_to(index to) const {
        std::vector<std::string> out;
        for (const event& e : events_to(to)) out.push_back(model_.name(e));
        return out;
    }

    // Fair events that do not reach the goal, until there are none or they repeat.
    std::vector<std::string> walk_lost(index from, const std::vector<bool>& good) const {
        state s = model_.initial();
        for (const event& e : events_to(from)) model_.apply(s, e);
        std::vector<std::string> out;
        std::unordered_set<index> seen{from};
        for (bool moved = true; moved;) {
            moved = false;
            std::vector<event> enabled;
            model_.events(s, enabled);
            for (const event& e : enabled) {
                if (!model_.fair(e)) continue;
                state after = s;
                model_.apply(after, e);
                const index to = known_.at(model_.key(after));
                if (good[to] || to == from) continue;
                out.push_back(model_.name(e));
                if (!seen.insert(to).second) {
                    out.push_back("(and round again)");
                    return out;
                }
                s = std::move(after);
                from = to;
                moved = true;
                break;
            }
        }
        out.push_back("(nothing fair can happen any more)");
        return out;
    }

    const Model& model_;
    const std::size_t max_states_;
    const std::vector<state_rule<state>> rules_;
    const std::vector<state_goal<state>> goals_;
    std::unordered_map<std::string, index> known_;
    std::vector<node> nodes_;    // in the order of their distance
    std::vector<edge> fair_;     // steps by fair events
    std::vector<bool> reached_;  // per state, per goal
    search_result result_;
};

}  // namespace detail

/// Searches all states that `model` can reach, and checks its rules in each and its goals from each.
///
/// Stops at the first rule that is broken: its trace is a shortest one. Goals are checked when all states are known,
/// because they are about the future.
///
/// `max_states`: the number of states at which the search stops, at most 2^32 - 1.
///
/// Throws:     the exceptions of the model; std::bad_alloc.
/// Memory:     the key of each state, two generations of states, and 8 bytes for each fair step.
template <searchable Model>
search_result search_states(
    const Model& model, std::size_t max_states = std::numeric_limits<std::uint32_t>::max()
) {
    return detail::state_search<Model>(model, max_states).run();
}

}  // namespace rangeio::sim
