#include "unit/mrd_stream.hpp"

#include <algorithm>
#include <cstdint>

// Ranges at the end of an object that grows, and the reports of the machine for observers.

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

TEST_CASE("mrd_fsm: a tail is requested from the end, and completes with its offset") {
    stream s = open_stream();
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 90, 4) == "");
    CHECK(s.chunk(1, 94, 6, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 90);
}

TEST_CASE("mrd_fsm: S12: a tail resumed after growth continues where it was, not at the new end") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 90, 4) == "");
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:94+6");
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(1, 94, 6, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 90);
}

TEST_CASE("mrd_fsm: S12: a tail without any byte is requested from the end again") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.call_ended(unavailable) == "reconnecting, start 1:-10+10");
    CHECK(s.response() == "reconnected");
    CHECK(s.chunk(1, 120, 10, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 120);
}

TEST_CASE("mrd_fsm: S12: bytes with a wrong checksum do not fix the offset of a tail") {
    stream s = open_stream(retry_policy());
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.write_done() == "");
    const std::string renamed = s.chunk(1, 90, 4, false, error_value(errc::data_corrupted));
    CHECK(renamed == "write 1099511627777:-10+10");
    CHECK(s.chunk(1099511627777, 91, 10, true) == "r1 10");
    CHECK(action_of(s, mrd_action_kind::complete).offset == 91);
}

TEST_CASE("mrd_fsm: a tail longer than the object is the whole object, that of an empty object is empty") {
    stream s = open_stream();
    CHECK(s.add_tail(1, 10) == "write 1:-10+10");
    CHECK(s.chunk(1, 0, 4, true) == "r1 4");
    CHECK(s.add_tail(2, 10) == "");
    CHECK(s.write_done() == "write 2:-10+10");
    CHECK(s.chunk(2, 0, 0, true) == "r2 0");
    CHECK(s.machine().outstanding_bytes() == 0);
}

TEST_CASE("mrd_fsm: a tail at an impossible offset or with surplus bytes is a rejected chunk") {
    for (const auto& [offset, size] : {std::pair{std::int64_t{-1}, 1U}, {INT64_MAX - 5, 1U}, {90, 11U}}) {
        CAPTURE(offset);
        stream s = open_stream(retry_policy().range_attempts(0));
        CHECK(s.add_tail(1, 10) == "write 1:-10+10");
        CHECK(s.chunk(1, offset, size).starts_with("r1 0: the service sent"));
        CHECK(s.verdict().why.code() == errc::protocol_error);
    }
}

TEST_CASE("mrd_fsm: a reopened stream continues on another call, at no attempt") {
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

TEST_CASE("mrd_fsm: an idle stream that is reopened sleeps, a dormant or unopened one ignores it") {
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

TEST_CASE("mrd_fsm: the end of a call is reported with its cause and the attempts made") {
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

TEST_CASE("mrd_fsm: a retired call is reported with its cause and the bytes that it owes") {
    stream s = open_stream(retry_policy().max_orphan_bytes(3));
    CHECK(s.add(1, 0, 4) == "write 1:0+4");
    CHECK(s.cancel(1) == "r1 0: timed out, cancel call");
    CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::retired);
    CHECK(action_of(s, mrd_action_kind::cancel_call).received == 4);
}

TEST_CASE("mrd_fsm: a range is reported as refused only if the service named it") {
    stream s = open_stream(retry_policy());
    CHECK(s.add(1, 900, 4) == "write 1:900+4");
    s.call_ended(grpc_failure(11, "past the end"), {{1, grpc_failure(11, "past the end")}});
    CHECK(action_of(s, mrd_action_kind::complete).refused);
    CHECK(s.add(2, 0, 4) == "start 2:0+4");
    s.cancel(2);
    CHECK_FALSE(action_of(s, mrd_action_kind::complete).refused);
}

TEST_CASE("mrd_fsm: a reopened stream sends no handle until a response has reported the object") {
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
    SUBCASE("also after another reopen before the first response") {
        CHECK(s.reopen() == "cancel call");
        s.response();
        s.call_ended(cancelled);
        CHECK(s.machine().call_is_new());
    }
}

TEST_CASE("mrd_fsm: P14: a call that reports too small a size is replaced, at no attempt") {
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

TEST_CASE("mrd_fsm: P14: an unanswered call is judged by the size in its response") {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    s.add(1, 90, 20);
    CHECK(s.require(200) == "");
    SUBCASE("the required size") {
        CHECK(s.response(200) == "opened");
        CHECK(s.write_done() == "write 1:90+20");
    }
    SUBCASE("a smaller size: the call began before the requirement") {
        CHECK(s.response(100) == "opened, cancel call");
        CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::reopened);
        CHECK(s.call_ended(cancelled) == "reconnecting, start 1:90+20");
        SUBCASE("a smaller size again on the next call, which is at fault") {
            CHECK(s.response(100) == "cancel call");
            CHECK(action_of(s, mrd_action_kind::cancel_call).fate == call_fate::outdated);
            s.call_ended(cancelled);
            CHECK(s.machine().reconnect().attempts() == 1);
        }
    }
    SUBCASE("no size, and the call began before the requirement") {
        CHECK(s.response() == "opened, cancel call");
    }
}

TEST_CASE("mrd_fsm: P14: a finalized object meets every required size") {
    stream s(retry_policy().stall_timeout({}));
    s.open();
    s.response(~std::uint64_t{0});
    CHECK(s.require(1000) == "");
}

TEST_CASE("mrd_fsm: P14: a range that ends or is refused where bytes are known to exist is resumed") {
    stream s(retry_policy().stall_timeout({}).range_attempts(1));
    s.open();
    s.response(100);
    s.require(100);
    s.add(1, 90, 20), s.write_done();
    SUBCASE("after range_end, a limited number of times in a row") {
        CHECK(s.chunk(1, 90, 0, true) == "cancel call");
        CHECK(s.call_ended(cancelled) == "reconnecting, start 1:90+20");
        CHECK(s.machine().reconnect().attempts() == 1);
        s.response(100);
        CHECK(s.chunk(1, 90, 0, true) == "r1 0");
    }
    SUBCASE("after a refusal by name, a limited number of times in a row") {
        const error_value past_the_end = grpc_failure(11, "past the end");
        CHECK(s.call_ended(past_the_end, {{1, past_the_end}}) == "reconnecting, start 1:90+20");
        CHECK(s.machine().call_is_new());
        CHECK(s.machine().reconnect().attempts() == 1);
        s.response(100);
        const std::string refused = s.call_ended(past_the_end, {{1, past_the_end}});
        CHECK(refused.starts_with("r1 0: "));
    }
    SUBCASE("not at the end of the known bytes") {
        CHECK(s.chunk(1, 90, 10, true) == "r1 10");
    }
}

TEST_CASE("mrd_fsm: P14: a call that reports too small a size ends no range, and its bytes are no progress") {
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

TEST_CASE("mrd_fsm: P14: a tail is not accepted from a call that reports too small a size") {
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
