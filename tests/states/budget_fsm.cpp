#include "states/budget_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace {

using rangeio::fsm::reader_id;
using rangeio::states::budget_model;
using rangeio::states::search_and_report;

budget_model model_of(std::uint64_t limit, std::uint64_t unit, reader_id readers, int requests) {
    budget_model out;
    out.options = {limit, unit};
    out.readers = readers;
    out.requests = requests;
    return out;
}

void search(const budget_model& model) {
    search_and_report(
        fmt::format(
            "budget_fsm, limit {}, unit {}, {} readers, {} requests, {} marks{}{}",
            model.options.limit_bytes,
            model.options.unit_bytes,
            model.readers,
            model.requests,
            model.marks,
            model.hinted ? "" : ", nothing hinted",
            model.late ? ", actions performed late" : ""
        ),
        model
    );
}

}  // namespace

TEST_CASE("budget_fsm, every state: requests of different sizes in all lanes") {
    rangeio::states::print_rules("budget_fsm", budget_model());
    fmt::print("  B7: not searched, a machine sees no slices\n");
    search(model_of(1, 2, 2, 3));  // a limit below one unit counts as one
    search(model_of(3, 2, 2, 3));
}

TEST_CASE("budget_fsm, every state: more readers than units") {
    budget_model model = model_of(1, 1, 3, 4);
    model.hinted = false;
    search(model);
}

TEST_CASE("budget_fsm, every state: reservations of different ranks are reclaimed") {
    budget_model model = model_of(2, 1, 2, 3);
    model.ranks = 2;
    model.leaves = 0;
    search(model);
    model = model_of(3, 1, 1, 4);
    model.marks = 3;
    model.promotes = model.keeps = model.leaves = 0;
    search(model);
}

// Grants and reclaims are under way while cancellations, promotions, releases and newcomers arrive.
TEST_CASE("budget_fsm, every state: the shell performs the actions in order, but at any later moment") {
    budget_model model = model_of(2, 2, 2, 3);
    model.late = true;
    model.hinted = false;
    model.marks = 1;
    search(model);
    model = model_of(1, 1, 2, 3);
    model.late = true;
    search(model);
}

// Not run by default (--no-skip runs them).
TEST_CASE("budget_fsm, every state: more of everything" * doctest::skip()) {
    budget_model model = model_of(2, 2, 2, 3);
    model.ranks = 2;
    search(model);  // 211734 states, 4 s
    model.ranks = 1;
    model.late = true;
    search(model);  // 443203 states, 9 s
    model = model_of(3, 2, 2, 4);
    model.marks = 3;
    model.ranks = 2;
    model.hinted = false;
    model.promotes = model.keeps = model.leaves = 0;
    search(model);  // 1058878 states, 33 s
}

TEST_CASE("budget_fsm, every state: folding loses no state") {
    const auto rest = [](const budget_model::state& s) {
        std::string out;
        for (const auto& r : s.alive) out += fmt::format(" r{}of{}@{}", r.id, r.reader, r.turn);
        for (const auto& a : s.queue) out += fmt::format(" q{}", a.id);
        const auto stats = s.machine.stats();
        return out + fmt::format(" p{} g{}", stats.peak_bytes, stats.above_limit);
    };
    for (const bool late : {false, true}) {
        budget_model model = model_of(2, 2, 2, late ? 2 : 3);
        model.late = late;
        model.marks = 1;
        model.hinted = false;
        rangeio::states::check_folding("budget_fsm", model, rest);
    }
}
