#include "unit/mrd_stream.hpp"

#include <algorithm>
#include <cstdint>

// Ranges at the end of an object that grows, and what the machine says for those who watch.

using namespace support;
using namespace std::chrono_literals;
using rangeio::fsm::call_fate;

namespace {

/// The first action of this kind, of the last event.
const mrd_action& action_of(const stream& s, mrd_action_kind kind) {
    const auto it = std::ranges::find(s.decided(), kind, &mrd_action::kind);
    REQUIRE(it != s.decided().end());
    return *it;
}

}  // namespace

TEST_CASE("mrd_fsm: a tail is asked for from the end, and answered with where it begins") {
    stream s = open_stream();
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 90, 4) == "");
    CHECK(s.chunk(1, 94, 6, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 90);
}

TEST_CASE("mrd_fsm: S12: a tail that goes on after growth goes on where it was, not at the new end") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 90, 4) == "");
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:94+6");
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(1, 94, 6, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 90);
}

TEST_CASE("mrd_fsm: S12: a tail of which nothing has come is asked for from the end again") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:-10+10");
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(1, 120, 10, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 120);
}

TEST_CASE("mrd_fsm: S12: bytes whose checksum is wrong do not say where a tail begins") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.write_done() == "");
    const std::string renamed = s.chunk(1, 90, 4, false, failure(errc::data_corrupted));
    CHECK(renamed == "write 1099511627777:-10+10");
    CHECK(s.chunk(1099511627777, 91, 10, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 91);
}

TEST_CASE("mrd_fsm: a tail longer than the object ends with it, that of an empty one with nothing") {
    stream s = open_stream();
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 0, 4, true) == "r1 4");
    CHECK(s.add_tail(2, 10) == "");
    CHECK(s.write_done() == "write 2:-10+10");
    CHECK(s.chunk(2, 0, 0, true) == "r2 0");
    CHECK(s.machine().outstanding_bytes() == 0);
}

TEST_CASE(
    "mrd_fsm: a tail that begins before the object or past all offsets, or is too long, is a rejected chunk"
) {
    for (const auto& [offset, size] : {std::pair{std::int64_t{-1}, 1U}, {INT64_MAX - 5, 1U}, {90, 11U}}) {
        CAPTURE(offset);
        stream s = open_stream(retry_policy().range_attempts(0));
        CHECK(s.add_tail(1, 10) == "write 1:-10+10");
        CHECK(s.chunk(1, offset, size).starts_with("r1 0: the service sent"));
        CHECK(s.verdict().why.code() == errc::protocol_error);
    }
}

TEST_CASE("mrd_fsm: a stream that is reopened goes on with another call, and no attempt is used up") {
    stream s = open_stream(retry_policy::none().stall_timeout({}));
    CHECK(s.add(1, 0, 4) == "write 1:0+4");
    CHECK(s.chunk(1, 0, 1) == "");
    CHECK(s.reopen() == "cancel call");
    CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::reopened);
    CHECK(s.reopen() == "");  // one is about to follow
    CHECK(s.add(2, 8, 4) == "");
    CHECK(s.call_ended(cancelled) == "reconnecting, start 1:1+3 2:8+4");
    CHECK(s.machine().reconnect().attempts() == 0);
    CHECK(s.counted().retired == 0);
}

TEST_CASE(
    "mrd_fsm: a stream that is reopened with nothing under way sleeps; one that sleeps, or never opened, "
    "need "
    "not be"
) {
    stream s = open_stream();
    CHECK(s.reopen() == "cancel call");
    CHECK(s.call_ended(cancelled) == "");
    CHECK(s.machine().state() == mrd_state::dormant);
    CHECK(s.reopen() == "");
    CHECK(s.add(1, 0, 4) == "start 1:0+4");
    stream fresh;
    CHECK(fresh.reopen() == "");
    CHECK(fresh.open() == "start");
    CHECK(fresh.reopen() == "");
}

TEST_CASE("mrd_fsm: the end of a call is told with its cause and the attempts that are used up") {
    stream s = open_stream(retry_policy().stall_timeout({}));
    CHECK(s.add(1, 0, 4) == "write 1:0+4");
    s.call_ended(unavailable);
    CHECK(action_of(s, mrd_action_kind::call_over).fate == call_fate::broken);
    CHECK(action_of(s, mrd_action_kind::call_over).why.code() == unavailable.code());
    CHECK(action_of(s, mrd_action_kind::call_over).attempt == 1);
    CHECK(action_of(s, mrd_action_kind::start_call).attempt == 1);
    s.call_ended(unavailable);
    CHECK(action_of(s, mrd_action_kind::call_over).attempt == 2);
    CHECK(action_of(s, mrd_action_kind::wait).attempt == 2);
    CHECK(s.wait_over() == "start 1:0+4");
    s.redirected();
    CHECK(action_of(s, mrd_action_kind::call_over).fate == call_fate::redirected);
    s.close();
    s.call_ended(cancelled);
    for (const mrd_action& a : s.decided()) CHECK(a.kind != mrd_action_kind::call_over);
}

TEST_CASE("mrd_fsm: a call that is given up is told with its cause and what it owes") {
    stream s = open_stream(retry_policy().max_orphan_bytes(3));
    CHECK(s.add(1, 0, 4) == "write 1:0+4");
    CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
    CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::retired);
    CHECK(action_of(s, mrd_action_kind::cancel_call).received == 4);
}

TEST_CASE("mrd_fsm: a range is told as refused only if the service named it") {
    stream s = open_stream(retry_policy());
    CHECK(s.add(1, 900, 4) == "write 1:900+4");
    s.call_ended(grpc_failure(11, "past the end"), {{1, grpc_failure(11, "past the end")}});
    CHECK(action_of(s, mrd_action_kind::complete).refused);
    CHECK(s.add(2, 0, 4) == "start 2:0+4");
    s.cancel(2);
    CHECK_FALSE(action_of(s, mrd_action_kind::complete).refused);
}

TEST_CASE("mrd_fsm: a reopened stream comes without a handle until a response has told of the object") {
    stream s = open_stream(retry_policy());
    s.add(1, 0, 10), s.write_done();
    CHECK_FALSE(s.machine().call_is_new());
    s.reopen();
    CHECK(s.call_ended(cancelled) == "reconnecting, start 1:0+10");
    CHECK(s.machine().call_is_new());
    SUBCASE("also after a break") {
        s.call_ended(unavailable);
        CHECK(s.wait_over() == "start 1:0+10");
        CHECK(s.machine().call_is_new());
        s.response();
        s.call_ended(unavailable);
        CHECK(s.wait_over() == "start 1:0+10");
        CHECK_FALSE(s.machine().call_is_new());
    }
    SUBCASE("also if it is reopened once more before the response of the call that goes") {
        CHECK(s.reopen() == "cancel call");
        s.response();
        s.call_ended(cancelled);
        CHECK(s.machine().call_is_new());
    }
}

TEST_CASE("mrd_fsm: P14: a call that does not know of all bytes is followed by one that does, at no attempt"
) {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    CHECK(s.response(100) == "opened");
    s.add(1, 90, 20), s.write_done();
    CHECK(s.require(100) == "");
    CHECK(s.require(200) == "cancel call");
    CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::reopened);
    CHECK(s.chunk(1, 90, 10, true) == "");  // its end is not the range's
    CHECK(s.call_ended(cancelled) == "reconnecting, start 1:100+10");
    CHECK(s.machine().call_is_new());
    CHECK(s.machine().reconnect().attempts() == 0);
    CHECK(s.response(200) == "reconnected");
    CHECK(s.chunk(1, 100, 10, true) == "r1 20");
}

TEST_CASE("mrd_fsm: P14: a call that is not answered yet says by its response what it knows") {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    s.add(1, 90, 20);
    CHECK(s.require(200) == "");
    SUBCASE("enough") {
        CHECK(s.response(200) == "opened");
        CHECK(s.write_done() == "write 1:90+20");
    }
    SUBCASE("too little: it began before") {
        CHECK(s.response(100) == "opened, cancel call");
        CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::reopened);
        CHECK(s.call_ended(cancelled) == "reconnecting, start 1:90+20");
        SUBCASE("and what knows still less than that is at fault") {
            CHECK(s.response(100) == "cancel call");
            CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::outdated);
            s.call_ended(cancelled);
            CHECK(s.machine().reconnect().attempts() == 1);
        }
    }
    SUBCASE("nothing, and it began before") {
        CHECK(s.response() == "opened, cancel call");
    }
}

TEST_CASE("mrd_fsm: P14: an object that will not grow is known as a whole") {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    s.response(~std::uint64_t{0});
    CHECK(s.require(1000) == "");
}

TEST_CASE("mrd_fsm: P14: a range that ends, or is refused, where bytes are known to exist is resumed") {
    stream s(retry_policy().stall_timeout({}).range_attempts(1));
    s.open();
    s.response(100);
    s.require(100);
    s.add(1, 90, 20), s.write_done();
    SUBCASE("by its end, so many times in a row") {
        CHECK(s.chunk(1, 90, 0, true) == "cancel call");
        CHECK(s.call_ended(cancelled) == "reconnecting, start 1:90+20");
        CHECK(s.machine().reconnect().attempts() == 1);
        s.response(100);
        CHECK(s.chunk(1, 90, 0, true) == "r1 0");
    }
    SUBCASE("by its name, so many times in a row") {
        const failure past_the_end = grpc_failure(11, "past the end");
        CHECK(s.call_ended(past_the_end, {{1, past_the_end}}) == "reconnecting, start 1:90+20");
        CHECK(s.machine().call_is_new());
        CHECK(s.machine().reconnect().attempts() == 1);
        s.response(100);
        const std::string refused = s.call_ended(past_the_end, {{1, past_the_end}});
        CHECK(refused.starts_with("r1 0: "));
    }
    SUBCASE("but not where the known bytes end") {
        CHECK(s.chunk(1, 90, 10, true) == "r1 10");
    }
}

TEST_CASE("P14: a call that knows of too little ends no range, and what it brings is no progress") {
    stream s(retry_policy().stall_timeout({}).range_attempts(1));
    s.open();
    s.response(100);
    CHECK(s.require(200) == "cancel call");
    s.call_ended(cancelled);
    CHECK(s.add(1, 90, 20) == "start 1:90+20");
    CHECK(s.response(100) == "cancel call");
    CHECK(s.chunk(1, 90, 10, true) == "");
    s.call_ended(cancelled);
    for (unsigned attempt = 1; attempt < 5; ++attempt) {
        CHECK(s.machine().reconnect().attempts() == attempt);
        CHECK(s.wait_over() == "start 1:100+10");
        CHECK(s.response(100) == "cancel call");
        CHECK(s.chunk(1, 100, 0, true) == "");
        s.call_ended(cancelled);
    }
    CHECK(s.wait_over() == "start 1:100+10");
    CHECK(s.response(200) == "reconnected");
    CHECK(s.chunk(1, 100, 10, true) == "r1 20");
    CHECK(s.machine().reconnect().attempts() == 0);
}

TEST_CASE("P14: a tail is not taken from a call that knows of too little") {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    s.response(100);
    CHECK(s.require(200) == "cancel call");
    s.call_ended(cancelled);
    CHECK(s.add_tail(1, 10) == "start 1:-10+10");
    CHECK(s.response(100) == "cancel call");
    CHECK(s.chunk(1, 90, 10, true) == "");
    s.call_ended(cancelled);
    CHECK(s.wait_over() == "start 1:-10+10");
    CHECK(s.response(200) == "reconnected");
    CHECK(s.chunk(1, 190, 10, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 190);
}
