#include "fsm/prefetch_fsm.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

using namespace rangeio;
using fsm::prefetch_fsm;
using fsm::read_ending;
using fsm::unit_action_kind;
using fsm::unit_actions;

namespace {

/// Writes down what it hears, and plans what the test says.
struct told_policy final : fsm::prefetch_policy {
    std::vector<std::string>& heard;
    fsm::prefetch_plan& next;
    bool& fails;

    told_policy(std::vector<std::string>& list, fsm::prefetch_plan& plan, bool& throws)
        : heard(list), next(plan), fails(throws) {}

    void hear(std::string what, fsm::prefetch_plan& out) {
        heard.push_back(std::move(what));
        if (fails) throw std::bad_alloc();
        out = std::exchange(next, {});
    }
    void read_begins(const fsm::prefetch_read& r, fsm::prefetch_plan& out) override {
        hear("begins " + to_string(r.range) + " missing " + std::to_string(r.missing), out);
    }
    void read_ended(byte_range range, bool ok, fsm::prefetch_time, fsm::prefetch_plan& out) override {
        hear("ended " + to_string(range) + (ok ? "" : " badly"), out);
    }
    void arrived(const fsm::prefetch_arrival& a, fsm::prefetch_plan& out) override {
        hear("arrived " + to_string(a.range), out);
    }
    void lost(byte_range range, fsm::prefetch_plan& out) override { hear("lost " + to_string(range), out); }
    void wasted(std::uint64_t bytes) noexcept override { heard.push_back("wasted " + std::to_string(bytes)); }
    void reset() noexcept override { heard.emplace_back("reset"); }
    void advise(fsm::access_pattern, fsm::prefetch_plan& out) override { hear("advice", out); }
    void resize(std::uint64_t bytes) noexcept override { heard.push_back("size " + std::to_string(bytes)); }
    std::uint64_t max_under_way() const noexcept override { return 100; }
    std::uint64_t window() const noexcept override { return 42; }
};

struct machine_of_a_reader {
    std::vector<std::string> heard;
    fsm::prefetch_plan next;
    bool fails = false;
    prefetch_fsm machine{{}, std::make_unique<told_policy>(heard, next, fails)};
    unit_actions out;

    std::vector<std::string> take_heard() { return std::exchange(heard, {}); }
    fsm::reading begin(byte_range range) {
        fsm::reading out_read;
        out_read.range = range;
        machine.begin(out_read, range, 1000, {}, out);
        return out_read;
    }
    /// Fetches everything that the machine wants.
    void fetch_all(error_value why = {}) {
        for (const auto& a : std::exchange(out, {})) {
            if (a.kind != unit_action_kind::fetch) continue;
            CHECK(machine.made(a.unit, nullptr));
            CHECK(machine.granted(a.unit));
            machine.done(a.unit, why, out);
            machine.arrived({a.range, 1, {}, {}, {}}, out);
        }
    }
};

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("prefetch_fsm: the policy hears of a read after its requests, and of its end") {
    machine_of_a_reader m;
    auto read = m.begin(byte_range(0, 10));
    CHECK(m.take_heard() == texts{"size 1000"});
    CHECK(read.missing == 10);
    m.next.fetch.push_back({byte_range(0, 30)});
    m.machine.after_begin(read, m.out);
    CHECK(m.take_heard() == texts{"begins [0, 10) missing 10"});
    // The bytes of the read are under way: only the rest is fetched.
    REQUIRE(m.out.size() == 1);
    CHECK(m.out.front().range == byte_range(10, 20));
    m.machine.end(read, read_ending::delivered, {}, m.out);
    CHECK(m.take_heard() == texts{"ended [0, 10)"});
    m.fetch_all();
    CHECK(m.take_heard() == texts{"arrived [10, 30)"});
    auto hit = m.begin(byte_range(10, 20));
    CHECK_FALSE(hit.waits_at);
    CHECK(m.machine.stats().hits == 1);
    CHECK(m.machine.stats().misses == 1);
    CHECK(m.machine.stats().window_bytes == 42);
    m.machine.end(hit, read_ending::delivered, {}, m.out);
}

TEST_CASE("prefetch_fsm: a read that has ended before its beginning was reported is reported in order") {
    machine_of_a_reader m;
    auto read = m.begin(byte_range(0, 10));
    (void)m.take_heard();
    m.machine.end(read, read_ending::cancelled, {}, m.out);
    m.machine.after_begin(read, m.out);
    CHECK(m.take_heard() == texts{"begins [0, 10) missing 10", "ended [0, 10) badly"});
}

TEST_CASE("prefetch_fsm: planned bytes that are in memory have arrived, and the policy may go on") {
    machine_of_a_reader m;
    m.next.fetch.push_back({byte_range(50, 10)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    m.fetch_all();
    (void)m.take_heard();
    m.next.fetch.push_back({byte_range(40, 40)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    CHECK(m.take_heard() == texts{"advice", "arrived [50, 60)"});
    REQUIRE(m.out.size() == 2);
    CHECK(m.out[0].range == byte_range(40, 10));
    CHECK(m.out[1].range == byte_range(60, 20));
}

TEST_CASE("prefetch_fsm: what is lost and what is wasted is reported") {
    machine_of_a_reader m;
    m.next.fetch.push_back({byte_range(0, 10)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    const fsm::unit_id unit = m.out.front().unit;
    m.fetch_all();
    (void)m.take_heard();
    m.machine.reclaim(unit, m.out);
    m.machine.after_loss(m.out);
    CHECK(m.take_heard() == texts{"lost [0, 10)", "wasted 10"});
    CHECK(m.machine.stats().wasted_bytes == 10);
    CHECK(m.machine.stats().reclaims == 1);
}

TEST_CASE("prefetch_fsm: a read that waits for a unit under way promotes it, and is counted once for it") {
    machine_of_a_reader m;
    m.next.fetch.push_back({byte_range(0, 10)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    const fsm::unit_id unit = m.out.front().unit;
    REQUIRE(m.machine.made(unit, nullptr));
    REQUIRE(m.machine.granted(unit));
    CHECK(m.machine.stats().promotions == 0);
    auto first = m.begin(byte_range(0, 5));
    auto second = m.begin(byte_range(5, 5));
    CHECK(m.machine.stats().promotions == 1);
    CHECK(m.machine.stats().partial_hits == 2);
    m.machine.end(first, read_ending::cancelled, {}, m.out);
    m.machine.end(second, read_ending::cancelled, {}, m.out);
}

TEST_CASE("prefetch_fsm: after a failed read everything planned is dropped, and the policy starts clean") {
    machine_of_a_reader m;
    m.next.fetch.push_back({byte_range(20, 10)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    m.fetch_all();
    auto read = m.begin(byte_range(0, 10));
    (void)m.take_heard();
    m.machine.end(read, read_ending::failed, {}, m.out);
    CHECK(m.take_heard() == texts{"begins [0, 10) missing 10", "ended [0, 10) badly", "reset", "wasted 10"});
    CHECK(m.machine.units().units().empty());
}

TEST_CASE("prefetch_fsm: a policy without memory fetches less, and nothing else changes") {
    machine_of_a_reader m;
    auto read = m.begin(byte_range(0, 10));
    m.fails = true;
    CHECK_THROWS_AS(m.machine.after_begin(read, m.out), std::bad_alloc);
    m.fails = false;
    m.machine.end(read, read_ending::delivered, {}, m.out);
    CHECK(m.out.empty());
    CHECK(m.machine.units().units().empty());
}

TEST_CASE("prefetch_fsm: after the close nothing is fetched, and the policy hears nothing") {
    machine_of_a_reader m;
    m.machine.close(m.out);
    m.next.fetch.push_back({byte_range(20, 10)});
    m.machine.advise(fsm::access_pattern::unknown, m.out);
    m.machine.will_need(byte_range(0, 10), m.out);
    auto read = m.begin(byte_range(0, 10));
    (void)m.take_heard();
    m.machine.after_begin(read, m.out);
    CHECK(m.take_heard().empty());
    CHECK(m.out.empty());
}
