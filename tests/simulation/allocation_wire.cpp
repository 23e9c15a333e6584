#include <rangeio/crc32c.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/context.hpp>

#include "error_text.hpp"
#include "grpc/mrd_maker.hpp"
#include "grpc/response_intake.hpp"
#include "simulation/range_reader.hpp"
#include "support/grpc_failures.hpp"
#include "support/hostile_messages.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Events of the wire while there is no memory at all: their delivery must not throw, and bytes are delivered
// nevertheless.

namespace {

using namespace rangeio;
using namespace rangeio::grpc_transport;
using namespace std::chrono_literals;
using rangeio::sim::allocation_failures;
using rangeio::sim::allocation_point;
using support::cancelled;
using support::content;
using support::reader;
namespace sim = rangeio::sim;

/// A call that the test plays. It asks for memory where a real one does.
class played_call final : public bidi_call {
public:
    explicit played_call(std::shared_ptr<bidi_call_events> to) : events(std::move(to)) {}

    void start(const call_spec&, std::span<const fsm::wire_range>) override { allocation_point(); }
    void write(std::span<const fsm::wire_range>) override { allocation_point(); }
    void cancel() noexcept override { told_to_end = true; }

    std::shared_ptr<bidi_call_events> events;
    bool told_to_end = false;
};

class played_connector final : public bidi_connector {
public:
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        allocation_point();
        calls.push_back(std::make_shared<played_call>(std::move(events)));
        return calls.back();
    }

    std::vector<std::shared_ptr<played_call>> calls;
};

class listener final : public stream_listener {
public:
    void opened(std::shared_ptr<const object_info>) noexcept override {}
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const error_value& why) noexcept override { end = why; }

    std::optional<error_value> end;
};

/// The wire, in a world that is asked for executors and timers only.
struct wire_fixture {
    wire_fixture() {
        env.connector = connector;
        env.source = std::make_shared<object_source>(object_ref("bucket", "object"));
        env.reports = std::make_shared<transport::stream_reports>(nullptr);
        env.core = runtime::core_of(io.get_executor());
        env.executor = io.get_executor();
        env.open_timeout = 30s;
        env.seed = [] { return 42; };
    }
    ~wire_fixture() { end_calls(); }

    bidi_call_events& call() { return *connector->calls.back()->events; }
    void end_call() { std::exchange(connector->calls.back()->events, nullptr)->on_done(cancelled); }
    /// Those that follow, too.
    void end_calls() {
        for (std::size_t i = 0; i < connector->calls.size(); ++i) {
            const auto events = std::move(connector->calls[i]->events);
            if (events != nullptr) events->on_done(cancelled);
        }
    }
    /// With memory.
    void open() {
        call().on_write_done();
        object_info info;
        info.generation = 7;
        info.size = content.size();
        const std::string handle = "a handle that is longer than what fits into a string";
        incoming first;
        first.metadata = &info;
        first.read_handle = &handle;
        call().on_response(first);
    }
    /// Without any. Returns how often it was asked for.
    std::uint64_t deliver(
        std::int64_t id, std::size_t offset, std::size_t size, bool end, bool damage = false
    ) {
        const auto payload = std::as_bytes(std::span(content)).subspan(offset, size);
        const std::array<wire::slice, 1> message{payload};
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
        const allocation_failures outage(1, 1000);
        call().on_response(out);
        return outage.counted();
    }

    sim::replay_strategy plainest{{}};
    sim::world w{plainest};
    std::shared_ptr<played_connector> connector = std::make_shared<played_connector>();
    mrd::environment env;
    sim::context io{w};
};

struct stream_fixture : wire_fixture {
    stream_fixture() {
        stream->open(owner);
        open();
    }
    ~stream_fixture() {
        stream->close({});
        end_calls();
        CHECK(owner->end);
    }

    std::shared_ptr<reader> read(std::uint64_t offset, std::uint64_t length) {
        auto out = std::make_shared<reader>(offset, length);
        stream->read(out);
        return out;
    }

    std::shared_ptr<listener> owner = std::make_shared<listener>();
    std::shared_ptr<mrd> stream = std::make_shared<mrd>(env);
};

/// The result of `tell` while every allocation fails. Fails if `tell` throws.
template <class Tell>
error_value without_memory(Tell&& tell) {
    std::optional<error_value> out;
    try {
        const allocation_failures outage(1, 1000);
        out = tell();
        CHECK(outage.counted() > 0);
    } catch (const std::bad_alloc&) {
        FAIL("threw");
    }
    return *out;
}

}  // namespace

TEST_CASE("wire: delivery of bytes and completion of ranges need no memory") {
    stream_fixture f;
    const auto one = f.read(4, 5);
    f.call().on_write_done();
    const auto other = f.read(10, 5);
    CHECK(f.deliver(1, 4, 3, false) == 0);
    CHECK(f.deliver(2, 10, 5, true) == 0);
    CHECK(f.deliver(77, 0, 5, true) == 0);
    CHECK(f.deliver(1, 7, 2, true) == 0);
    REQUIRE(one->outcome);
    CHECK_FALSE(one->outcome->why);
    CHECK(one->memory == content.substr(4, 5));
    CHECK(other->memory == content.substr(10, 5));
    const allocation_failures outage(1, 1000);
    f.call().on_write_done();
    CHECK(outage.counted() == 0);
}

TEST_CASE("wire: a rejected chunk without memory for its report is requested again on another call") {
    stream_fixture f;
    const auto one = f.read(4, 5);
    f.call().on_write_done();
    CHECK(f.deliver(1, 4, 5, true, true) > 0);
    CHECK_FALSE(one->outcome);
    CHECK(f.connector->calls.back()->told_to_end);  // there was no memory for the message that asks again
    f.end_call();
    REQUIRE(f.connector->calls.size() == 2);
    f.call().on_write_done();
    const std::int64_t again = 1 + (std::int64_t{1} << 40);
    f.deliver(again, 4, 5, true);
    REQUIRE(one->outcome);
    CHECK_FALSE(one->outcome->why);
    CHECK(one->memory == content.substr(4, 5));
}

TEST_CASE("wire: an object update without memory is dropped, but another generation is still detected") {
    stream_fixture f;
    const auto one = f.read(4, 5);
    f.call().on_write_done();
    object_info news;
    news.name = "the name of an object that is longer than what fits into a string";
    news.generation = 7;
    news.size = 1000;
    const std::string handle =
        "another handle that is longer than what fits into the one that there was before";
    incoming response;
    response.metadata = &news;
    response.read_handle = &handle;
    {
        const allocation_failures outage(1, 1000);
        f.call().on_response(response);
        CHECK(outage.counted() > 0);
    }
    CHECK_FALSE(one->outcome);
    CHECK(f.env.source->info()->size == content.size());
    f.deliver(1, 4, 5, true);
    CHECK(one->memory == content.substr(4, 5));
    const auto other = f.read(10, 5);
    news.generation = 8;
    {
        const allocation_failures outage(1, 1000);
        f.call().on_response(response);
    }
    REQUIRE(other->outcome);
    CHECK(other->outcome->why.code() == errc::generation_changed);
}

TEST_CASE("wire: not_found for an opened object becomes generation_changed, also without memory") {
    wire_fixture f;
    const auto& source = *f.env.source;
    const error_value gone(
        errc::not_found, "a text that is longer than what fits into a string", rangeio::error_class::gone
    );
    CHECK(source.explain(gone).code() == errc::not_found);
    object_info info;
    info.generation = 7;
    CHECK_FALSE(f.env.source->update(&info, nullptr));
    CHECK(source.explain(gone).code() == errc::generation_changed);
    CHECK(source.explain(gone).kind() == rangeio::error_class::gone);
    CHECK(without_memory([&] { return source.explain(gone); }).code() == errc::generation_changed);
}

// A message without memory ends its call, and the range continues on the next one.
TEST_CASE("wire: lack of memory during decoding ends the call and is not blamed on the service") {
    const std::string long_name(100, 'n');
    for (std::uint64_t at = 1;; ++at) {
        CAPTURE(at);
        stream_fixture f;
        const auto one = f.read(0, 12);
        f.call().on_write_done();
        std::string said = support::hostile::metadata(7, 100, support::hostile::bytes_field(27, long_name)) +
                           support::hostile::handle(long_name);
        for (std::int64_t i = 0; i < 12; ++i) {
            said += support::hostile::piece(1, i, content.substr(static_cast<std::size_t>(i), 1), i == 11);
        }
        const test::sliced message(said, 7);
        error_value why;
        std::uint64_t struck = 0;
        {
            const allocation_failures outage(at, 1);
            why = take_response(message.slices(), f.call());
            struck = outage.counted();
        }
        if (!why) {
            REQUIRE(one->outcome);
            CHECK(one->memory == content.substr(0, 12));
            if (struck < at) break;  // it was not asked for so often
            continue;
        }
        CHECK(why.code() == boost::system::errc::not_enough_memory);
        CHECK_FALSE(one->outcome);
        std::exchange(f.connector->calls.back()->events, nullptr)->on_done(why);
        REQUIRE(f.connector->calls.size() == 2);
        CHECK_FALSE(one->outcome);
        CHECK_FALSE(f.owner->end);
        CHECK(at < 50);
    }
}

TEST_CASE("wire: an error without memory for its text keeps its code") {
    const auto tell = [] {
        return described(errc::protocol_error, "a chunk at offset {} where {} was due", 1, 2);
    };
    CHECK(tell().message() == "a chunk at offset 1 where 2 was due");
    CHECK(without_memory(tell).code() == errc::protocol_error);
}

TEST_CASE("wire: a stream that breaks during a lasting lack of memory fails after its attempts") {
    stream_fixture f;
    const auto one = f.read(4, 5);
    const auto events = std::move(f.connector->calls.back()->events);
    const call_end broken = support::unavailable;
    {
        const allocation_failures outage(1, 1'000'000);
        events->on_done(broken);
        CHECK(outage.counted() < 100);
    }
    REQUIRE(one->outcome);
    CHECK(one->outcome->why.code() == boost::system::errc::not_enough_memory);
    REQUIRE(f.owner->end);
    CHECK(f.owner->end->code() == boost::system::errc::not_enough_memory);
}

// There is no way to post without memory, and the caller must be woken.
TEST_CASE("wire: a coroutine whose read ends without memory is resumed once memory is available") {
    wire_fixture f;
    std::array<std::byte, 5> memory{};
    std::optional<std::size_t> got;
    std::optional<mrd_pool> pool(
        std::in_place, f.io.get_executor(), std::make_shared<mrd_maker>(f.env), pool_options().size(1)
    );
    const auto read = [](mrd_pool& from, std::span<std::byte> into, auto& out) -> asio::awaitable<void> {
        const byte_range range(4, 5);
        out = co_await from.async_fetch(range, into);
    };
    sim::spawn(f.io.get_executor(), "reader", read(*pool, memory, got));
    const auto settle = [&] {
        for (int i = 0; i < 20 && f.w.step(); ++i) {
        }
    };
    while (f.connector->calls.empty() && f.w.step()) {
    }
    f.open();
    for (int i = 0; i < 3 && f.w.step(); ++i) {
    }
    CHECK_FALSE(got);
    CHECK(f.deliver(1, 4, 3, false) == 0);
    CHECK(f.deliver(1, 7, 2, true) >= 1000);  // insists
    CHECK_FALSE(got);
    settle();
    REQUIRE(got);
    CHECK(*got == 5);
    CHECK(std::memcmp(memory.data(), content.data() + 4, 5) == 0);
    pool.reset();
    f.end_calls();
    CHECK(f.w.violation() == "");
}
