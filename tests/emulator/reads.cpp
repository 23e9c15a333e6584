#include "emulator/engine_fixture.hpp"
#include "support/mib.hpp"

#include <boost/asio/detached.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <vector>

using namespace support;
using rangeio::byte_block;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;

namespace {

asio::awaitable<void> read_whole(rangeio::client& client, object_ref object, const std::string& content) {
    mrd_pool pool = co_await client.async_open(object);
    const auto info = pool.info();
    REQUIRE(info);
    CHECK(info->size == content.size());
    CHECK(info->finalized);
    const byte_range whole(0, info->size);
    const byte_block got = co_await pool.async_fetch(whole);
    CHECK(text_of(got) == content);
    co_await pool.async_close();
    const auto end = pool.stats();
    CHECK(end.leases == 0);
    CHECK(end.ready + end.opening + end.reconnecting + end.closing + end.waiters == 0);
    CHECK(end.opened == end.closed + end.failed);
}

}  // namespace

TEST_CASE("async_fetch: objects of every size around that of a message are read byte for byte") {
    engine_fixture f;
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, 2 * mib - 1, 2 * mib, 2 * mib + 1, 9 * mib + 7}) {
        CAPTURE(size);
        const std::string content = pattern(size);
        const object_ref object = f.put("o" + std::to_string(size), content);
        f.run(read_whole(f.client, object, content));
    }
}

TEST_CASE("async_fetch: 100 MiB and 7 bytes over four streams are read byte for byte") {
    engine_fixture f;
    const std::string content = pattern(100 * mib + 7);
    f.run(read_whole(f.client, f.put("large", content), content));
}

namespace {

asio::awaitable<void> read_around_the_end(
    rangeio::client& client, object_ref object, const std::string& content
) {
    mrd_pool pool = co_await client.async_open(object);
    const auto size = content.size();
    std::vector<std::byte> memory(64);
    const fetch_options exact;
    const fetch_options shorter = fetch_options().allow_short(true);

    const byte_range at(size - 10, 10);
    const byte_block last = co_await pool.async_fetch(at);
    CHECK(text_of(last) == content.substr(size - 10));

    const byte_range across(size - 10, 20);
    const auto refused = co_await failure_of(pool.async_fetch(across, memory, exact));
    CHECK(refused.code() == errc::range_not_satisfiable);
    CHECK(refused.message() == "gs://b-1/o [990, 1010): the object ends at 1000");
    CHECK(co_await pool.async_fetch(across, memory, shorter) == 10);
    CHECK(std::equal(
        memory.begin(), memory.begin() + 10, reinterpret_cast<const std::byte*>(content.data() + size - 10)
    ));

    const byte_range begins_at_end(size, 5);
    CHECK(co_await pool.async_fetch(begins_at_end, memory, shorter) == 0);
    const auto nothing_there = co_await failure_of(pool.async_fetch(begins_at_end, memory, exact));
    CHECK(nothing_there.code() == errc::range_not_satisfiable);

    const byte_range beyond(size + 1, 5);
    const auto far = co_await failure_of(pool.async_fetch(beyond, memory, shorter));
    CHECK(far.code() == errc::range_not_satisfiable);

    const byte_range nothing(0, 0);
    CHECK(co_await pool.async_fetch(nothing, memory, exact) == 0);

    // None of this has hurt the streams.
    const byte_range first(0, 10);
    const byte_block again = co_await pool.async_fetch(first);
    CHECK(text_of(again) == content.substr(0, 10));
}

}  // namespace

TEST_CASE("async_fetch: a range that reaches past the end is an error, or short where that is allowed") {
    engine_fixture f;
    const std::string content = pattern(1000);
    f.run(read_around_the_end(f.client, f.put("o", content), content));
}

namespace {

asio::awaitable<void> read_unfinalized(
    rangeio::client& client, object_ref object, const std::string& content
) {
    mrd_pool pool = co_await client.async_open(object);
    CHECK_FALSE(pool.info()->finalized);
    std::vector<std::byte> memory(5000);
    const byte_range across(990, 5000);
    CHECK(co_await pool.async_fetch(across, memory, fetch_options().allow_short(true)) == 10);
    CHECK(std::equal(
        memory.begin(), memory.begin() + 10, reinterpret_cast<const std::byte*>(content.data() + 990)
    ));
    const auto refused = co_await failure_of(pool.async_fetch(across, memory));
    CHECK(refused.code() == errc::range_not_satisfiable);
}

}  // namespace

TEST_CASE("async_fetch: an unfinalized object is read up to its current end") {
    engine_fixture f(
        rangeio::emulator::server_options().unfinalized("b-1/growing"), rangeio::client_options()
    );
    const std::string content = pattern(1000);
    f.run(read_unfinalized(f.client, f.put("growing", content), content));
}

namespace {

asio::awaitable<void> read_at_random(
    mrd_pool& pool, const std::string& content, unsigned seed, int count, int& running
) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> memory(64 << 10);
    for (int i = 0; i < count; ++i) {
        const std::size_t length = random() % memory.size();
        const std::size_t offset = random() % (content.size() - length);
        const byte_range range(offset, length);
        const fetch_options options = fetch_options().concurrency(1 + random() % 4).min_chunk_bytes(4096);
        const std::size_t got = co_await pool.async_fetch(range, memory, options);
        const bool equal = std::equal(
            memory.begin(),
            memory.begin() + static_cast<std::ptrdiff_t>(length),
            reinterpret_cast<const std::byte*>(content.data() + offset)
        );
        // A passing CHECK costs more than the read.
        if (got != length || !equal) FAIL_CHECK("range ", to_string(range), " of seed ", seed);
    }
    --running;
}

}  // namespace

TEST_CASE("async_fetch: 10 000 random ranges over 8 tasks, every byte verified") {
    engine_fixture f;
    const std::string content = pattern(8 * mib);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    int running = 8;
    for (unsigned task = 0; task < 8; ++task) {
        asio::co_spawn(f.context, read_at_random(*pool, content, task, 1250, running), asio::detached);
    }
    f.context.restart();
    f.context.run_for(60s);
    CHECK(running == 0);
    CHECK(pool->stats().leases == 0);
    CHECK(pool->stats().opened == 4);
}

namespace {

asio::awaitable<void> read_split_and_scattered(
    rangeio::client& client, object_ref object, const std::string& content
) {
    mrd_pool pool = co_await client.async_open(object);
    std::vector<std::uint64_t> lengths{100, 0, 50'000, 7};
    const std::vector<byte_block> chunks = co_await pool.async_fetch_split(11, lengths);
    REQUIRE(chunks.size() == 4);
    std::size_t offset = 11;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        CHECK(text_of(chunks[i]) == content.substr(offset, lengths[i]));
        offset += lengths[i];
    }
    std::vector<std::uint64_t> too_long{content.size(), 1};
    const auto refused = co_await failure_of(pool.async_fetch_split(0, too_long));
    CHECK(refused.code() == errc::range_not_satisfiable);

    // Unordered, overlapping, touching, far apart, empty.
    const std::vector<byte_range> ranges{{70'000, 500}, {10, 20}, {25, 100}, {125, 1}, {99'990, 10}, {5, 0}};
    const std::vector<std::optional<std::uint64_t>> gaps{std::nullopt, 0, 100'000};
    for (const auto& gap : gaps) {
        std::vector<std::vector<std::byte>> memory(ranges.size());
        std::vector<rangeio::range_request> requests;
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            memory[i].resize(ranges[i].length());
            requests.emplace_back(ranges[i], memory[i]);
        }
        rangeio::fetch_ranges_options options;
        options.max_gap_bytes(gap).unit_bytes(3000);
        co_await pool.async_fetch_ranges(requests, options);
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            const std::string_view got(reinterpret_cast<const char*>(memory[i].data()), memory[i].size());
            CHECK(got == content.substr(ranges[i].offset(), ranges[i].length()));
        }
    }
}

}  // namespace

TEST_CASE("fetch_split, fetch_ranges: each chunk and each range is written to its own memory") {
    engine_fixture f;
    const std::string content = pattern(100'000);
    f.run(read_split_and_scattered(f.client, f.put("o", content), content));
}

namespace {

asio::awaitable<void> read_into_one_buffer(
    rangeio::client& client, object_ref object, const std::string& content
) {
    mrd_pool pool = co_await client.async_open(object);
    rangeio::direct_buffer buffer(content.size());
    const std::size_t half = content.size() / 2;
    const byte_range second(half, content.size() - half);
    auto second_view = buffer.make_view(half, content.size() - half);
    co_await pool.async_fetch(second, std::move(second_view));
    CHECK_THROWS_AS((void)buffer.data(), rangeio::error);
    const byte_range first(0, half);
    auto too_small = buffer.make_view(0, 10);
    const auto refused = co_await failure_of(pool.async_fetch(first, std::move(too_small)));
    CHECK(refused.code() == errc::buffer_misuse);
    auto first_view = buffer.make_view(0, half);
    co_await pool.async_fetch(first, std::move(first_view));
    const byte_block all = std::move(buffer).take();
    CHECK(text_of(all) == content);
}

}  // namespace

TEST_CASE("async_fetch: two ranges read into views of one direct_buffer fill it") {
    engine_fixture f;
    const std::string content = pattern(5 * mib + 3);
    f.run(read_into_one_buffer(f.client, f.put("o", content), content));
}
