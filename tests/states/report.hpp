#pragma once

#include <rangeio/sim/state_search.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <unordered_set>

namespace rangeio::states {

/// Searches `model`, prints what was searched on one line, and fails the test with the trace if a rule does
/// not hold.
template <class Model>
sim::search_result search_and_report(const std::string& title, const Model& model) {
    const auto start = std::chrono::steady_clock::now();
    auto result = sim::search_states(model);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    fmt::print(
        "{}: {} states, {} transitions, depth {}, {:.1f} s\n",
        title,
        result.states,
        result.transitions,
        result.depth,
        time.count()
    );
    std::fflush(stdout);
    INFO(title, '\n', result.text());
    CHECK(result.broken == "");
    CHECK(result.complete);
    return result;
}

/// A search is only as good as the key by which it folds states. Here nothing is folded, because `rest(state)`
/// distinguishes states that the key does not, and no state occurs that the folded search has not seen.
template <class Model, class Rest>
void check_folding(const std::string& title, const Model& folded, const Rest& rest) {
    struct unfolded : Model {
        unfolded(const Model& model, const Rest& tells_apart) : Model(model), rest(tells_apart) {}
        std::string key(const typename Model::state& s) const {
            const std::string out = Model::key(s);
            seen.insert(out);
            return out + rest(s);
        }
        const Rest& rest;
        mutable std::unordered_set<std::string> seen;
    };
    const unfolded model(folded, rest);
    const auto all = search_and_report(title + ", nothing folded", model);
    const auto some_of_them = search_and_report("the same, folded", folded);
    CHECK(all.states > some_of_them.states);
    CHECK(model.seen.size() == some_of_them.states);
}

/// What is checked, by name.
template <class Model>
void print_rules(const std::string& title, const Model& model) {
    fmt::print("{}, in every state and on every step:\n", title);
    for (const auto& rule : model.rules()) fmt::print("  {}\n", rule.name);
    for (const auto& goal : model.goals()) fmt::print("  {}\n", goal.name);
}

}  // namespace rangeio::states
