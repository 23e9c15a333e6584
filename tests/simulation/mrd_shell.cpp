#include "simulation/mrd_fixture.hpp"

#include <cstdint>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <vector>

// The shell of the stream: that it does what the machine decides.

using namespace support;
using fixture = support::mrd_fixture;

TEST_CASE("mrd: S7: a range continues where it was, in the call's first message, and reads as a whole") {
    fixture f;
    f.opened();
    const auto got = f.read(4, 15);
    f.call().respond();
    f.call().send(1, 4, 6);
    f.call().end(unavailable);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{1, 10, 9}});
    CHECK(f.owner->heard == "opened reconnecting ");
    f.call().respond();
    CHECK(f.owner->heard == "opened reconnecting reconnected ");
    f.call().send(1, 10, 9, true);
    REQUIRE(got->outcome);
    CHECK_FALSE(got->outcome->why);
    CHECK(got->memory == content.substr(4, 15));
    CHECK(f.core->timers().empty());
}

TEST_CASE("mrd: S7: the next call carries the newest handle, the newest token, the pinned generation") {
    fixture f;
    CHECK(f.call().spec.object.generation() == 0);
    f.opened("first");
    const auto got = f.read(0, 4);
    f.call().respond("second");

    call_end end = unavailable;
    end.redirect.emplace().routing_token = "a%b=c";
    f.call().end(end);
    CHECK(f.call().spec.object.generation() == 7);
    CHECK(f.call().spec.read_handle == "second");  // the redirect had none, so the old one is kept
    CHECK(f.call().spec.routing_token == "a%b=c");

    end.redirect.emplace().read_handle = "third";
    f.call().end(end);
    CHECK(f.call().spec.read_handle == "third");
    CHECK(f.call().spec.routing_token == "a%b=c");
    CHECK(f.connector->calls.size() == 3);
}

TEST_CASE("mrd: S7: the handle of a redirect is sent once the object is opened, and not before") {
    fixture f;
    call_end end;
    end.why = unavailable;
    end.redirect.emplace().routing_token = "there";
    end.redirect->read_handle = "moved";
    f.call().end(end);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().spec.routing_token == "there");
    CHECK(f.call().spec.read_handle.empty());  // with it the service may leave out what the object is
    f.opened();
    CHECK(f.stream->info()->generation == 7);
    const auto got = f.read(0, 9);
    f.call().end({});
    REQUIRE(f.connector->calls.size() == 3);
    CHECK(f.call().spec.read_handle == "moved");
}

TEST_CASE("mrd: S7: a redirect that no call can follow is a protocol error, and no call follows it") {
    const auto redirect_to = [](const std::string& token, const std::optional<std::string>& handle) {
        fixture f;
        f.opened();
        const auto got = f.read(0, 4);
        call_end end = unavailable;
        end.redirect.emplace().routing_token = token;
        end.redirect->read_handle = handle;
        f.call().end(end);
        if (f.connector->calls.size() == 2) return std::string("followed");
        REQUIRE(got->outcome);
        CHECK(got->outcome->why.code() == errc::protocol_error);
        CHECK(f.owner->heard == "opened reconnecting failed ");
        return got->outcome->why.message();
    };
    for (int c = 0; c < 256; ++c) {
        CAPTURE(c);
        const bool fits = c >= 0x20 && c <= 0x7e;
        CHECK((redirect_to("a" + std::string(1, static_cast<char>(c)), {}) == "followed") == fits);
    }
    CHECK(redirect_to(std::string(4096, 't'), std::string(65536, 'h')) == "followed");
    CHECK(
        redirect_to(std::string(4097, 't'), {}) ==
        "the service redirects with a token of 4097 bytes, the limit is 4096"
    );
    CHECK(
        redirect_to("t", std::string(65537, 'h')) ==
        "the service redirects with a read handle of 65537 bytes, the limit is 65536"
    );
}

TEST_CASE(
    "mrd: S7: a first response that pins no generation is a protocol error, unless a handle has pinned it"
) {
    const auto failed = [](fixture& f) {
        CHECK(f.call().told_to_end);
        f.call().end(cancelled);
        return f.owner->heard;
    };
    SUBCASE("no metadata at the open") {
        fixture f;
        f.call().respond_without_metadata();
        CHECK(failed(f) == "failed ");
    }
    SUBCASE("no valid generation at the open") {
        for (const std::int64_t generation :
             {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
            fixture f;
            f.call().respond("handle", generation);
            CHECK(failed(f) == "failed ");
        }
    }
    SUBCASE("no metadata when the stream is resumed without a handle") {
        fixture f;
        f.opened();
        const auto got = f.read(0, 4);
        f.call().end(unavailable);
        f.call().respond_without_metadata();
        REQUIRE(got->outcome);
        CHECK(got->outcome->why.code() == errc::protocol_error);
        CHECK(failed(f) == "opened reconnecting failed ");
    }
    SUBCASE("no metadata when the stream is reopened, which requires a new report of the object") {
        fixture f;
        f.opened("handle");
        f.stream->reopen();
        f.call().end(cancelled);
        const auto got = f.read(0, 4);
        f.call().respond_without_metadata();
        CHECK(failed(f) == "opened reconnecting failed ");
    }
    SUBCASE("no generation in a later response") {
        fixture f;
        f.opened();
        f.call().respond({}, 0);
        CHECK(failed(f) == "opened reconnecting failed ");
    }
    SUBCASE("a handle has pinned it") {
        fixture f;
        f.opened("handle");
        const auto got = f.read(0, 4);
        f.call().end(unavailable);
        f.call().respond_without_metadata();
        CHECK(f.owner->heard == "opened reconnecting reconnected ");
        f.call().send(1, 0, 4, true);
        REQUIRE(got->outcome);
        CHECK_FALSE(got->outcome->why);
    }
}

TEST_CASE("object_source: S7: a named generation is pinned before the first response") {
    object_source source(object_ref("b-1", "o", 7));
    object_info info;
    info.generation = 8;
    CHECK(source.update(&info, nullptr).code() == errc::generation_changed);
    CHECK(source.spec().object.generation() == 7);
    info.generation = 7;
    CHECK_FALSE(source.update(&info, nullptr));
}

TEST_CASE("mrd: S7: a wait is drawn from the machine's bound, and the call follows at its end") {
    std::vector<std::chrono::nanoseconds> waits;
    for (int round = 0; round < 2; ++round) {
        fixture f(retry_policy().initial_backoff(1s).stall_timeout(0s));
        f.opened();
        const auto got = f.read(0, 4);
        f.call().end(unavailable);  // opening was progress
        f.call().end(unavailable);
        REQUIRE(f.core->timers().size() == 1);
        waits.push_back(f.core->timers().front());
        CHECK(waits.back() >= 0s);
        CHECK(waits.back() <= 2s);
        CHECK(f.connector->calls.size() == 2);
        f.core->go_off();
        CHECK(f.connector->calls.size() == 3);
        CHECK(f.call().asked.size() == 1);
    }
    CHECK(waits[0] == waits[1]);  // a seed replays
}

TEST_CASE("mrd: S7: a stream closed during a wait ends at once and leaves no timer") {
    fixture f(retry_policy().stall_timeout(0s));
    f.opened();
    const auto got = f.read(0, 4);
    f.call().end(unavailable);
    f.call().end(unavailable);
    f.stream->close({});
    REQUIRE(got->outcome);
    CHECK(got->outcome->why.code() == errc::stream_closed);
    CHECK(f.owner->heard == "opened reconnecting ended ");
    CHECK(f.core->timers().empty());
}

TEST_CASE("mrd: a stream between calls needs no owner reference, and its context ends it") {
    fixture f(retry_policy().stall_timeout(0s));
    f.opened();
    const auto got = f.read(0, 4);
    f.call().end(unavailable);
    f.call().end(unavailable);
    f.stream.reset();
    f.core->shut_down();
    CHECK(f.owner->heard == "opened reconnecting failed ");
    CHECK(got->outcome->why.code() == errc::shut_down);
}

TEST_CASE("mrd: S7: an idle stream that breaks sleeps, and its next range opens a call") {
    fixture f;
    f.opened();
    f.call().end(unavailable);
    CHECK(f.connector->calls.size() == 1);
    const auto got = f.read(0, 4);
    CHECK(f.connector->calls.size() == 2);
    CHECK(f.call().asked.size() == 1);
    f.call().respond();
    f.call().send(1, 0, 4, true);
    CHECK(got->memory == "The ");
    CHECK(f.owner->heard == "opened ");
}

TEST_CASE("mrd: S9: a silent call is cancelled, and its range continues on the next one") {
    fixture f(retry_policy().stall_timeout(20s));
    f.opened();
    const auto got = f.read(0, 9);
    f.call().send(1, 0, 4);
    for (int look = 0; look < 5; ++look) {
        CHECK(f.core->timers() == std::vector<std::chrono::nanoseconds>{5s});
        CHECK_FALSE(f.call().told_to_end);
        f.core->go_off();
    }
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{1, 4, 5}});
}

TEST_CASE("mrd: S8: a call with too many orphan bytes due is cancelled, and the stream is kept") {
    fixture f(retry_policy().max_orphan_bytes(8));
    f.opened();
    const auto got = f.read(0, 20);
    f.stream->cancel(f.id, errc::timed_out);
    REQUIRE(got->outcome);
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    CHECK(f.owner->heard == "opened ");
    const auto next = f.read(0, 4);
    CHECK(f.connector->calls.size() == 2);
}

TEST_CASE("mrd: S10: the range that the service names fails with its message, the other one continues") {
    fixture f;
    f.opened();
    const auto bad = f.read(900, 4);
    f.call().events->on_write_done();
    const auto good = f.read(0, 4);
    call_end end =
        error_value(errc::range_not_satisfiable, "of the call", rangeio::error_class::out_of_range);
    end.range_errors.push_back(
        {1, error_value(errc::range_not_satisfiable, "of the range", rangeio::error_class::out_of_range)}
    );
    f.call().end(end);
    REQUIRE(bad->outcome);
    CHECK(bad->outcome->why.message() == "of the range");
    CHECK_FALSE(good->outcome);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{2, 0, 4}});
}

TEST_CASE("mrd: S4: bytes with a wrong checksum are replaced by right ones") {
    fixture f;
    f.opened();
    const auto got = f.read(0, 9);
    f.call().send(1, 0, 4);
    f.call().events->on_write_done();
    f.call().damage = true;
    f.call().send(1, 4, 5, true);
    f.call().damage = false;
    CHECK_FALSE(got->outcome);
    REQUIRE(f.call().asked.size() == 2);
    const auto again = f.call().asked.back();
    CHECK(again.offset == 4);
    CHECK(again.length == 5);
    f.call().send(again.read_id, 4, 5, true);
    REQUIRE(got->outcome);
    CHECK_FALSE(got->outcome->why);
    CHECK(got->memory == "The quick");
}

TEST_CASE("mrd: the open timeout covers all calls of an open and the waits between them") {
    fixture f(retry_policy().stall_timeout(0s));
    CHECK(f.core->timers() == std::vector<std::chrono::nanoseconds>{30s});
    f.call().end(unavailable);
    REQUIRE(f.core->timers().size() == 2);
    f.core->go_off();
    CHECK(f.connector->calls.size() == 2);
    CHECK(f.core->timers() == std::vector<std::chrono::nanoseconds>{30s});
    f.core->go_off();
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    CHECK(f.owner->heard == "failed ");
}

TEST_CASE("mrd: a stream opened after its close reports its end and leaves nothing behind") {
    std::string told;
    SUBCASE("closed without a reason") {
        told = "ended ";
    }
    SUBCASE("closed with a reason") {
        told = "failed ";
    }
    fixture f({}, nullptr, false);
    const auto got = f.read(4, 15);
    f.stream->close(told == "ended " ? error_value() : error_value(errc::shut_down));
    REQUIRE(got->outcome);
    CHECK(got->outcome->why);
    CHECK(f.owner->heard.empty());
    f.stream->open(f.owner);
    CHECK(f.owner->heard == told);
    CHECK(f.owner.use_count() == 1);
    CHECK(f.connector->calls.empty());
    CHECK(f.stream.use_count() == 1);  // else it is still in its context
}

TEST_CASE("mrd: a stream opened after its context's end reports the failure and leaves nothing behind") {
    fixture f({}, nullptr, false);
    f.core->shut_down();
    f.stream->open(f.owner);
    CHECK(f.owner->heard == "failed ");
    CHECK(f.connector->calls.empty());
    CHECK(f.stream.use_count() == 1);
}

TEST_CASE("mrd: museum S10: while one consumer copies slowly, other ranges of its stream start and complete"
) {
    /// Calls the test's function while bytes are copied into its memory.
    class slow_reader final : public range_sink {
    public:
        explicit slow_reader(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)) {}
        byte_range range() const noexcept override { return {0, 4}; }
        std::uint32_t take(
            std::uint64_t, std::span<const std::byte> bytes, std::uint32_t crc
        ) noexcept override {
            meanwhile_();
            return crc32c_extend(crc, bytes);
        }
        void done(const range_outcome& how) noexcept override { outcome = how; }

        std::optional<range_outcome> outcome;

    private:
        const std::function<void()> meanwhile_;
    };
    fixture f;
    f.opened();
    const auto other = f.read(4, 5);
    const std::int64_t other_id = f.id;
    f.call().events->on_write_done();
    bool other_ended = false;
    std::future<void> asking;
    const auto slow = std::make_shared<slow_reader>([&] {
        asking = std::async(std::launch::async, [&] {
            f.stream->cancel(other_id, errc::timed_out);
            const auto late = f.read(10, 5);
        });
        other_ended = asking.wait_for(1s) == std::future_status::ready && other->outcome.has_value();
    });
    const std::int64_t slow_id = f.stream->read(slow);
    f.call().events->on_write_done();
    f.call().send(slow_id, 0, 4, true);
    asking.wait();
    CHECK(other_ended);
    REQUIRE(slow->outcome);
    CHECK_FALSE(slow->outcome->why);
    REQUIRE(f.call().asked.size() == 3);
    CHECK(f.call().asked.back().offset == 10);
}

TEST_CASE("mrd: a handle that arrives after a reopen is not sent with the next call") {
    fixture f;
    f.opened("first");
    const auto got = f.read(0, 9);
    f.stream->reopen();
    f.call().respond("late");
    f.call().end(cancelled);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().spec.read_handle.empty());
}

TEST_CASE("mrd: P14: a stream whose call reports too small a size continues on another call") {
    fixture f;
    f.opened("first");
    const auto got = f.read(0, 9);
    f.stream->require(content.size());
    CHECK_FALSE(f.call().told_to_end);
    f.stream->require(content.size() + 1);
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().spec.read_handle.empty());
}

TEST_CASE("mrd: a reopened stream opens a call without a handle, so that the object is reported anew") {
    fixture f;
    f.opened("first");
    const auto got = f.read(0, 9);
    f.call().send(1, 0, 4);
    f.stream->reopen();
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().spec.read_handle.empty());
    CHECK(f.call().spec.object.generation() == 7);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{1, 4, 5}});
    f.call().respond("second");
    f.call().send(1, 4, 5, true);
    CHECK(got->memory == "The quick");
    CHECK(f.stream->info()->size == content.size());
}
