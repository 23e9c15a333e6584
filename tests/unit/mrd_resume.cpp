#include "unit/mrd_stream.hpp"

#include <chrono>
#include <cstdint>

using namespace support;
using namespace std::chrono_literals;

// What follows the end of a call, and what ends one.

namespace {

const error_value aborted = grpc_failure(10, "idle for too long");
const error_value past_the_end = grpc_failure(11, "past the end");
const error_value denied = grpc_failure(7, "denied");

/// Two attempts, three redirects, waits of 100 ms, 200 ms.
retry_policy patient() {
    return retry_policy().attempts(2).budget(0s).initial_backoff(100ms);
}

}  // namespace

TEST_CASE("mrd_fsm: S7, museum S03: a range continues at its own last good byte, under its own id") {
    stream s = open_stream(patient());
    s.add(1, 100, 10);
    s.write_done();
    s.add(2, 500, 10);
    s.write_done();
    s.chunk(1, 100, 4);
    s.chunk(2, 500, 7);
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:104+6 2:507+3");
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(2, 507, 3) == "r2 10");
    CHECK(s.begin_chunk(1, 104, 6) == "");
    CHECK(s.verdict().position == 4);
    CHECK(s.end_chunk(1) == "r1 10");
    CHECK(s.counted().resumed == 1);
}

TEST_CASE("mrd_fsm: S7, museum S02: one call is opened for any number of broken ranges, and carries them") {
    stream s = open_stream(patient());
    for (std::uint64_t n = 1; n <= 5; ++n) s.add(n, n, 1), s.write_done();
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:1+1 2:2+1 3:3+1 4:4+1 5:5+1");
    CHECK(s.add(6, 6, 1) == "");
    CHECK(s.add(7, 7, 1) == "");
    CHECK(s.write_done() == "write 6:6+1 7:7+1");  // it need not wait for the first response
}

TEST_CASE("mrd_fsm: S7: a message on resuming holds no more than a hundred ranges") {
    stream s = open_stream(patient());
    for (std::uint64_t n = 0; n < 2 * max_ranges_per_message + 1; ++n) s.add(n, n, 1), s.write_done();
    s.call_ended(unavailable);
    CHECK(s.machine().message().size() == max_ranges_per_message);
    s.write_done();
    CHECK(s.machine().message().size() == max_ranges_per_message);
    s.write_done();
    CHECK(s.machine().message().size() == 1);
    CHECK(s.write_done() == "");
}

TEST_CASE("mrd_fsm: S5, S7: a range that has all its bytes is not requested again, even without range_end") {
    stream s = open_stream(patient());
    s.add(1, 0, 4);
    s.write_done();
    s.add(2, 4, 4);
    CHECK(s.chunk(1, 0, 4, false) == "r1 4");
    CHECK(s.call_ended(unavailable) == "reconnecting, start 2:4+4");
}

TEST_CASE("mrd_fsm: S7: the first attempt after progress is immediate, later ones wait, then the stream fails"
) {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.chunk(1, 0, 2);
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:2+6");
    CHECK(s.call_ended(unavailable) == "wait 200");
    CHECK(s.machine().state() == mrd_state::waiting);
    CHECK(s.add(2, 8, 8) == "");
    CHECK(s.wait_over() == "start 1:2+6 2:8+8");
    CHECK(
        s.call_ended(unavailable) ==
        "r1 2: gone (attempt 2 of 2), r2 0: gone (attempt 2 of 2), ended: gone (attempt 2 of 2)"
    );
    CHECK(s.machine().state() == mrd_state::failed);
    CHECK(s.wait_over() == "");
}

TEST_CASE("mrd_fsm: S7: a permanent error fails the pending ranges at once") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.chunk(1, 0, 2);
    CHECK(s.call_ended(denied) == "r1 2: denied, ended: denied");
    CHECK(s.add(2, 0, 1) == "r2 0: denied");
}

TEST_CASE("mrd_fsm: S7, museum S09: OK from the service with ranges pending is a break like any other") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.chunk(1, 0, 3);
    CHECK(s.call_ended() == "reconnecting, start 1:3+5");
}

TEST_CASE(
    "mrd_fsm: S7: a stream that breaks while idle sleeps, and its next range opens a call that carries it"
) {
    for (const error_value& why : {error_value(), aborted, unavailable}) {
        stream s = open_stream(patient());
        s.add(1, 0, 4);
        s.write_done();
        s.chunk(1, 0, 4, true);
        CHECK(s.call_ended(why) == "");
        CHECK(s.machine().state() == mrd_state::dormant);
        CHECK(s.add(2, 4, 4) == "start 2:4+4");
        CHECK(s.response() == "");
        CHECK(s.chunk(2, 4, 4) == "r2 4");
    }
}

TEST_CASE("mrd_fsm: S7: a stream that ends while idle with a permanent error fails") {
    stream s = open_stream(patient());
    CHECK(s.call_ended(denied) == "ended: denied");
}

TEST_CASE("mrd_fsm: S7: a dormant stream ends at once when it is closed") {
    stream s = open_stream(patient());
    s.call_ended(aborted);
    CHECK(s.close() == "ended");
    CHECK(s.machine().state() == mrd_state::closed);
}

TEST_CASE("mrd_fsm: S7: a stream that waits for its next call ends at once when it is closed") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.call_ended(unavailable);
    s.call_ended(unavailable);
    REQUIRE(s.machine().state() == mrd_state::waiting);
    CHECK(s.close(errc::shut_down) == "r1 0: shut down, ended: shut down");
    CHECK(s.wait_over() == "");
}

TEST_CASE("mrd_fsm: S7: a stream without ranges to resume sleeps and makes no further call") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    SUBCASE("cancelled during the wait") {
        s.call_ended(unavailable);
        s.call_ended(unavailable);
        CHECK(s.cancel(1) == "r1 0: timed out, wait no more, reconnected");
        CHECK(s.wait_over() == "");
    }
    SUBCASE("cancelled before the call breaks again") {
        s.call_ended(unavailable);
        CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
        CHECK(s.call_ended(unavailable) == "reconnected");
    }
    SUBCASE("cancelled before the call is answered, which costs an attempt") {
        s.call_ended(unavailable);
        CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
        CHECK(s.machine().reconnect().attempts() == 1);
        CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnected");
        CHECK(s.machine().reconnect().attempts() == 2);
    }
    SUBCASE("cancelled while a dormant stream opens a call, which continues unseen by the owner") {
        s.cancel(1);
        s.call_ended(aborted);
        REQUIRE(s.machine().state() == mrd_state::dormant);
        CHECK(s.add(2, 0, 8) == "start 2:0+8");
        CHECK(s.cancel(2) == "r2 0: timed out");
        CHECK(s.response() == "");
        CHECK(s.call_ended(aborted) == "");
    }
    CHECK(s.machine().state() == mrd_state::dormant);
}

TEST_CASE("mrd_fsm: S7: a stream that slept after failed calls waits before the next, and reports it") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.call_ended(unavailable);
    s.cancel(1);
    s.call_ended(unavailable);
    REQUIRE(s.machine().state() == mrd_state::dormant);
    CHECK(s.add(2, 0, 1) == "reconnecting, wait 200");
    CHECK(s.wait_over() == "start 2:0+1");
    CHECK(s.response() == "reconnected");
}

TEST_CASE("mrd_fsm: S7: a first open is retried with all ranges added so far") {
    stream s(patient().open_attempts(3));
    s.add(1, 0, 4);
    CHECK(s.open() == "start 1:0+4");
    CHECK(s.call_ended(unavailable) == "wait 100");
    CHECK_FALSE(s.machine().has_opened());
    CHECK(s.add(2, 4, 4) == "");
    CHECK(s.wait_over() == "start 1:0+4 2:4+4");
    CHECK(s.call_ended() == "wait 200");  // OK, though nothing has come yet
    CHECK(s.wait_over() == "start 1:0+4 2:4+4");
    SUBCASE("the third attempt opens") {
        CHECK(s.response() == "opened");
        CHECK(s.counted().resumed == 0);
    }
    SUBCASE("the third attempt fails") {
        CHECK(
            s.call_ended(unavailable) ==
            "r1 0: gone (attempt 3 of 3), r2 0: gone (attempt 3 of 3), ended: gone (attempt 3 of 3)"
        );
    }
    SUBCASE("a permanent error ends the attempts") {
        CHECK(s.call_ended(aborted).ends_with("ended: idle for too long"));
    }
}

TEST_CASE("mrd_fsm: S7: the machine applies the budget to the time that it is given") {
    stream s = open_stream(patient().attempts(100).budget(10s));
    s.add(1, 0, 8);
    s.call_ended(unavailable);
    s.now += 9s;
    CHECK(s.call_ended(unavailable) == "wait 200");
    s.wait_over();
    s.now += 1s;
    CHECK(s.call_ended(unavailable).ends_with("ended: gone (no progress for 10 s, attempt 3)"));
}

TEST_CASE("mrd_fsm: S7: a message without memory costs its call, and no range") {
    stream s = open_stream(patient());
    CHECK(s.add(1, 0, 8) == "write 1:0+8");
    CHECK(s.out_of_memory() == "cancel call");
    CHECK(s.out_of_memory() == "");
    CHECK(s.add(2, 8, 8) == "");
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 1:0+8 2:8+8");
    CHECK(s.response() == "reconnected");
}

TEST_CASE("mrd_fsm: S7: lack of memory without attempts fails the stream with that cause") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.out_of_memory();
    CHECK(
        s.call_ended(grpc_failure(1, "cancelled")) ==
        "r1 0: Cannot allocate memory, ended: Cannot allocate memory"
    );
}

TEST_CASE("mrd_fsm: S9: a call without a stall timer is replaced by a call with one") {
    stream s = open_stream(patient().stall_timeout(20s));
    s.add(1, 0, 8);
    CHECK(s.machine().stall_timer() != 0);
    CHECK(s.stall_timer_failed() == "cancel call");
    CHECK(s.machine().stall_timer() == 0);
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 1:0+8");
    CHECK(s.machine().stall_timer() != 0);
}

TEST_CASE("mrd_fsm: P6: the owner of a failing stream is notified before the call has ended") {
    stream s = open_stream();
    s.add(1, 0, 8);
    CHECK(s.close(errc::generation_changed) == "r1 0: generation changed, reconnecting, cancel call");
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "ended: generation changed");
}

TEST_CASE("mrd_fsm: S7: redirects are followed at once, up to the limit in a row") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.chunk(1, 0, 2);
    CHECK(s.redirected() == "reconnecting, start 1:2+6");
    CHECK(s.redirected() == "start 1:2+6");
    CHECK(s.redirected(denied) == "start 1:2+6");  // it is the detail that counts, not the status
    CHECK(s.redirected().ends_with("ended: 4 redirects in a row without progress"));
    CHECK(s.counted().redirected == 4);
}

TEST_CASE("mrd_fsm: S7: a redirect at the open is followed, and an idle stream sleeps after one") {
    stream s(patient());
    CHECK(s.open() == "start");
    CHECK(s.redirected() == "start");
    CHECK(s.response() == "opened");
    CHECK(s.redirected() == "");
    CHECK(s.machine().state() == mrd_state::dormant);
}

TEST_CASE("mrd_fsm: S7: ABORTED without a redirect is a break on an open stream, and final at the open") {
    stream s(patient());
    s.open();
    SUBCASE("on an open stream") {
        s.response();
        s.add(1, 0, 8);
        CHECK(s.call_ended(aborted) == "reconnecting, start 1:0+8");
        CHECK(s.call_ended(aborted) == "wait 200");
        CHECK(s.counted().redirected == 0);
    }
    SUBCASE("at the open") {
        CHECK(s.call_ended(aborted) == "ended: idle for too long");
    }
}

TEST_CASE("mrd_fsm: S4: a rejected chunk is requested again from the last good byte, under another id") {
    const std::int64_t again = 1 + (std::int64_t{1} << 40);
    stream s = open_stream(patient());
    s.add(1, 100, 8);
    s.write_done();
    s.chunk(1, 100, 2);
    SUBCASE("a wrong checksum") {
        CHECK(s.chunk(1, 102, 2, false, errc::data_corrupted) == fmt::format("write {}:102+6", again));
        CHECK(s.counted().checksum_failures == 1);
        CHECK(s.machine().orphans_due() == 4);
    }
    SUBCASE("a wrong offset") {
        CHECK(s.chunk(1, 103, 2) == fmt::format("write {}:102+6", again));
        CHECK(s.machine().orphans_due() == 4);
    }
    SUBCASE("surplus bytes") {
        CHECK(s.chunk(1, 102, 7) == fmt::format("write {}:102+6", again));
        CHECK(s.machine().orphans_due() == 0);
    }
    // What the first request still brings is not the second's.
    CHECK(s.chunk(1, 104, 2) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.chunk(again, 102, 6) == "r1 8");
}

TEST_CASE("mrd_fsm: S4: a range has a number of attempts in a row, which a good chunk resets") {
    const auto id = [](std::int64_t asks) { return 1 + (asks << 40); };
    stream s = open_stream(patient().range_attempts(2));
    s.add(1, 0, 8);
    s.write_done();
    s.chunk(id(0), 0, 2, false, errc::data_corrupted), s.write_done();
    s.chunk(id(1), 0, 2, false, errc::data_corrupted), s.write_done();
    CHECK(s.chunk(id(2), 0, 2) == "");
    s.chunk(id(2), 2, 2, false, errc::data_corrupted), s.write_done();
    s.chunk(id(3), 2, 2, false, errc::data_corrupted), s.write_done();
    CHECK(s.chunk(id(4), 2, 2, false, errc::data_corrupted) == "r1 2: data corrupted");
}

TEST_CASE("mrd_fsm: S4: a range that was requested again is cancelled by its original id") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.write_done();
    s.chunk(1, 0, 2, false, errc::data_corrupted);
    CHECK(s.cancel(1) == "r1 0: timed out");
    CHECK(s.machine().orphans_due() == 6 + 8);
}

TEST_CASE("mrd_fsm: S4: damage to a range cancelled during the copy is ignored") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.begin_chunk(1, 0, 2);
    s.cancel(1);
    CHECK(s.end_chunk(1, errc::data_corrupted) == "r1 0: timed out");
}

TEST_CASE("mrd_fsm: S10, museum S04: the ranges that the service names fail, the others are resumed at once"
) {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 900, 8), s.write_done();
    s.add(3, 16, 8), s.write_done();
    s.chunk(3, 16, 2);
    CHECK(
        s.call_ended(past_the_end, {{2, past_the_end}}) ==
        "r2 0: past the end, reconnecting, start 1:0+8 3:18+6"
    );
    CHECK(s.machine().reconnect().attempts() == 0);
}

TEST_CASE("mrd_fsm: S10: a named range with a retryable status of its own, or none, is resumed") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 900, 8), s.write_done();
    CHECK(
        s.call_ended(past_the_end, {{1, error_value()}, {2, aborted}}) == "reconnecting, start 1:0+8 2:900+8"
    );
    CHECK(s.machine().reconnect().attempts() == 1);
}

TEST_CASE("mrd_fsm: S10: an unknown id in the details excuses no range") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    CHECK(s.call_ended(denied, {{7, past_the_end}}) == "r1 0: denied, ended: denied");
}

TEST_CASE("mrd_fsm: S10: a range refused without a name is found by bisection, and fails alone") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    for (const unsigned name : {2U, 3U, 4U}) s.add(name, name == 3 ? 900 : 16 * name, 8);
    s.write_done();
    // Four of them, two, one at a time; the third is at fault.
    CHECK(s.call_ended(past_the_end) == "reconnecting, start 1:0+8 2:32+8");
    s.write_done();
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(1, 0, 8, true) == "r1 8, write 3:900+8 4:64+8");
    s.write_done();
    CHECK(s.call_ended(past_the_end) == "reconnecting, start 2:32+8");
    s.write_done();
    s.response();
    CHECK(s.chunk(2, 32, 8, true) == "r2 8, write 3:900+8 4:64+8");
    s.write_done();
    CHECK(s.call_ended(past_the_end) == "reconnecting, start 3:900+8");
    s.write_done();
    s.response();
    CHECK(s.call_ended(past_the_end) == "r3 0: past the end, reconnecting, start 4:64+8");
    s.write_done();
    s.response();
    CHECK(s.chunk(4, 64, 8, true) == "r4 8");
    CHECK(s.machine().reconnect().attempts() == 0);
}

TEST_CASE("mrd_fsm: S10: unreadable details count as none, whatever the status") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 900, 8), s.write_done();
    mrd_fsm::call_end garbled;
    garbled.why = denied;
    garbled.unreadable = true;
    CHECK(s.call_ended(garbled) == "reconnecting, start 1:0+8");
    s.write_done();
    s.response();
    CHECK(s.chunk(1, 0, 8, true) == "r1 8, write 2:900+8");
    s.write_done();
    CHECK(s.call_ended(garbled) == "r2 0: denied");
    CHECK(s.machine().state() == mrd_state::dormant);
}

TEST_CASE("mrd_fsm: S10: after a transient status, unreadable details cost an attempt and fail no range") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 900, 8), s.write_done();
    mrd_fsm::call_end garbled;
    garbled.why = unavailable;
    garbled.unreadable = true;
    CHECK(s.call_ended(garbled) == "reconnecting, start 1:0+8");
    CHECK(s.machine().reconnect().attempts() == 1);
    s.write_done();
    s.response();
    CHECK(s.call_ended(garbled).starts_with("reconnecting, wait"));
    CHECK(s.machine().reconnect().attempts() == 2);
}

TEST_CASE("mrd_fsm: S10: successful ranges raise the number in flight, until no limit is left") {
    stream s = open_stream(patient());
    for (unsigned name = 1; name <= 300; ++name) s.add(name, 16 * name, 8), s.write_done();
    s.call_ended(past_the_end);
    s.write_done();
    s.response();
    CHECK(s.machine().most_under_way() == 100);
    s.chunk(1, 16, 8, true);
    CHECK(s.machine().most_under_way() > 1000);
    CHECK(s.machine().message().size() == max_ranges_per_message);
}

TEST_CASE("mrd_fsm: S10: the orphan bytes of a cancelled range occupy no place in flight") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 16, 8), s.write_done();
    s.call_ended(past_the_end);
    s.write_done();
    CHECK(s.response() == "reconnected");
    CHECK(s.cancel(1) == "r1 0: timed out, write 2:16+8");
    CHECK(s.chunk(1, 0, 4) == "");
    CHECK(s.chunk(1, 4, 4, true) == "");
}

TEST_CASE("mrd_fsm: S10: OUT_OF_RANGE without a range in flight ends the stream") {
    stream s = open_stream(patient());
    CHECK(s.call_ended(past_the_end) == "ended: past the end");
}

TEST_CASE("mrd_fsm: S10: a refused range that was cancelled before lets the others continue") {
    stream s = open_stream(patient());
    s.add(1, 0, 8), s.write_done();
    s.add(2, 900, 8), s.write_done();
    s.cancel(2);
    CHECK(s.call_ended(past_the_end, {{2, past_the_end}}) == "reconnecting, start 1:0+8");
}

TEST_CASE("mrd_fsm: S10: an error of an earlier request of a range does not fail the present one") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.write_done();
    s.chunk(1, 0, 2, false, errc::data_corrupted);
    const std::int64_t again = 1 + (std::int64_t{1} << 40);
    const std::vector<range_error> errors{{1, past_the_end}};
    CHECK(s.call_ended(past_the_end, errors) == fmt::format("reconnecting, start {}:0+8", again));
}

TEST_CASE("mrd_fsm: S10: a range refused at the open does not fail the stream") {
    stream s(patient());
    s.add(1, 900, 8);
    CHECK(s.open() == "start 1:900+8");
    CHECK(s.call_ended(past_the_end, {{1, past_the_end}}) == "r1 0: past the end, start");
    CHECK(s.response() == "opened");
}

TEST_CASE("mrd_fsm: S9: a silent call is cancelled, and its ranges are resumed") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.chunk(1, 0, 2);
    CHECK(s.check_stall() == "");  // the chunk
    for (int n = 1; n < 4; ++n) CHECK(s.check_stall() == "");
    CHECK(s.check_stall() == "cancel call");
    CHECK(s.check_stall() == "");
    CHECK(s.counted().stalled == 1);
    CHECK(s.add(2, 8, 8) == "");  // not on a call that is over
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 1:2+6 2:8+8");
}

TEST_CASE("mrd_fsm: S9: a byte of any range resets the stall check, a message without one does not") {
    stream s = open_stream(patient());
    s.add(1, 0, 8);
    s.write_done();
    s.add(2, 8, 8);
    s.check_stall();
    for (int n = 0; n < 3; ++n) s.check_stall();
    s.chunk(2, 8, 1);
    for (int n = 0; n < 4; ++n) CHECK(s.check_stall() == "");
    s.response();
    s.chunk(2, 9, 0);
    CHECK(s.check_stall() == "cancel call");
}

TEST_CASE("mrd_fsm: S9: one stall timer runs while ranges are pending on a call, and none otherwise") {
    mrd_fsm::options o;
    o.retry = patient().stall_timeout(20s);
    mrd_fsm m(o);
    mrd_actions out;
    m.open(out);
    REQUIRE(m.begin_call(out));
    m.write_done(out);
    m.response(out);
    CHECK(m.stall_timer() == 0);
    out.clear();
    m.add_range(sink_named(1), 0, 8, {}, out);
    REQUIRE(out.size() == 2);
    CHECK(out[1].kind == mrd_action_kind::set_stall_timer);
    CHECK(out[1].delay == 5s);
    const auto first = out[1].timer;
    CHECK(first == m.stall_timer());
    out.clear();
    SUBCASE("cancelled with the last range, so that it keeps no context running") {
        m.cancel_range(1, errc::timed_out, out);
        REQUIRE(out.size() == 2);
        CHECK(out[1].kind == mrd_action_kind::cancel_stall_timer);
        m.add_range(sink_named(2), 0, 8, {}, out);
        CHECK(m.stall_timer() != first);
        out.clear();
        m.check_stall(first, out);  // it was on its way already
        CHECK(out.empty());
    }
    SUBCASE("continued from one call to the next") {
        m.add_range(sink_named(2), 0, 8, {}, out);
        CHECK(out.empty());
        m.call_ended({unavailable, false, {}}, {}, out);
        CHECK(m.stall_timer() == first);
        out.clear();
        m.check_stall(first, out);
        CHECK(out.empty());
        CHECK(m.stall_timer() == 0);
        REQUIRE(m.begin_call(out));
        CHECK(m.stall_timer() != 0);
    }
}

TEST_CASE("mrd_fsm: S9: a stream that stalls repeatedly fails with that cause") {
    stream s = open_stream(patient().attempts(1));
    s.add(1, 0, 8);
    for (int n = 0; n < 5; ++n) s.check_stall();
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 1:0+8");
    for (int n = 0; n < 5; ++n) s.check_stall();
    CHECK(
        s.call_ended(grpc_failure(1, "cancelled")) ==
        "r1 0: no byte arrived for the stall timeout (attempt 1 of 1), ended: no byte arrived for the stall "
        "timeout "
        "(attempt 1 of 1)"
    );
}

TEST_CASE("mrd_fsm: S8: too many orphan bytes due retire the call, not the stream") {
    stream s = open_stream(patient().max_orphan_bytes(10));
    s.add(1, 0, 8), s.write_done();
    s.add(2, 8, 8), s.write_done();
    s.add(3, 16, 8), s.write_done();
    CHECK(s.cancel(1) == "r1 0: timed out");
    CHECK(s.chunk(2, 8, 1) == "");
    CHECK(s.machine().orphans_due() == 8);
    SUBCASE("the other ranges are resumed at once") {
        CHECK(s.cancel(2) == "r2 1: timed out, cancel call");
        CHECK(s.counted().retired == 1);
        CHECK(s.chunk(3, 16, 2) == "");  // until the call is over, what comes counts
        CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 3:18+6");
        CHECK(s.machine().reconnect().attempts() == 0);
        CHECK(s.machine().orphans_due() == 0);
    }
    SUBCASE("without other ranges the stream sleeps") {
        CHECK(s.chunk(3, 16, 8) == "r3 8");
        CHECK(s.cancel(2) == "r2 1: timed out, cancel call");
        CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "");
        CHECK(s.machine().state() == mrd_state::dormant);
    }
    SUBCASE("bytes that have arrived do not count") {
        CHECK(s.chunk(1, 0, 6) == "");
        CHECK(s.machine().orphans_due() == 2);
        CHECK(s.cancel(2) == "r2 1: timed out");
    }
    SUBCASE("bytes of a range that the service ended do not count") {
        CHECK(s.chunk(1, 0, 1, true) == "");
        CHECK(s.machine().orphans_due() == 0);
    }
}

TEST_CASE("mrd_fsm: S8: too many orphan ranges due retire the call, however short they are") {
    stream s = open_stream(patient().max_orphan_ranges(2));
    for (std::int64_t id = 1; id <= 4; ++id) {
        s.add(static_cast<std::uint64_t>(id), 8 * static_cast<std::uint64_t>(id), 8);
        s.write_done();
    }
    s.add(5, 90, 8);
    s.add(6, 98, 8);
    CHECK(s.cancel(6) == "r6 0: timed out");  // it was never sent, so it is not owed
    CHECK(s.machine().orphan_ranges_due() == 0);
    CHECK(s.cancel(1) == "r1 0: timed out");
    CHECK(s.cancel(2) == "r2 0: timed out");
    CHECK(s.machine().orphan_ranges_due() == 2);
    SUBCASE("one more cancelled range retires the call") {
        CHECK(s.cancel(3) == "r3 0: timed out, cancel call");
        CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 4:32+8 5:90+8");
        CHECK(s.machine().orphan_ranges_due() == 0);
    }
    SUBCASE("ended orphans do not count, with range_end or without") {
        CHECK(s.chunk(1, 8, 8) == "");
        CHECK(s.chunk(2, 16, 3, true) == "");
        CHECK(s.machine().orphan_ranges_due() == 0);
        CHECK(s.cancel(3) == "r3 0: timed out");
    }
}

TEST_CASE("mrd_fsm: S8: a rejected chunk leaves orphan bytes due, too") {
    stream s = open_stream(patient().max_orphan_bytes(10));
    s.add(1, 0, 20), s.write_done();
    CHECK(s.chunk(1, 0, 2, false, errc::data_corrupted) == "cancel call");
    CHECK(s.counted().retired == 1);
}

TEST_CASE("mrd_fsm: a call that ended by itself before its cancellation is judged by its own status") {
    stream s = open_stream(patient().max_orphan_bytes(0));
    s.add(1, 0, 8), s.write_done();
    s.add(2, 8, 8), s.write_done();
    CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
    SUBCASE("a permanent status") {
        CHECK(s.call_ended(denied) == "r2 0: denied, ended: denied");
    }
    SUBCASE("a transient status") {
        CHECK(s.call_ended(unavailable) == "reconnecting, start 2:8+8");
        CHECK(s.machine().reconnect().attempts() == 1);
    }
    SUBCASE("the status of the cancellation") {
        CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "reconnecting, start 2:8+8");
        CHECK(s.machine().reconnect().attempts() == 0);
    }
}

TEST_CASE("mrd_fsm: S8: a stream closed while its call is being retired ends with the call") {
    stream s = open_stream(patient().max_orphan_bytes(0));
    s.add(1, 0, 8), s.write_done();
    s.add(2, 8, 8), s.write_done();
    CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
    CHECK(s.close() == "r2 0: stream closed");
    CHECK(s.call_ended(grpc_failure(1, "cancelled")) == "ended");
}

TEST_CASE("mrd_fsm: a shell that performs actions late performs only those still needed") {
    mrd_fsm::options o;
    o.retry = patient();
    mrd_fsm m(o);
    mrd_actions out;
    m.open(out);
    REQUIRE(m.begin_call(out));
    m.response(out);
    m.write_done(out);
    m.add_range(sink_named(1), 0, 8, {}, out);
    SUBCASE("a message of an ended call is not sent on the next one") {
        m.call_ended({unavailable, false, {}}, {}, out);
        CHECK_FALSE(m.begin_write());
        CHECK(m.begin_call(out));
        CHECK(m.message().size() == 1);
        CHECK_FALSE(m.begin_write());
    }
    SUBCASE("a message whose ranges were cancelled is not sent") {
        m.cancel_range(1, errc::timed_out, out);
        CHECK_FALSE(m.begin_write());
        out.clear();
        m.add_range(sink_named(2), 0, 8, {}, out);
        REQUIRE_FALSE(out.empty());
        CHECK(out.front().kind == mrd_action_kind::write);
    }
    SUBCASE("a call is not opened for cancelled ranges") {
        m.call_ended({unavailable, false, {}}, {}, out);
        m.cancel_range(1, errc::timed_out, out);
        out.clear();
        CHECK_FALSE(m.begin_call(out));
        CHECK(m.state() == mrd_state::dormant);
        CHECK(out.front().kind == mrd_action_kind::reconnected);
    }
    SUBCASE("a call is not opened for a closed stream") {
        m.call_ended({unavailable, false, {}}, {}, out);
        m.close(errc::stream_closed, {}, out);
        out.clear();
        CHECK_FALSE(m.begin_call(out));
        CHECK(out.front().kind == mrd_action_kind::ended);
        CHECK(m.state() == mrd_state::closed);
    }
}
