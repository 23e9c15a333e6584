#include "states/connections_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

namespace {

using rangeio::states::connections_model;

connections_model model_of(int streams, std::size_t room, std::size_t most, bool askable = false) {
    connections_model model;
    model.streams = streams;
    model.room = room;
    model.most = most;
    model.unaskable = !askable;
    return model;
}

void search(const connections_model& model) {
    rangeio::states::search_and_report(
        fmt::format(
            "connections_fsm, {} stream(s), {} connection(s) of {} call(s), spread over {}{}{}{}{}",
            model.streams,
            model.most,
            model.room,
            model.spread,
            model.max_excused == 0 ? "" : fmt::format(", the time doubles {} time(s)", model.max_excused),
            model.due == 0 ? "" : ", bytes of others may come first",
            model.fast ? ", which came fast before" : "",
            model.unaskable ? "" : ", all can be asked"
        ),
        model
    );
}

}  // namespace

TEST_CASE("connections_fsm, every state: connections that live, are slow, full or dead serve calls") {
    rangeio::states::print_rules("connections_fsm", connections_model());
    search(model_of(2, 1, 1));
    search(model_of(2, 1, 2));
    search(model_of(2, 2, 2, true));
    connections_model slow = model_of(2, 1, 2, true);
    slow.due = rangeio::fsm::connections_fsm::slow_link;
    search(slow);
    slow.fast = true;
    search(slow);
    connections_model doubled = model_of(2, 1, 2, true);
    doubled.max_excused = 1;
    search(doubled);
    connections_model spread = model_of(2, 1, 2, true);
    spread.spread = 2;
    search(spread);
}

// Not run by default (--no-skip runs them): docs/testing-races.md has the command, and what it printed.
TEST_CASE("connections_fsm, every state: more of everything" * doctest::skip()) {
    search(model_of(3, 1, 2, true));
    connections_model doubled = model_of(2, 2, 2);
    doubled.max_excused = 1;
    search(doubled);
}

// Here streams are distinct, and times count in full.
TEST_CASE("connections_fsm, every state: folding loses no state") {
    const auto rest = [](const connections_model::state& s) {
        std::string out;
        for (const auto& c : s.streams) {
            const auto on = std::ranges::find(s.lines, c.on, &connections_model::line::id);
            out += fmt::format(" {}:{}", on - s.lines.begin(), c.checks);
        }
        for (const auto& on : s.lines) out += fmt::format(" {}", std::min(s.now - on.heard, 8));
        return out;
    };
    rangeio::states::check_folding("connections_fsm", model_of(2, 1, 1, true), rest);
}
