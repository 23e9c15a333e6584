#include "states/mrd_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace {

using rangeio::states::mrd_model;

void search(int ranges, std::size_t max_per_message, bool late = false) {
    mrd_model model;
    model.ranges = ranges;
    model.max_per_message = max_per_message;
    model.late = late;
    rangeio::states::search_and_report(
        fmt::format(
            "mrd_fsm, {} range(s) of 1-2 bytes, {} a message{}",
            ranges,
            max_per_message,
            late ? ", actions performed late" : ""
        ),
        model
    );
}

}  // namespace

TEST_CASE("mrd_fsm, every state: up to three ranges in any pieces, with whatever else the service may send") {
    rangeio::states::print_rules("mrd_fsm", mrd_model());
    for (const int ranges : {1, 2, 3}) {
        search(ranges, 1);
        search(ranges, 2);
    }
    search(3, 3);
}

TEST_CASE("mrd_fsm, every state: the shell performs the actions in order, but at any later moment") {
    search(2, 1, true);
    search(2, 2, true);
    search(3, 1, true);
}

TEST_CASE("mrd_fsm, every state: more of everything" * doctest::skip()) {
    search(3, 2, true);
    search(4, 2);
}
