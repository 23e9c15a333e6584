#include <rangeio/crc32c.hpp>

#include "grpc/mrd.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The shell of the stream: that it does what the machine decides. The test is the service and the clock.

namespace {

using namespace rangeio;
using namespace rangeio::grpc_transport;
using namespace std::chrono_literals;

const std::string content = "The quick brown fox jumps over the lazy dog.";
const failure unavailable(error_code(14, grpc_category()), "gone", 14);
const failure cancelled(error_code(1, grpc_category()), "cancelled", 1);

class manual_alarm final : public runtime::alarm {
public:
    manual_alarm(std::chrono::nanoseconds after, std::function<void()> what)
        : delay(after), then(std::move(what)) {}
    void cancel() noexcept override { then = nullptr; }

    std::chrono::nanoseconds delay;
    std::function<void()> then;
};

/// Alarms that go off when the test says so.
class manual_core final : public runtime::context_core {
public:
    std::shared_ptr<runtime::alarm> set_alarm(
        const asio::any_io_executor&, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        auto out = std::make_shared<manual_alarm>(delay, std::move(then));
        alarms_.push_back(out);
        return out;
    }

    /// The delays of the alarms that are set, the oldest first.
    std::vector<std::chrono::nanoseconds> alarms() {
        std::vector<std::chrono::nanoseconds> out;
        for (const auto& weak : alarms_) {
            if (const auto one = weak.lock()) out.push_back(one->delay);
        }
        return out;
    }
    /// The newest one goes off.
    void go_off() {
        std::erase_if(alarms_, [](const auto& weak) { return weak.expired(); });
        REQUIRE_FALSE(alarms_.empty());
        const auto newest = alarms_.back().lock();
        alarms_.pop_back();
        newest->then();
    }

private:
    std::vector<std::weak_ptr<manual_alarm>> alarms_;
};

class manual_call final : public bidi_call {
public:
    explicit manual_call(std::shared_ptr<bidi_call_events> to) : events(std::move(to)) {}

    void start(const call_spec& with, std::span<const fsm::wire_range> ranges) override {
        spec = with;
        asked.assign(ranges.begin(), ranges.end());
    }
    void write(std::span<const fsm::wire_range> ranges) override {
        asked.insert(asked.end(), ranges.begin(), ranges.end());
    }
    void cancel() noexcept override { told_to_end = true; }

    void respond(const std::optional<std::string>& handle = {}) {
        object_info info;
        info.generation = 7;
        info.size = content.size();
        incoming out;
        out.metadata = &info;
        if (handle) out.read_handle = &*handle;
        events->on_response(out);
    }
    void send(std::int64_t id, std::size_t offset, std::size_t size, bool end = false) {
        const auto payload = std::as_bytes(std::span(content)).subspan(offset, size);
        const std::vector<wire::slice> message{payload};
        wire::data_chunk chunk;
        chunk.has_read_range = true;
        chunk.read_id = id;
        chunk.read_offset = static_cast<std::int64_t>(offset);
        chunk.range_end = end;
        chunk.has_data = true;
        chunk.payload = {0, 0, size};
        chunk.crc32c = crc32c(payload) + (damage ? 1 : 0);
        incoming out;
        out.message = message;
        out.chunks = {&chunk, 1};
        events->on_response(out);
    }
    void end(const call_end& how) { std::exchange(events, nullptr)->on_done(how); }

    std::shared_ptr<bidi_call_events> events;
    call_spec spec{object_ref("b-1", "o"), {}, {}};
    std::vector<fsm::wire_range> asked;
    bool told_to_end = false;
    bool damage = false;
};

class manual_connector final : public bidi_connector {
public:
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        calls.push_back(std::make_shared<manual_call>(std::move(events)));
        return calls.back();
    }

    std::vector<std::shared_ptr<manual_call>> calls;
};

class reader final : public range_read {
public:
    reader(std::uint64_t offset, std::uint64_t length) : range_(offset, length), memory(length, '.') {}

    byte_range range() const noexcept override { return range_; }
    std::uint32_t deliver(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept override {
        std::memcpy(memory.data() + position, bytes.data(), bytes.size());
        return crc32c_extend(crc, bytes);
    }
    void done(const range_outcome& how) noexcept override { outcome = how; }

private:
    const byte_range range_;

public:
    std::string memory;
    std::optional<range_outcome> outcome;
};

class listener final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info>) noexcept override { heard += "opened "; }
    void reconnecting() noexcept override { heard += "reconnecting "; }
    void reconnected() noexcept override { heard += "reconnected "; }
    void ended(const failure& why) noexcept override { heard += why ? "failed " : "ended "; }

    std::string heard;
};

struct fixture {
    explicit fixture(const retry_policy& retry = {}, bool open_now = true) {
        mrd::environment env;
        env.connector = connector;
        env.source = std::make_shared<object_source>(object_ref("b-1", "o"));
        env.core = core;
        env.executor = context.get_executor();
        env.open_timeout = 30s;
        env.retry = retry;
        env.seed = [] { return 42; };
        stream = std::make_shared<mrd>(env);
        if (open_now) stream->open(owner);
    }
    ~fixture() {
        if (stream != nullptr) stream->close({});
        for (const auto& one : connector->calls) {
            if (one->events != nullptr) one->end(cancelled);
        }
        core->shut_down();  // hangs if anything has stayed behind
    }

    manual_call& call() { return *connector->calls.back(); }
    std::shared_ptr<reader> read(std::uint64_t offset, std::uint64_t length) {
        auto out = std::make_shared<reader>(offset, length);
        id = stream->read(out);
        return out;
    }
    void opened(const std::optional<std::string>& handle = {}) {
        call().events->on_write_done();
        call().respond(handle);
        CHECK(owner->heard == "opened ");
        CHECK(core->alarms().empty());
    }

    asio::io_context context;
    std::shared_ptr<manual_core> core = std::make_shared<manual_core>();
    std::shared_ptr<manual_connector> connector = std::make_shared<manual_connector>();
    std::shared_ptr<listener> owner = std::make_shared<listener>();
    std::shared_ptr<mrd> stream;
    std::int64_t id = 0;
};

}  // namespace

TEST_CASE("mrd: S7: a range goes on where it was, in the call's first message, and reads as a whole") {
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
    CHECK(f.core->alarms().empty());
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

TEST_CASE("object_source: S7: a generation that was named is pinned before the first response") {
    object_source source(object_ref("b-1", "o", 7));
    object_info info;
    info.generation = 8;
    CHECK(source.learn(&info, nullptr).code() == errc::generation_changed);
    CHECK(source.spec().object.generation() == 7);
    info.generation = 7;
    CHECK_FALSE(source.learn(&info, nullptr));
}

TEST_CASE("mrd: S7: a wait is drawn from what the machine allows, and the call follows when it is over") {
    std::vector<std::chrono::nanoseconds> waits;
    for (int round = 0; round < 2; ++round) {
        fixture f(retry_policy().initial_backoff(1s).stall_timeout(0s));
        f.opened();
        const auto got = f.read(0, 4);
        f.call().end(unavailable);  // opening was progress
        f.call().end(unavailable);
        REQUIRE(f.core->alarms().size() == 1);
        waits.push_back(f.core->alarms().front());
        CHECK(waits.back() >= 0s);
        CHECK(waits.back() <= 2s);
        CHECK(f.connector->calls.size() == 2);
        f.core->go_off();
        CHECK(f.connector->calls.size() == 3);
        CHECK(f.call().asked.size() == 1);
    }
    CHECK(waits[0] == waits[1]);  // a seed replays
}

TEST_CASE("mrd: S7: a stream that is closed while it waits ends at once and leaves no alarm") {
    fixture f(retry_policy().stall_timeout(0s));
    f.opened();
    const auto got = f.read(0, 4);
    f.call().end(unavailable);
    f.call().end(unavailable);
    f.stream->close({});
    REQUIRE(got->outcome);
    CHECK(got->outcome->why.code() == errc::stream_closed);
    CHECK(f.owner->heard == "opened reconnecting ended ");
    CHECK(f.core->alarms().empty());
}

TEST_CASE("mrd: between calls a stream needs nobody to keep it, and its context ends it") {
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

TEST_CASE("mrd: S9: a call on which nothing comes is cancelled, and its range goes on with the next") {
    fixture f(retry_policy().stall_timeout(20s));
    f.opened();
    const auto got = f.read(0, 9);
    f.call().send(1, 0, 4);
    for (int look = 0; look < 5; ++look) {
        CHECK(f.core->alarms() == std::vector<std::chrono::nanoseconds>{5s});
        CHECK_FALSE(f.call().told_to_end);
        f.core->go_off();
    }
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    REQUIRE(f.connector->calls.size() == 2);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{1, 4, 5}});
}

TEST_CASE("mrd: S8: a call that owes too much of what nobody wants is cancelled, the stream stays") {
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

TEST_CASE("mrd: S10: the range that the service names fails with its message, the other one goes on") {
    fixture f;
    f.opened();
    const auto bad = f.read(900, 4);
    f.call().events->on_write_done();
    const auto good = f.read(0, 4);
    call_end end = failure(errc::range_not_satisfiable, "of the call", 11);
    end.range_errors.push_back({1, failure(errc::range_not_satisfiable, "of the range", 11)});
    f.call().end(end);
    REQUIRE(bad->outcome);
    CHECK(bad->outcome->why.message() == "of the range");
    CHECK_FALSE(good->outcome);
    CHECK(f.call().asked == std::vector<fsm::wire_range>{{2, 0, 4}});
}

TEST_CASE("mrd: S4: bytes whose checksum was wrong are replaced by right ones") {
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

TEST_CASE("mrd: the open timeout spans all calls of an opening and the waits between them") {
    fixture f(retry_policy().stall_timeout(0s));
    CHECK(f.core->alarms() == std::vector<std::chrono::nanoseconds>{30s});
    f.call().end(unavailable);
    REQUIRE(f.core->alarms().size() == 2);
    f.core->go_off();
    CHECK(f.connector->calls.size() == 2);
    CHECK(f.core->alarms() == std::vector<std::chrono::nanoseconds>{30s});
    f.core->go_off();
    CHECK(f.call().told_to_end);
    f.call().end(cancelled);
    CHECK(f.owner->heard == "failed ");
}

TEST_CASE("mrd: a stream that is opened after it was closed tells its end, and nothing of it stays") {
    std::string told;
    SUBCASE("in order") {
        told = "ended ";
    }
    SUBCASE("with a reason") {
        told = "failed ";
    }
    fixture f({}, false);
    const auto got = f.read(4, 15);
    f.stream->close(told == "ended " ? failure() : failure(errc::shut_down));
    REQUIRE(got->outcome);
    CHECK(got->outcome->why);
    CHECK(f.owner->heard.empty());
    f.stream->open(f.owner);
    CHECK(f.owner->heard == told);
    CHECK(f.owner.use_count() == 1);
    CHECK(f.connector->calls.empty());
    CHECK(f.stream.use_count() == 1);  // else it is still in its context
}

TEST_CASE("mrd: a stream that is opened when its context has gone tells so, and nothing of it stays") {
    fixture f({}, false);
    f.core->shut_down();
    f.stream->open(f.owner);
    CHECK(f.owner->heard == "failed ");
    CHECK(f.connector->calls.empty());
    CHECK(f.stream.use_count() == 1);
}
