#include "states/pool_cache_model.hpp"
#include "states/report.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <string>

using rangeio::states::pool_cache_model;

namespace {

pool_cache_model model_of(std::size_t keys, std::size_t streams, std::chrono::seconds timeout) {
    pool_cache_model out;
    out.options.max_idle_keys = keys;
    out.options.max_idle_streams_per_key = streams;
    out.options.idle_timeout = timeout;
    out.ticks = static_cast<int>(timeout.count()) * 2;
    return out;
}

void search(const pool_cache_model& m) {
    rangeio::states::search_and_report(
        fmt::format(
            "pool_cache_fsm, {} object(s), {} + {} pool(s), {} open(s), keeps {} x {}{}{}{}{}",
            m.names,
            m.named_pools,
            m.nameless_pools,
            m.opens,
            m.options.max_idle_keys,
            m.options.max_idle_streams_per_key,
            m.ticks > 0 ? ", expiring" : "",
            m.grows ? ", growing" : "",
            m.replaced ? ", replaced" : "",
            m.late ? ", actions performed late" : ""
        ),
        m
    );
}

}  // namespace

TEST_CASE("pool_cache_fsm, every state: pools on one generation pass their streams to one another") {
    rangeio::states::print_rules("pool_cache_fsm", pool_cache_model());
    for (const std::size_t streams : {0U, 1U, 2U}) search(model_of(1, streams, std::chrono::seconds(0)));
    search(model_of(0, 2, std::chrono::seconds(0)));
    search(model_of(1, 2, std::chrono::seconds(2)));
}

TEST_CASE("pool_cache_fsm, every state: more objects are used than are kept") {
    pool_cache_model m = model_of(1, 1, std::chrono::seconds(0));
    m.names = 2;
    m.named_pools = 3;
    m.faults = false;
    search(m);
}

TEST_CASE("pool_cache_fsm, every state: generations are learned, and the object is replaced") {
    pool_cache_model m = model_of(1, 1, std::chrono::seconds(0));
    m.named_pools = 1;
    m.nameless_pools = 2;
    m.replaced = true;
    m.faults = false;
    search(m);
}

TEST_CASE("pool_cache_fsm, every state: the object grows and is finalized") {
    pool_cache_model m = model_of(1, 2, std::chrono::seconds(0));
    m.grows = true;
    m.faults = false;
    search(m);
}

TEST_CASE("pool_cache_fsm, every state: the shell performs the actions in order, but at any later moment") {
    pool_cache_model m = model_of(1, 1, std::chrono::seconds(0));
    m.late = true;
    m.opens = 2;
    m.closes = 0;
    search(m);
    m.faults = false;
    m.closes = 1;
    search(m);
    m.opens = 3;
    m.closes = 0;
    search(m);
}

// Not run by default (--no-skip runs them).
TEST_CASE("pool_cache_fsm, every state: more of everything" * doctest::skip()) {
    pool_cache_model m = model_of(1, 1, std::chrono::seconds(0));
    m.late = true;
    m.opens = 2;
    search(m);
    m = model_of(1, 1, std::chrono::seconds(1));
    m.names = 2;
    m.opens = 4;
    m.nameless_pools = 1;
    m.faults = false;
    search(m);
}

// Ids and times are what they are.
TEST_CASE("pool_cache_fsm, every state: folding loses no state") {
    const auto rest = [](const pool_cache_model::state& s) {
        std::string out;
        for (const auto& t : s.streams) out += fmt::format(" s{}@{}", t.id, t.idle_since);
        for (const auto& p : s.pools) out += fmt::format(" p{}", p.id);
        for (const auto& u : s.users) out += fmt::format(" u{}", u.id);
        for (const auto& k : s.machine.keys()) out += fmt::format(" k{}@{}", k.id, k.last_used);
        return out + fmt::format(" {}", s.now);
    };
    for (const bool late : {false, true}) {
        pool_cache_model model = model_of(1, 1, std::chrono::seconds(1));
        model.late = late;
        model.opens = 1;
        rangeio::states::check_folding("pool_cache_fsm", model, rest);
    }
}
