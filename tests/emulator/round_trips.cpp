#include "emulator/engine_fixture.hpp"

#include <memory>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_ref;
using rangeio::pool_options;

// Section 3.5 of the architecture: what an operation may cost in round trips, counted where they arrive.

namespace {

/// One call with one range in its opening message, and nothing else.
void check_one_message(const engine_fixture& f) {
    const auto stats = f.server.stats();
    CHECK(stats.bidi_read_object.calls == 1);
    CHECK(stats.bidi_read_object.requests == 1);
    CHECK(stats.ranges_requested == 1);
    CHECK(stats.get_object.calls == 0);
}

asio::awaitable<void> read_once(rangeio::client& client, object_ref object, const std::string& content) {
    std::vector<std::byte> memory(content.size());
    const byte_range range(3, 10);
    CHECK(co_await client.async_fetch(object, range, memory) == 10);
    const std::string_view got(reinterpret_cast<const char*>(memory.data()), 10);
    CHECK(got == content.substr(3, 10));
}

}  // namespace

TEST_CASE("client::async_fetch: with no open stream a read costs one message one way") {
    engine_fixture f;
    const std::string content = pattern(100);
    f.run(read_once(f.client, f.put("o", content), content));
    check_one_message(f);
}

namespace {

asio::awaitable<void> read_unopened(rangeio::client& client, object_ref object, const std::string& content) {
    const mrd_pool pool = client.pool(object);
    std::vector<std::byte> memory(10);
    const byte_range range(3, 10);
    CHECK(co_await pool.async_fetch(range, memory) == 10);
    CHECK(std::string_view(reinterpret_cast<const char*>(memory.data()), 10) == content.substr(3, 10));
}

asio::awaitable<void> tail_unopened(rangeio::client& client, object_ref object, const std::string& content) {
    const mrd_pool pool = client.pool(object);
    const auto tail = co_await pool.async_fetch_tail(20);
    CHECK(tail.offset == content.size() - 20);
    CHECK(text_of(tail.bytes) == content.substr(content.size() - 20));
}

}  // namespace

TEST_CASE("P12: a read of a pool that is not open, and a tail, cost one message one way") {
    for (const auto& read : {read_unopened, tail_unopened}) {
        engine_fixture f;
        const std::string content = pattern(100);
        f.run(read(f.client, f.put("o", content), content));
        check_one_message(f);
    }
}

namespace {

asio::awaitable<void> size_of(rangeio::client& client, object_ref object, std::uint64_t size) {
    const auto info = co_await client.async_stat(object);
    CHECK(info.size == size);
    CHECK(info.bucket == "b-1");
    CHECK(info.name == "o");
    CHECK(info.generation > 0);
    CHECK(info.finalized);
    CHECK(info.crc32c);
}

}  // namespace

TEST_CASE("client::async_stat: a query costs one call") {
    engine_fixture f;
    f.run(size_of(f.client, f.put("o", pattern(100)), 100));
    CHECK(f.server.stats().get_object.calls == 1);
}

namespace {

asio::awaitable<void> open_and_fetch(rangeio::client& client, object_ref object, engine_fixture& f) {
    mrd_pool pool = co_await client.async_open(object, pool_options().size(1));
    CHECK(f.server.stats().bidi_read_object.requests == 1);
    std::vector<std::byte> memory(1000);
    const byte_range range(0, 1000);
    const fetch_options options = fetch_options().concurrency(4).min_chunk_bytes(1);
    co_await pool.async_fetch(range, memory, options);
    // However the parts fall into messages (S2 is tested with the machine), none of them costs a stream.
    const auto stats = f.server.stats();
    CHECK(stats.bidi_read_object.calls == 1);
    CHECK(stats.ranges_requested == 4);
    CHECK(stats.bidi_read_object.requests <= 1 + 4);
}

}  // namespace

TEST_CASE("async_fetch: a read on an open pool of one stream opens no other, at any concurrency") {
    engine_fixture f;
    f.run(open_and_fetch(f.client, f.put("o", pattern(1000)), f));
}

namespace {

asio::awaitable<void> fetch_over_four(rangeio::client& client, object_ref object, engine_fixture& f) {
    mrd_pool pool = co_await client.async_open(object, pool_options().size(4));
    {
        // All four are opened beforehand: while some are opening, whichever falls idle may serve their callers.
        std::vector<rangeio::lease> leases;
        for (int i = 0; i < 4; ++i) leases.push_back(co_await pool.async_acquire());
    }
    CHECK(f.server.stats().bidi_read_object.calls == 4);
    const auto before = f.server.stats().bidi_read_object.requests;
    std::vector<std::byte> memory(1000);
    const byte_range range(0, 1000);
    const fetch_options options = fetch_options().concurrency(4).min_chunk_bytes(1);
    co_await pool.async_fetch(range, memory, options);
    // Four messages of one range each; on one stream, those that wait for the wire would have left together.
    CHECK(f.server.stats().ranges_requested == 4);
    CHECK(f.server.stats().bidi_read_object.requests == before + 4);
    CHECK(pool.stats().opened == 4);
    CHECK(pool.stats().ready == 4);
}

}  // namespace

TEST_CASE("async_fetch: concurrency 4 on a pool of 4 sends one range on each stream") {
    engine_fixture f;
    f.run(fetch_over_four(f.client, f.put("o", pattern(1000)), f));
}

namespace {

asio::awaitable<void> read_through(
    mrd_pool_cache& cache, object_ref object, const std::string& content, std::int64_t& generation
) {
    mrd_pool pool = co_await cache.async_open(object);
    generation = pool.info()->generation;
    const byte_range whole(0, content.size());
    const auto block = co_await pool.async_fetch(whole);
    CHECK(text_of(block) == content);
    co_await pool.async_close();
}

}  // namespace

TEST_CASE("client.pool_cache: the second open of a generation opens no stream") {
    engine_fixture f;
    const std::string content = pattern(100'000);
    object_ref object = f.put("o", content);
    mrd_pool_cache cache = f.client.pool_cache();
    std::int64_t generation = 0;
    f.run(read_through(cache, object, content, generation));
    CHECK(f.server.stats().bidi_read_object.calls == 1);
    object.generation(generation);
    f.run(read_through(cache, object, content, generation));
    CHECK(f.server.stats().bidi_read_object.calls == 1);
    CHECK(cache.stats().hits == 1);
    // Without a generation, the service has to be asked which one is live.
    f.run(read_through(cache, f.put("o", content + "!"), content + "!", generation));
    CHECK(generation != object.generation());
    CHECK(f.server.stats().bidi_read_object.calls == 2);
    const auto close = [](mrd_pool_cache& c) -> asio::awaitable<void> { co_await c.async_close(); };
    f.run(close(cache));
    CHECK(cache.stats().idle_streams == 0);
}
