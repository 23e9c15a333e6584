#pragma once

#include <rangeio/testing/state_search.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace rangeio::states {

/// Searches `model`, prints what was searched on one line, and fails the test with the trace if a rule does
/// not hold.
template <class Model>
testing::search_result search_and_report(const std::string& title, const Model& model) {
    const auto start = std::chrono::steady_clock::now();
    auto result = testing::search_states(model);
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

/// What is checked, by name.
template <class Model>
void print_rules(const std::string& title, const Model& model) {
    fmt::print("{}, in every state and on every step:\n", title);
    for (const auto& rule : model.rules()) fmt::print("  {}\n", rule.name);
    for (const auto& goal : model.goals()) fmt::print("  {}\n", goal.name);
}

}  // namespace rangeio::states
