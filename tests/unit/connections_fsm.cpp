#include "fsm/connections_fsm.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

using rangeio::fsm::connection_id;
using rangeio::fsm::connections_fsm;
using rangeio::fsm::silence;
using rangeio::fsm::time_point;
using namespace std::chrono_literals;

namespace {

connections_fsm::options limits(std::size_t spread, std::size_t streams, std::size_t most) {
    connections_fsm::options out;
    out.spread = spread;
    out.streams_per_connection = streams;
    out.max_connections = most;
    return out;
}

constexpr auto look = 5s;

/// One connection with calls that have been answered, and time that passes.
struct scene {
    explicit scene(const connections_fsm& before = connections_fsm(limits(1, 100, 64))) : machine(before) {
        call.on = machine.place();
        machine.answered(call.on);
        call.answered = true;
    }
    /// Before the silence, bytes came as fast as they can.
    void was_fast() { machine.moved({}, std::uint64_t{1} << 30, true); }
    /// The call has been silent for so many checks by now.
    connections_fsm::verdict silent(unsigned checks) {
        call.checks = checks;
        call.now = time_point() + checks * look;
        return machine.silent(call);
    }
    /// The same, and its connection gives a sign of life whenever it is asked.
    silence silent_on_live_one(unsigned checks) {
        const auto out = silent(checks);
        if (out.ask) call.heard = call.now;
        CHECK_FALSE(out.dead);
        return out.how;
    }

    connections_fsm machine;
    connections_fsm::silent_call call;
};

}  // namespace

TEST_CASE("connections_fsm: the first calls use each connection once, later ones the least used connection") {
    connections_fsm m(limits(3, 100, 64));
    CHECK(m.place() == 1);
    CHECK(m.place() == 2);
    CHECK(m.place() == 3);
    CHECK(m.place() == 1);
    CHECK_FALSE(m.ended(2, false));
    CHECK(m.place() == 2);
    CHECK(m.place() == 3);
    CHECK(m.place() == 2);
}

TEST_CASE("connections_fsm: after all calls have ended, the next call uses the next connection") {
    connections_fsm m(limits(2, 100, 64));
    for (const connection_id expected : {1U, 2U, 1U, 2U}) {
        CHECK(m.place() == expected);
        CHECK_FALSE(m.ended(expected, false));
    }
}

TEST_CASE("connections_fsm: calls beyond full connections get further ones, closed with their last call") {
    connections_fsm m(limits(2, 2, 3));
    for (int n = 0; n < 4; ++n) m.place();
    CHECK(m.place() == 3);
    CHECK(m.place() == 3);
    CHECK(m.place() == 1);  // no more connections are allowed: it waits in line
    CHECK_FALSE(m.ended(3, false));
    CHECK(m.place() == 3);
    CHECK_FALSE(m.ended(3, false));
    CHECK(m.ended(3, false));
    CHECK_FALSE(m.ended(1, false));
    CHECK(m.open().size() == 2);
}

TEST_CASE("connections_fsm: an open without an answer moves to another connection, and the limit is learned"
) {
    connections_fsm m(limits(1, 100, 3));
    for (int n = 0; n < 3; ++n) m.place();
    m.answered(1), m.answered(1);
    connections_fsm::silent_call call;
    call.on = 1;
    call.checks = 1;
    call.now = time_point() + look;
    SUBCASE("for all connections, if this one has given a sign of life since") {
        call.heard = time_point() + 1s;
        CHECK(m.silent(call).how == silence::crowded);
        CHECK(m.limit() == 2);
        CHECK_FALSE(m.ended(1, false));
        CHECK(m.place() == 2);
        CHECK(m.place() == 2);
        CHECK(m.place() == 3);
    }
    SUBCASE("for this connection alone, if it may be dead") {
        call.began = time_point() + 1s;
        CHECK(m.silent(call).how == silence::crowded);
        CHECK(m.limit() == 100);
        CHECK_FALSE(m.ended(1, false));
        for (int n = 0; n < 10; ++n) CHECK(m.place() == 2);
    }
    SUBCASE("after twice the time, if it has moved once before") {
        call.excused = 1;
        CHECK(m.silent(call).how == silence::borne);
        call.checks = 2;
        CHECK(m.silent(call).how == silence::crowded);
    }
    SUBCASE("not if no other connection has room") {
        connections_fsm full(limits(1, 2, 1));
        full.place(), full.place();
        full.answered(1);
        CHECK(full.silent(call).how == silence::borne);
        CHECK(full.limit() == 2);
    }
    SUBCASE("not if no call has been answered, because the service may be slow") {
        connections_fsm fresh(limits(1, 100, 3));
        fresh.place(), fresh.place();
        CHECK(fresh.silent(call).how == silence::borne);
    }
}

TEST_CASE("connections_fsm: a dead connection is asked, and replaced after the stall timeout") {
    for (const std::uint64_t due : {std::uint64_t{1}, std::uint64_t{1} << 30}) {
        CAPTURE(due);
        scene s;
        s.was_fast();
        s.call.due = due;
        CHECK(s.silent(1).ask);
        CHECK_FALSE(s.silent(2).ask);
        CHECK(s.silent(3).how == silence::borne);
        const auto said = s.silent(4);
        CHECK(said.how == silence::stalled);
        CHECK(said.dead);
        CHECK(s.machine.replaced().size() == 1);
        CHECK(s.machine.place() == 2);
        CHECK(s.machine.ended(1, true));
        CHECK(s.machine.replaced().empty());
    }
}

TEST_CASE("connections_fsm: a sign of life waits for the bytes that were due when it was requested") {
    constexpr auto slow = connections_fsm::slow_link;
    scene s;
    s.call.due = 5 * slow;
    // Looks until the connection is taken for dead; it is asked at the first one.
    const auto left_after = [](scene& in) {
        for (unsigned checks = 1;; ++checks) {
            in.call.due = checks == 1 ? in.call.due : 0;
            if (in.silent(checks).dead) return checks;
        }
    };
    SUBCASE("at an unknown rate: one stall timeout") {
        CHECK(left_after(s) == 5);
    }
    SUBCASE("at an unknown rate, after a wait that was too short: twice the stall timeout") {
        s.call.excused = 1;
        CHECK(left_after(s) == 9);
    }
    SUBCASE("at an unknown rate, with more bytes due: still one stall timeout") {
        s.call.due = 100 * slow;
        CHECK(left_after(s) == 5);
    }
    SUBCASE("at a very slow rate: a bounded time") {
        s.machine.busy({}, 0);
        s.machine.moved(time_point() + 20s, slow / 16, false);
        s.call.due = 100 * slow;
        CHECK(left_after(s) == 65);
    }
    SUBCASE("at a known rate: the time that it gives, with a margin") {
        s.machine.busy({}, 0);
        s.machine.moved(time_point() + 20s, 2 * slow, false);
        CHECK(s.machine.rate() == 2 * slow);
        CHECK(left_after(s) == 21);
        s.machine.moved(time_point() + 40s, 6 * slow, false);
        scene other(s.machine);
        other.call.due = 10 * slow;
        CHECK(left_after(other) == 21);
    }
    SUBCASE("at a fast rate: no extra time") {
        s.was_fast();
        CHECK(left_after(s) == 4);
    }
}

TEST_CASE("connections_fsm: the rate is measured while bytes are due, and changes by a factor of 2 at most") {
    constexpr auto slow = connections_fsm::slow_link;
    connections_fsm m(limits(1, 100, 64));
    m.busy(time_point() + 100s, 0);
    m.moved(time_point() + 100s + 100ms, 1 << 20, false);
    CHECK(m.rate() == 0);  // too soon
    m.moved(time_point() + 110s, slow, false);
    CHECK(m.rate() == 2 * slow);
    m.moved(time_point() + 120s, 100 * slow, false);
    CHECK(m.rate() == 4 * slow);
    m.moved(time_point() + 220s, 101 * slow, false);
    CHECK(m.rate() == 2 * slow);
    // What is over soon says nothing if it was little.
    m.busy(time_point() + 500s, 101 * slow);
    m.moved(time_point() + 510s, 101 * slow + 1000, true);
    CHECK(m.rate() == 2 * slow);
    m.busy(time_point() + 600s, 102 * slow);
    m.moved(time_point() + 605s, 103 * slow, true);
    CHECK(m.rate() == 4 * slow);
}

TEST_CASE("connections_fsm: a sign of life has twice the time after another connection seemed dead") {
    scene s;
    s.call.excused = 1;
    for (unsigned checks = 1; checks < 8; ++checks) CHECK(s.silent(checks).how == silence::borne);
    CHECK(s.silent(8).dead);
}

TEST_CASE("connections_fsm: a sign of life counts from the time of its arrival") {
    scene s;
    s.was_fast();
    s.call.due = 1 << 30;
    CHECK(s.silent(3).ask);
    s.call.heard = time_point() + 16s;  // the answer
    CHECK(s.silent(4).how == silence::borne);
    CHECK(s.silent(5).ask);
    CHECK(s.silent(6).how == silence::borne);
    CHECK(s.silent(7).how == silence::borne);
    CHECK(s.silent(8).dead);  // nothing for more than 20 s
}

TEST_CASE("connections_fsm: on a live connection a call has a time that doubles, and is then stalled") {
    for (unsigned excused = 0; excused <= 4; ++excused) {
        CAPTURE(excused);
        scene s;
        s.call.excused = excused;
        const unsigned time = 4U << excused;
        for (unsigned checks = 1; checks < time; ++checks)
            CHECK(s.silent_on_live_one(checks) == silence::borne);
        CHECK(s.silent_on_live_one(time) == (excused < 4 ? silence::slow : silence::stalled));
        CHECK(s.machine.replaced().size() == 1);
    }
}

TEST_CASE("connections_fsm: the time of a call grows with the bytes due before its own") {
    const auto time_of = [](std::uint64_t due, std::uint64_t came_a_look) {
        scene s;
        s.call.due = due;
        for (unsigned checks = 1;; ++checks) {
            s.call.came = came_a_look * checks;
            if (s.silent_on_live_one(checks) != silence::borne) return checks;
        }
    };
    constexpr auto slow = connections_fsm::slow_link;
    CHECK(time_of(slow, 0) == 8);
    CHECK(time_of(50 * slow, 0) == 204);
    CHECK(time_of(50 * slow, slow / 4) == 404);              // as fast as it was taken for, and a margin
    CHECK(time_of(50 * slow, 10 * slow) == 14);              // fast
    CHECK(time_of(50 * slow, 1) == 804);                     // a trickle does not buy more than that
    CHECK(time_of(std::uint64_t{64} << 20, 500'000) > 135);  // 64 MiB at 100 kB/s
}

TEST_CASE("connections_fsm: a connection that cannot be asked is replaced as slow, not as dead") {
    scene s;
    CHECK(s.silent(3).ask);
    s.machine.unaskable(1);
    const auto said = s.silent(4);
    CHECK(said.how == silence::slow);
    CHECK_FALSE(said.dead);
    CHECK(s.machine.place() == 2);
}

TEST_CASE("connections_fsm: a call that queues on a working connection does not replace the connection") {
    connections_fsm m(limits(1, 2, 1));
    m.place(), m.place();
    m.answered(1);
    connections_fsm::silent_call call;
    call.on = 1;
    call.checks = 4;
    call.now = call.heard = time_point() + 20s;
    CHECK(m.silent(call).how == silence::slow);
    CHECK(m.replaced().empty());
}

TEST_CASE("connections_fsm: replacement of a further connection makes room for another") {
    connections_fsm m(limits(1, 1, 2));
    m.place();
    REQUIRE(m.place() == 2);
    m.answered(2);
    connections_fsm::silent_call call;
    call.on = 2;
    call.answered = true;
    call.checks = 4;
    call.now = call.heard = time_point() + 20s;
    CHECK(m.silent(call).how == silence::slow);
    CHECK(m.open().size() == 1);
    CHECK(m.ended(2, true));
    CHECK(m.place() == 3);
}
