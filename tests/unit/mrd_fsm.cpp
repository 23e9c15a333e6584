#include "unit/mrd_stream.hpp"

#include <cstdint>

using namespace support;

// The events of one call. The end of a call is the subject of mrd_resume.cpp; here no call is retried.

TEST_CASE("mrd_fsm: S1: a response never waits for a send: bytes arrive while a request is written") {
    stream s = open_stream();
    CHECK(s.add(1, 0, 4) == "write 1:0+4");
    CHECK(s.add(2, 4, 4) == "");
    CHECK(s.chunk(1, 0, 4) == "r1 4");
    CHECK((s.machine().wire() == mrd_fsm::wire_state::writing));
    CHECK(s.write_done() == "write 2:4+4");
}

TEST_CASE(
    "mrd_fsm: S1, museum S05: chunks are routed by read_id, those of unknown and completed ids are dropped"
) {
    stream s = open_stream();
    s.add(1, 0, 4);
    s.write_done();
    s.add(2, 100, 4);
    CHECK(s.chunk(2, 100, 4) == "r2 4");
    CHECK(s.chunk(9, 0, 4) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.chunk(2, 100, 4, true) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.chunk(-1, 0, 4) == "");
    CHECK(s.chunk(0, 0, 4) == "");
    CHECK(s.counted().unknown_chunks == 4);
    CHECK(s.chunk(1, 0, 4, true) == "r1 4");
    CHECK(s.machine().state() == mrd_state::ready);
}

TEST_CASE("mrd_fsm: S1: bytes for a range that has not been sent are dropped") {
    stream s = open_stream();
    s.add(1, 0, 4);
    s.add(2, 4, 4);
    CHECK(s.chunk(2, 4, 4, true) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.write_done() == "write 2:4+4");
    CHECK(s.chunk(2, 4, 4, true) == "r2 4");
}

TEST_CASE("mrd_fsm: S2: ranges queue while a request is written, and are sent together in the next one") {
    stream s = open_stream();
    CHECK(s.add(1, 0, 1) == "write 1:0+1");
    CHECK(s.add(2, 10, 2) == "");
    CHECK(s.add(3, 20, 3) == "");
    CHECK(s.write_done() == "write 2:10+2 3:20+3");
    CHECK(s.write_done() == "");
    CHECK_FALSE((s.machine().wire() == mrd_fsm::wire_state::writing));
}

TEST_CASE("mrd_fsm: S2: a message holds the ranges that the service allows, further ones are sent in the next"
) {
    stream s = open_stream();
    s.add(1, 0, 1);
    for (std::uint64_t n = 0; n < 2 * max_ranges_per_message + 1; ++n) s.add(n, n, 1);
    s.write_done();
    CHECK(s.machine().message().size() == max_ranges_per_message);
    s.write_done();
    CHECK(s.machine().message().size() == max_ranges_per_message);
    s.write_done();
    CHECK(s.machine().message().size() == 1);
    CHECK(s.machine().message().front().offset == 2 * max_ranges_per_message);
    CHECK(s.write_done() == "");
}

TEST_CASE("mrd_fsm: S2: the message is unchanged until it has been written") {
    stream s = open_stream();
    s.add(1, 0, 1);
    const auto* const before = s.machine().message().data();
    for (std::uint64_t n = 2; n < 300; ++n) s.add(n, n, 1);
    s.cancel(1);
    CHECK(s.machine().message().data() == before);
    CHECK(s.machine().message().size() == 1);
    CHECK(s.machine().message().front().read_id == 1);
}

TEST_CASE("mrd_fsm: S2: a range that is cancelled in the queue is never sent") {
    stream s = open_stream();
    s.add(1, 0, 1);
    s.add(2, 10, 2);
    s.add(3, 20, 3);
    CHECK(s.cancel(2) == "r2 0: timed out");
    CHECK(s.write_done() == "write 3:20+3");
    s.add(4, 30, 4);
    CHECK(s.cancel(4) == "r4 0: timed out");
    CHECK(s.write_done() == "");
}

TEST_CASE("mrd_fsm: S3: ranges added before the call are sent in its first message") {
    stream s;
    CHECK(s.add(1, 0, 4) == "");
    CHECK(s.add(2, 4, 4) == "");
    CHECK(s.open() == "start 1:0+4 2:4+4");
    CHECK(s.add(3, 8, 4) == "");
    CHECK(s.write_done() == "write 3:8+4");  // it need not wait for the first response
    CHECK(s.response() == "opened");
    CHECK(s.response() == "");
    CHECK(s.chunk(1, 0, 4, true) == "r1 4");
}

TEST_CASE("mrd_fsm: S4: a chunk is written behind the accepted bytes") {
    stream s = open_stream();
    s.add(1, 100, 10);
    CHECK(s.begin_chunk(1, 100, 4) == "");
    CHECK(s.verdict().accept);
    CHECK(name_of(s.verdict().sink) == 1);
    CHECK(s.verdict().position == 0);
    CHECK(s.end_chunk(1) == "");
    CHECK(s.begin_chunk(1, 104, 6) == "");
    CHECK(s.verdict().position == 4);
    CHECK(s.end_chunk(1) == "r1 10");
}

TEST_CASE("mrd_fsm: S4, museum S04: a wrong checksum fails its range alone, and the accepted bytes count") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.write_done();
    s.add(2, 8, 8);
    CHECK(s.chunk(1, 0, 4) == "");
    CHECK(s.chunk(1, 4, 2, false, errc::data_corrupted) == "r1 4: data corrupted");
    CHECK(s.chunk(1, 6, 2, true) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.chunk(2, 8, 8, true) == "r2 8");
}

TEST_CASE("mrd_fsm: S4, museum S03: a chunk at another offset than the one due fails its range") {
    for (const std::int64_t offset : {0, 4, 100, 103, 105, -1}) {
        stream s = open_stream();
        s.add(1, 100, 8);
        s.chunk(1, 100, 4);
        CHECK(
            s.chunk(1, offset, 2) ==
            fmt::format("r1 4: the service sent a chunk at offset {} where 104 was due", offset)
        );
        CHECK_FALSE(s.verdict().accept);
    }
}

TEST_CASE("mrd_fsm: S4, museum S08: surplus bytes fail their range before they are written") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.write_done();
    s.add(2, 8, 8);
    s.chunk(1, 0, 6);
    CHECK(s.chunk(1, 6, 3, true) == "r1 6: the service sent 3 bytes at offset 6 where 2 were due");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.counted().orphan_bytes == 3);
    CHECK(s.chunk(2, 8, 8) == "r2 8");
}

TEST_CASE("mrd_fsm: S5: a range is complete with its last byte, with or without range_end") {
    stream s = open_stream();
    s.add(1, 0, 4);
    CHECK(s.chunk(1, 0, 4, false) == "r1 4");
    CHECK(s.machine().outstanding_bytes() == 0);
    CHECK(s.chunk(1, 4, 0, true) == "");
    CHECK(s.chunk(1, 4, 0, true) == "");
}

TEST_CASE("mrd_fsm: S5: a cancellation during the copy of the last byte is too late") {
    stream s = open_stream();
    s.add(1, 0, 4);
    s.begin_chunk(1, 0, 4);
    CHECK(s.cancel(1) == "");
    CHECK(s.end_chunk(1) == "r1 4");
    CHECK(s.cancel(1) == "");
}

TEST_CASE("mrd_fsm: S6, museum S06: a range that ends early reports the number of its bytes") {
    SUBCASE("range_end with the last chunk") {
        stream s = open_stream();
        s.add(1, 0, 8);
        CHECK(s.chunk(1, 0, 3, true) == "r1 3");
    }
    SUBCASE("range_end in an empty chunk after bytes") {
        stream s = open_stream();
        s.add(1, 0, 8);
        CHECK(s.chunk(1, 0, 3) == "");
        CHECK(s.chunk(1, 3, 0, true) == "r1 3");
    }
    SUBCASE("range_end without any byte") {
        stream s = open_stream();
        s.add(1, 0, 8);
        CHECK(s.chunk(1, 0, 0, true) == "r1 0");
    }
}

TEST_CASE("mrd_fsm: S6: an empty chunk without range_end changes nothing") {
    stream s = open_stream();
    s.add(1, 0, 8);
    CHECK(s.chunk(1, 0, 0) == "");
    CHECK(s.chunk(1, 0, 8) == "r1 8");
}

TEST_CASE("mrd_fsm: S8: a cancelled range completes at once, and its bytes are dropped as they arrive") {
    stream s = open_stream();
    s.add(1, 0, 8);
    CHECK(s.chunk(1, 0, 2) == "");
    CHECK(s.machine().outstanding_bytes() == 6);
    CHECK(s.cancel(1) == "r1 2: timed out");
    CHECK(s.cancel(1) == "");
    CHECK(s.machine().outstanding_bytes() == 0);
    CHECK(s.chunk(1, 2, 3) == "");
    CHECK_FALSE(s.verdict().accept);
    CHECK(s.chunk(1, 5, 3, true) == "");
    CHECK(s.counted().orphan_bytes == 6);
    CHECK(s.counted().unknown_chunks == 0);
    CHECK(s.chunk(1, 8, 1) == "");
    CHECK(s.counted().unknown_chunks == 1);
}

TEST_CASE("mrd_fsm: S8, museum S11: a range cancelled during a copy completes when the copy has ended") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.begin_chunk(1, 0, 4);
    CHECK(s.cancel(1) == "");
    CHECK(s.cancel(1, errc::pool_closed) == "");
    CHECK(s.end_chunk(1) == "r1 4: timed out");
    CHECK(s.chunk(1, 4, 4) == "");
    CHECK_FALSE(s.verdict().accept);
}

TEST_CASE("mrd_fsm: S8: an orphan is removed with its last byte, even without range_end") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.cancel(1);
    s.chunk(1, 0, 8);
    s.write_done();
    s.add(2, 0, 1);
    CHECK(s.machine().ranges().size() == 1);
}

TEST_CASE("mrd_fsm: completed ranges leave the machine, however many there were") {
    stream s = open_stream();
    for (int n = 1; n <= 1000; ++n) {
        s.add(1, 0, 1);
        s.write_done();
        CHECK(s.chunk(n, 0, 1, true) == "r1 1");
        CHECK(s.machine().ranges().size() <= 2);
    }
}

TEST_CASE("mrd_fsm: close fails the pending ranges, and completes when the call has ended") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.add(2, 8, 8);
    CHECK(s.close() == "r1 0: stream closed, r2 0: stream closed, cancel call");
    CHECK(s.close(errc::shut_down) == "");
    CHECK(s.add(3, 0, 1) == "r3 0: stream closed");
    CHECK(s.response() == "");
    CHECK(s.chunk(1, 0, 8) == "");
    CHECK(s.call_ended(errc::not_found) == "ended");
    CHECK(s.machine().state() == mrd_state::closed);
    CHECK(s.call_ended() == "");
}

TEST_CASE("mrd_fsm: a stream closed before its open ends when an owner opens it") {
    stream s;
    s.add(1, 0, 8);
    CHECK(s.close() == "r1 0: stream closed");
    CHECK(s.add(2, 0, 8) == "r2 0: stream closed");
    CHECK(s.open() == "ended");
    CHECK(s.machine().state() == mrd_state::closed);
    CHECK(s.open() == "");
}

TEST_CASE("mrd_fsm: a close with a reason passes it to the ranges and to the owner") {
    stream s = open_stream();
    s.add(1, 0, 8);
    CHECK(s.close(errc::shut_down) == "r1 0: shut down, reconnecting, cancel call");
    CHECK(s.add(2, 0, 1) == "r2 0: shut down");
    CHECK(s.call_ended() == "ended: shut down");
    CHECK(s.machine().state() == mrd_state::failed);
}

TEST_CASE("mrd_fsm: a call that fails to open ends the stream with its own reason") {
    stream s;
    s.add(1, 0, 8);
    s.open();
    CHECK(s.call_ended(errc::not_found) == "r1 0: not found, ended: not found");
    CHECK(s.machine().state() == mrd_state::failed);
}

TEST_CASE("mrd_fsm: museum S09: a call that ends with OK fails the pending ranges") {
    stream s = open_stream();
    s.add(1, 0, 8);
    s.chunk(1, 0, 3);
    s.add(2, 8, 8);
    CHECK(
        s.call_ended() ==
        "r1 3: the service ended the stream, r2 0: the service ended the stream, ended: the service ended "
        "the stream"
    );
}

TEST_CASE("mrd_fsm: a stream does not end before the copy in progress") {
    SUBCASE("closed with a reason during the copy") {
        stream s = open_stream();
        s.add(1, 0, 8);
        s.begin_chunk(1, 0, 4);
        CHECK(s.close(errc::shut_down) == "reconnecting, cancel call");
        CHECK(s.end_chunk(1) == "r1 4: shut down");
        CHECK(s.call_ended() == "ended: shut down");
    }
    SUBCASE("closed during the copy") {
        stream s = open_stream();
        s.add(1, 0, 8);
        s.begin_chunk(1, 0, 4);
        CHECK(s.close() == "cancel call");
        CHECK(s.end_chunk(1) == "r1 4: stream closed");
        CHECK(s.call_ended() == "ended");
    }
    SUBCASE("closed during the copy of the range's last bytes, which completes it") {
        stream s = open_stream();
        s.add(1, 0, 4);
        s.begin_chunk(1, 0, 4);
        CHECK(s.close() == "cancel call");
        CHECK(s.end_chunk(1) == "r1 4");
        CHECK(s.call_ended() == "ended");
    }
}

TEST_CASE("mrd_fsm: events of the wire need no memory") {
    stream s = open_stream();
    s.add(1, 0, 1);
    const std::size_t room = s.machine().message().capacity();
    for (std::uint64_t n = 2; n <= 90; ++n) s.add(n, n, 1);
    CHECK(s.write_done() != "");
    CHECK(s.machine().message().size() == 89);
    CHECK(s.machine().message().capacity() == room);
}

TEST_CASE("mrd_fsm: a stream is idle when it is ready and no byte is due, not even of cancelled ranges") {
    stream s;
    CHECK_FALSE(s.machine().idle());
    s.open();
    s.write_done();
    CHECK_FALSE(s.machine().idle());
    s.response();
    CHECK(s.machine().idle());
    s.add(1, 0, 10);
    s.write_done();
    CHECK_FALSE(s.machine().idle());
    s.cancel(1);
    CHECK(s.machine().outstanding_bytes() == 0);
    CHECK_FALSE(s.machine().idle());
    s.chunk(1, 0, 10, true);
    CHECK(s.machine().idle());
    s.close();
    CHECK_FALSE(s.machine().idle());
}
