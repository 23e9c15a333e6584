#include "states/pool_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

namespace {

using rangeio::fsm::share_policy;
using rangeio::states::pool_model;
using rangeio::states::search_and_report;

enum class mode { single, round_robin, least_outstanding };

struct demand {
    int acquires;
    int initializes;
    int closes;
};

pool_model model_of(std::size_t size, mode how, demand asked, bool late) {
    pool_model out;
    out.options.pool_size = size;
    out.options.multi_request = how != mode::single;
    if (how == mode::least_outstanding) out.options.sharing = share_policy::least_outstanding;
    out.acquires = asked.acquires;
    out.initializes = asked.initializes;
    out.closes = asked.closes;
    out.late = late;
    return out;
}

void search(std::size_t size, mode how, demand asked, bool late = false) {
    static constexpr const char* names[] = {"one request at a time", "round robin", "least outstanding"};
    search_and_report(
        fmt::format(
            "pool_fsm, {} stream(s), {}, {} acquire, {} initialize, {} close{}",
            size,
            names[static_cast<int>(how)],
            asked.acquires,
            asked.initializes,
            asked.closes,
            late ? ", actions performed late" : ""
        ),
        model_of(size, how, asked, late)
    );
}

constexpr demand many{4, 2, 2};
// Where that takes too long: as many callers acquire, or one initializes again.
constexpr demand many_once{4, 1, 1};
constexpr demand some_again{3, 2, 1};
constexpr demand few_again{2, 2, 1};
constexpr demand few{2, 1, 1};

}  // namespace

TEST_CASE("pool_fsm, every state: four tasks use streams that serve one range at a time") {
    rangeio::states::print_rules("pool_fsm", pool_model());
    fmt::print("  P10: not searched, a machine has no lock and calls nobody; see tests/simulation\n");
    for (const std::size_t size : {1U, 2U, 3U}) search(size, mode::single, many);
}

TEST_CASE("pool_fsm, every state: four tasks share streams in turn") {
    for (const std::size_t size : {1U, 2U, 3U}) search(size, mode::round_robin, many);
}

TEST_CASE("pool_fsm, every state: tasks share streams by a load that changes at any moment") {
    for (const std::size_t size : {1U, 2U}) search(size, mode::least_outstanding, many);
    search(3, mode::least_outstanding, some_again);
}

// Grants and answers are under way while cancellations, closes, deaths and newcomers arrive.
TEST_CASE("pool_fsm, every state: the shell performs the actions in order, but at any later moment") {
    for (const mode how : {mode::single, mode::round_robin}) {
        search(1, how, many, true);
        search(2, how, how == mode::single ? many_once : demand{3, 1, 1}, true);
        search(2, how, few_again, true);
        search(3, how, few_again, true);
    }
    search(1, mode::least_outstanding, many_once, true);
    search(2, mode::least_outstanding, few_again, true);
    search(3, mode::least_outstanding, few, true);
}

TEST_CASE("pool_fsm, every state: the object grows while streams open and callers wait") {
    for (const bool late : {false, true}) {
        pool_model model = model_of(2, mode::round_robin, late ? demand{2, 0, 1} : demand{3, 0, 1}, late);
        model.growths = 2;
        search_and_report(
            fmt::format(
                "pool_fsm, 2 streams, an object that grows twice{}", late ? ", actions performed late" : ""
            ),
            model
        );
    }
}

TEST_CASE("pool_fsm, every state: P8: demands are served before speculative requests, which are not starved"
) {
    for (const mode how : {mode::single, mode::round_robin}) {
        for (const bool late : {false, true}) {
            pool_model model = model_of(late ? 1 : 2, how, late ? demand{3, 0, 1} : demand{4, 0, 1}, late);
            model.speculations = 2;
            model.options.max_passes = 2;
            search_and_report(
                fmt::format(
                    "pool_fsm, {} stream(s), {}two speculative requests{}",
                    late ? 1 : 2,
                    how == mode::single ? "one request at a time, " : "",
                    late ? ", actions performed late" : ""
                ),
                model
            );
        }
    }
}

TEST_CASE("pool_fsm, every state: P2: callers that share do not wait for a new stream") {
    for (const mode how : {mode::single, mode::round_robin}) {
        for (const bool late : {false, true}) {
            pool_model model = model_of(2, how, late ? demand{1, 0, 1} : demand{2, 1, 1}, late);
            model.sharers = 2;
            search_and_report(
                fmt::format(
                    "pool_fsm, 2 streams, {}two callers that share{}",
                    how == mode::single ? "one request at a time, " : "",
                    late ? ", actions performed late" : ""
                ),
                model
            );
        }
    }
}

TEST_CASE("pool_fsm, every state: P12: ranges ride in the opening message of the first stream") {
    for (const mode how : {mode::single, mode::round_robin}) {
        for (const bool late : {false, true}) {
            pool_model model = model_of(2, how, late ? demand{1, 1, 1} : demand{2, 1, 1}, late);
            model.rides = 2;
            search_and_report(
                fmt::format(
                    "pool_fsm, 2 streams, {}two callers with ranges for the opening message{}",
                    how == mode::single ? "one request at a time, " : "",
                    late ? ", actions performed late" : ""
                ),
                model
            );
        }
    }
}

// Not run by default (--no-skip runs them): each takes longer than the case above that it extends.
TEST_CASE("pool_fsm, every state: more of everything" * doctest::skip()) {
    search(3, mode::least_outstanding, many);  // 2080750 states, 70 s, 1 GB
    for (const mode how : {mode::single, mode::round_robin}) {
        search(2, how, many, true);       // 1789762 states, 46 s, with one request at a time
        search(3, how, {3, 1, 1}, true);  // 538727 states, 11 s, likewise
    }
    search(2, mode::round_robin, many_once, true);        // 559248 states, 12 s
    search(2, mode::least_outstanding, {3, 1, 1}, true);  // 483875 states, 9 s
    search(3, mode::least_outstanding, few_again, true);  // 1182912 states, 29 s
}

TEST_CASE("pool_fsm, every state: folding loses no state") {
    const auto rest = [](const pool_model::state& s) {
        std::string out;
        for (const auto& t : s.streams) out += fmt::format(" s{}", t.id);
        for (const auto& c : s.callers) out += fmt::format(" c{}{}", c.id, c.answered ? "!" : "");
        for (const auto& t : s.machine.streams()) out += fmt::format(" m{}@{}", t.id, t.idle_since);
        for (const auto& a : s.queue) out += fmt::format(" q{}", a.waiter);
        return out + fmt::format(" l{} n{}", s.machine.last_shared(), s.machine.stats().opened);
    };
    for (const mode how : {mode::single, mode::round_robin}) {
        for (const bool late : {false, true}) {
            pool_model model = model_of(2, how, {2, 1, 0}, late);
            model.faults = false;
            rangeio::states::check_folding("pool_fsm", model, rest);
        }
    }
}
