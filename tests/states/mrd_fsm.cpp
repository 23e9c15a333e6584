#include "states/mrd_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using rangeio::states::mrd_model;

mrd_model model_of(int ranges, std::uint8_t max_length, std::size_t max_per_message) {
    mrd_model model;
    model.ranges = ranges;
    model.max_length = max_length;
    model.max_per_message = max_per_message;
    return model;
}

void search(const mrd_model& model) {
    rangeio::states::search_and_report(
        fmt::format(
            "mrd_fsm, {} range(s) of {} byte(s), {} a message{}{}{}{}{}{}{}{}{}{}{}",
            model.ranges,
            model.max_length == 1 ? "1" : fmt::format("1-{}", model.max_length),
            model.max_per_message,
            model.rejected_chunks ? "" : ", no rejected chunks",
            model.stalls ? "" : ", no stall check",
            model.names ? "" : ", no ranges named",
            model.unnamed ? ", one refused without a name" : "",
            model.aging ? ", time passes" : "",
            model.connections ? ", connections" : "",
            model.tails ? ", tails of an object that grows" : "",
            model.reopens ? ", streams reopened" : "",
            model.sizes ? ", sizes that are older than others" : "",
            model.memory_fails ? ", no memory once" : "",
            model.late ? ", actions performed late" : "",
            model.silent ? ", liveness with a silent service" : ""
        ),
        model
    );
}

}  // namespace

TEST_CASE("mrd_fsm, every state: ranges in any pieces, calls that end in any way, at any moment") {
    rangeio::states::print_rules("mrd_fsm", mrd_model());
    search(model_of(1, 3, 1));
    search(model_of(2, 2, 1));
    search(model_of(2, 2, 2));
    for (const std::size_t max_per_message : {1U, 2U, 3U}) search(model_of(3, 1, max_per_message));
}

TEST_CASE("mrd_fsm, every state: three ranges in pieces, with the faults of a call as a whole") {
    for (const std::size_t max_per_message : {1U, 2U, 3U}) {
        mrd_model model = model_of(3, 2, max_per_message);
        model.rejected_chunks = false;
        search(model);
    }
}

TEST_CASE("mrd_fsm, every state: three ranges in pieces, with the faults of a single range") {
    mrd_model model = model_of(3, 2, 3);
    model.stalls = false;
    model.names = false;
    search(model);
}

TEST_CASE("mrd_fsm, every state: a range is refused without a name, at any moment") {
    for (mrd_model model : {model_of(2, 2, 2), model_of(3, 1, 2), model_of(3, 1, 3)}) {
        model.unnamed = true;
        model.stalls = false;
        search(model);
    }
    mrd_model late = model_of(2, 1, 2);
    late.late = late.unnamed = true;
    search(late);
}

TEST_CASE("mrd_fsm, every state: a service that falls silent at any moment") {
    for (mrd_model model : {model_of(1, 3, 1), model_of(2, 2, 2), model_of(3, 1, 3)}) {
        model.silent = true;
        search(model);
    }
}

TEST_CASE("mrd_fsm, every state: tails of an object that grows, on streams that are reopened at any moment") {
    for (mrd_model model : {model_of(1, 3, 1), model_of(2, 1, 2)}) {
        model.tails = model.reopens = true;
        search(model);
        model.silent = true;
        search(model);
    }
    mrd_model three = model_of(3, 1, 3);
    three.tails = three.reopens = true;
    search(three);
    mrd_model pieces = model_of(2, 2, 2);
    pieces.tails = true;
    pieces.stalls = pieces.names = pieces.rejected_chunks = false;
    search(pieces);
    mrd_model late = model_of(1, 2, 1);
    late.late = late.tails = late.reopens = true;
    search(late);
}

TEST_CASE("mrd_fsm, every state: the owner learns sizes at any moment, and calls report older ones") {
    for (mrd_model model : {model_of(1, 2, 1), model_of(2, 1, 2)}) {
        model.sizes = true;
        search(model);
    }
    mrd_model tails = model_of(1, 2, 1);
    tails.sizes = tails.tails = true;
    tails.rejected_chunks = tails.names = false;
    search(tails);
    mrd_model silent = model_of(1, 1, 1);
    silent.sizes = silent.silent = true;
    search(silent);
    mrd_model late = model_of(1, 1, 1);
    late.late = late.sizes = true;
    search(late);
}

TEST_CASE("mrd_fsm, every state: the shell has no memory for a message or a timer, at any moment") {
    for (mrd_model model : {model_of(1, 3, 1), model_of(2, 1, 1), model_of(3, 1, 3)}) {
        model.memory_fails = true;
        search(model);
    }
    mrd_model late = model_of(1, 2, 1);
    late.late = late.memory_fails = true;
    search(late);
}

TEST_CASE("mrd_fsm, every state: the budget of time runs out at any moment") {
    for (mrd_model model : {model_of(1, 3, 1), model_of(2, 1, 1), model_of(3, 1, 3)}) {
        model.aging = true;
        search(model);
    }
}

TEST_CASE("mrd_fsm, every state: calls are slow, denied a place on a connection, or without a connection") {
    for (mrd_model model : {model_of(1, 3, 1), model_of(2, 1, 1)}) {
        model.connections = true;
        search(model);
        model.silent = true;
        search(model);
    }
    mrd_model late = model_of(1, 2, 1);
    late.late = late.connections = true;
    search(late);
}

TEST_CASE("mrd_fsm, every state: the shell performs the actions in order, but at any later moment") {
    for (mrd_model model : {model_of(1, 2, 1), model_of(2, 1, 1), model_of(2, 1, 2)}) {
        model.late = true;
        search(model);
        model.silent = true;
        search(model);
    }
}

// Not run by default (--no-skip runs them).
TEST_CASE("mrd_fsm, every state: more of everything" * doctest::skip()) {
    search(model_of(3, 2, 3));  // 4968689 states, 120 s, 2.3 GB
    for (mrd_model model : {model_of(2, 2, 2), model_of(3, 1, 1)}) {
        model.late = true;
        search(model);
    }
    mrd_model growing = model_of(2, 2, 2);
    growing.tails = growing.reopens = true;
    search(growing);
}

// Ranges are distinguished by their names, and removed ranges are kept in the key.
TEST_CASE("mrd_fsm, every state: folding loses no state") {
    const auto rest = [](const mrd_model::state& s) {
        std::string out;
        for (const auto& r : s.machine.ranges()) {
            out += fmt::format(" {}/{}={}+{}", r.number, r.asks, static_cast<int>(r.state), r.received);
        }
        for (const auto& r : s.ranges) {
            out += fmt::format(" {}/{}:{}+{}-{}", r.number, r.asks, r.length, r.sent, r.bad);
        }
        for (const auto& a : s.queue)
            out += fmt::format(
                " q{}",
                a.kind == rangeio::fsm::mrd_action_kind::complete ? static_cast<std::uint64_t>(a.number)
                                                                  : a.timer
            );
        return out + fmt::format(" {}{}", s.wait_timer != 0, s.stall_timer != 0);
    };
    for (const bool late : {false, true}) {
        mrd_model model = late ? model_of(1, 2, 1) : model_of(2, 1, 2);
        model.late = late;
        rangeio::states::check_folding("mrd_fsm", model, rest);
    }
    mrd_model sizes = model_of(1, 1, 1);
    sizes.sizes = true;
    rangeio::states::check_folding("mrd_fsm", sizes, rest);
}
