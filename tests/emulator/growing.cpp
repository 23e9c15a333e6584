#include "emulator/growing_fixture.hpp"
#include "support/event_recorder.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;

// Objects that grow, are finalized, replaced or deleted while they are read, over gRPC; and what an observer hears
// of it.

namespace {

asio::awaitable<void> follow_it(growing_fixture& f, object_ref object) {
    mrd_pool pool = co_await f.client.async_open(object);
    CHECK(pool.info()->size == 3);
    CHECK_FALSE(pool.info()->finalized);
    const std::int64_t generation = pool.info()->generation;
    f.append("two");
    CHECK(co_await pool.async_refresh_size() == 6);
    const byte_range second(3, 3);
    const auto appended = co_await pool.async_fetch(second);
    CHECK(text_of(appended) == "two");
    f.append("three");
    const auto tail = co_await pool.async_fetch_tail(7);
    CHECK(tail.offset == 4);
    CHECK(text_of(tail.bytes) == "wothree");
    CHECK(pool.info()->size == 11);
    const auto all = co_await pool.async_fetch_tail(1000);
    CHECK(tail.offset == 4);
    CHECK(text_of(all.bytes) == "onetwothree");
    f.finalize();
    CHECK(co_await pool.async_refresh_size() == 11);
    CHECK(pool.info()->finalized);
    CHECK(pool.info()->generation == generation);
    const auto calls = f.server.stats().bidi_read_object.calls;
    CHECK(co_await pool.async_refresh_size() == 11);
    CHECK(f.server.stats().bidi_read_object.calls == calls);
    CHECK(pool.stats().failed == 0);
    co_await pool.async_close();
}

asio::awaitable<void> count_round_trips(growing_fixture& f, object_ref object) {
    const pool_options one = pool_options().size(1);
    mrd_pool pool = co_await f.client.async_open(object, one);
    const auto before = f.server.stats();
    co_await pool.async_refresh_size();
    const auto refreshed = f.server.stats();
    CHECK(refreshed.bidi_read_object.calls == before.bidi_read_object.calls + 1);
    CHECK(refreshed.bidi_read_object.requests == before.bidi_read_object.requests + 1);
    CHECK(refreshed.get_object.calls == before.get_object.calls);
    co_await pool.async_fetch_tail(2);
    const auto tailed = f.server.stats();
    CHECK(tailed.bidi_read_object.calls == refreshed.bidi_read_object.calls + 1);
    CHECK(tailed.bidi_read_object.requests == refreshed.bidi_read_object.requests + 1);
}

/// On a stream that is opened after the pool has learnt of them.
asio::awaitable<void> read_appended_on_the_next_stream(growing_fixture& f, object_ref object) {
    const pool_options two = pool_options().size(2);
    mrd_pool pool = co_await f.client.async_open(object, two);
    f.append("two");
    CHECK(co_await pool.async_refresh_size() == 6);
    const lease first = co_await pool.async_acquire();
    lease next = co_await pool.async_acquire();
    std::string memory(3, '.');
    const byte_range appended(3, 3);
    CHECK(co_await next.async_fetch(appended, std::as_writable_bytes(std::span(memory))) == 3);
    CHECK(memory == "two");
    CHECK(pool.stats().opened == 2);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> read_after(growing_fixture& f, object_ref object, const std::function<void()>& change) {
    const pool_options one = pool_options().size(1);
    mrd_pool pool = co_await f.client.async_open(object, one);
    change();
    // The stream's own call continues with the old object; the next call fails because that object is lost.
    const byte_range first(0, 1);
    const auto refused = co_await failure_of(pool.async_refresh_size());
    CHECK(refused.code() == errc::generation_changed);
    CHECK(refused.kind() == rangeio::error_class::gone);
    CHECK(refused.message().find("gs://b-1/log") != std::string::npos);
    CHECK(refused.message().find("is being read") != std::string::npos);
    const auto reading = co_await failure_of(pool.async_fetch(first));
    CHECK(reading.code() == errc::generation_changed);
}

asio::awaitable<void> second_stream_after_replacement(engine_fixture& f, object_ref object) {
    mrd_pool pool = co_await f.client.async_open(object);
    lease held = co_await pool.async_acquire();
    f.put("o", "another content");
    // One stream is taken, so this opens another: it asks for the generation that the first one found.
    const auto refused = co_await failure_of(pool.async_acquire());
    CHECK(refused.code() == errc::generation_changed);
    CHECK(refused.kind() == rangeio::error_class::gone);
    std::vector<std::byte> memory(4);
    const byte_range first(0, 4);
    CHECK(co_await held.async_fetch(first, memory) == 4);
}

asio::awaitable<void> named_generation_that_is_gone(engine_fixture& f, object_ref object) {
    object.generation(1);
    const auto refused = co_await failure_of(f.client.async_open(object));
    CHECK(refused.code() == errc::not_found);
}

asio::awaitable<void> good_and_bad(engine_fixture& f, object_ref object) {
    const pool_options one = pool_options().size(1);
    mrd_pool pool = co_await f.client.async_open(object, one);
    lease held = co_await pool.async_acquire();
    std::vector<std::byte> memory(4);
    const byte_range past(100, 4);
    const auto refused = co_await failure_of(held.async_fetch(past, memory));
    CHECK(refused.code() == errc::range_not_satisfiable);
    held.release();
    const byte_range first(0, 4);
    co_await pool.async_fetch(first);
    co_await pool.async_close();
    CHECK(pool.stats().streams.refused == 1);
    CHECK(pool.stats().streams.resumed == 1);
}

}  // namespace

TEST_CASE("growing: refresh_size and fetch_tail follow an object until it is finalized") {
    growing_fixture f;
    f.run(follow_it(f, f.put("log", "one")));
}

TEST_CASE("P14: over gRPC, appended bytes are read though the next stream's call reports the old size") {
    using rangeio::testing::fault_script;
    growing_fixture f(client_options(), fault_script::parse("old-size call=3 bytes=3"));
    f.run(read_appended_on_the_next_stream(f, f.put("log", "one")));
    CHECK(f.server.stats().faults_struck.at(0) == 1);
}

TEST_CASE("growing: refresh_size and fetch_tail take one round trip each") {
    growing_fixture f;
    f.run(count_round_trips(f, f.put("log", "one")));
}

TEST_CASE("growing: an object that was replaced or deleted during reads fails as generation_changed") {
    const auto watch = std::make_shared<event_recorder>();
    growing_fixture f(client_options().observe(watch));
    const object_ref object = f.put("log", "one");
    std::function<void()> change;
    SUBCASE("replaced") {
        change = [&f] { f.put("log", "another"); };
    }
    SUBCASE("deleted") {
        change = [&f] { std::filesystem::remove(f.files.path() / "b-1/log"); };
    }
    if (!change) return;
    f.run(read_after(f, object, change));
    const auto heard = watch->texts();
    REQUIRE(heard.size() > 2);
    CHECK(heard[heard.size() - 2].starts_with("stream_ended why=generation changed"));
    CHECK(heard.back() == "pool_closed");
}

TEST_CASE("S7: a further stream on a replaced object is rejected, and the open stream continues to read") {
    engine_fixture f;
    f.run(second_stream_after_replacement(f, f.put("o", "some content")));
}

TEST_CASE("errors: a named generation that never existed is not_found, not generation_changed") {
    engine_fixture f;
    f.run(named_generation_that_is_gone(f, f.put("o", "content")));
}

TEST_CASE("observer: over gRPC a stream reports opened, refused range, broke, resumed and ended") {
    const auto watch = std::make_shared<event_recorder>();
    engine_fixture f(client_options().observe(watch));
    f.run(good_and_bad(f, f.put("o", "content")));
    const auto heard = watch->texts();
    REQUIRE(heard.size() == 7);
    CHECK(heard[0] == "stream_opened");
    CHECK(heard[1].starts_with("range_refused range=[100, 104) why="));
    CHECK(heard[2].starts_with("stream_broke why="));
    CHECK(heard[3] == "stream_resuming");
    CHECK(heard[4] == "stream_resumed");
    CHECK(heard[5] == "stream_ended");
    CHECK(heard[6] == "pool_closed");
    CHECK(watch->events().front().time > 0ns);
}
