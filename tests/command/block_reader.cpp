#include "block_reader.hpp"

#include <rangeio/testing/threaded_service.hpp>

#include "common/event_loop.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <stdexcept>
#include <vector>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;
using testing::threaded_service;
using testing::threaded_service_options;

constexpr std::uint64_t object_bytes = 100'000;
constexpr std::int64_t generation = 7;

read_ahead blocks_of(std::uint64_t bytes) {
    read_ahead ahead;
    ahead.block_bytes = bytes;
    return ahead;
}

/// Reads the whole object into a sink.
asio::awaitable<void> read_all(
    threaded_service& service,
    asio::io_context& loop,
    blocking_thread& writer,
    read_ahead ahead,
    block_sink sink
) {
    mrd_pool pool(loop.get_executor(), service.transport(loop.get_executor(), 20s), pool_options());
    std::vector<byte_range> all;
    all.emplace_back(0, object_bytes);
    co_await read_in_order(pool, all, ahead, fetch_options(), writer, sink);
}

/// The same, for as long as it takes.
void read_with(const read_ahead& ahead, asio::io_context& loop, const block_sink& sink) {
    threaded_service service(threaded_service_options().object_bytes(object_bytes).max_chunk_bytes(3000));
    blocking_thread writer;
    run(loop, read_all(service, loop, writer, ahead, sink));
}

TEST_SUITE_BEGIN("block reader");

TEST_CASE("read_in_order: the bytes arrive in order when the ring of blocks is reused many times") {
    std::uint64_t block = 0;
    SUBCASE("the last block is full") {
        block = 1000;
    }
    SUBCASE("the last block is partial") {
        block = 999;
    }
    SUBCASE("one block holds the whole object") {
        block = object_bytes;
    }
    std::vector<std::byte> got;
    asio::io_context loop(1);
    read_with(blocks_of(block), loop, [&got](std::span<const std::byte> bytes) {
        got.insert(got.end(), bytes.begin(), bytes.end());
    });
    REQUIRE(got.size() == object_bytes);
    for (std::uint64_t i = 0; i < object_bytes; ++i) {
        if (got[i] != threaded_service::content(generation, i)) FAIL("wrong at ", i);
    }
}

TEST_CASE("read_in_order: the event loop runs during a write, however long the write takes") {
    asio::io_context loop(1);
    bool ran = true;
    read_with(blocks_of(10'000), loop, [&loop, &ran](std::span<const std::byte>) {
        // As a pipe that is not read until the loop has done something.
        const auto on_loop = std::make_shared<std::promise<void>>();
        asio::post(loop, [on_loop] { on_loop->set_value(); });
        ran = ran && on_loop->get_future().wait_for(4s) == std::future_status::ready;
    });
    CHECK(ran);
}

TEST_CASE(
    "read_in_order: a sink slower than the read timeout and the stall timeout causes no error and no stall"
) {
    constexpr auto limit = 500ms;
    threaded_service service(threaded_service_options().object_bytes(object_bytes).max_chunk_bytes(3000));
    asio::io_context loop(1);
    blocking_thread writer;
    std::uint64_t written = 0;
    const block_sink sink = [&](std::span<const std::byte> bytes) {
        written += bytes.size();
        if (written != 10'000) return;
        // Until a timer of the loop has seen the limits pass.
        const auto passed = std::make_shared<std::promise<void>>();
        const auto timer = std::make_shared<asio::steady_timer>(loop, 2 * limit);
        timer->async_wait([timer, passed](const error_code&) { passed->set_value(); });
        CHECK(passed->get_future().wait_for(10s) == std::future_status::ready);
    };
    const auto read = [&]() -> asio::awaitable<void> {
        const auto transport =
            service.transport(loop.get_executor(), 20s, retry_policy().attempts(1).stall_timeout(limit));
        mrd_pool pool(loop.get_executor(), transport, pool_options());
        const std::vector<byte_range> all(1, byte_range(0, object_bytes));
        const auto options = fetch_options().timeout(limit);
        co_await read_in_order(pool, all, blocks_of(10'000), options, writer, sink);
    };
    run(loop, read());
    CHECK(written == object_bytes);
    CHECK(service.calls_resumed() == 0);
}

TEST_CASE("read_in_order: an exception of the sink ends the read") {
    asio::io_context loop(1);
    std::uint64_t seen = 0;
    const auto fail_later = [&seen](std::span<const std::byte> bytes) {
        seen += bytes.size();
        if (seen >= 50'000) throw std::runtime_error("full");
    };
    CHECK_THROWS_WITH_AS(read_with(blocks_of(10'000), loop, fail_later), "full", std::runtime_error);
    CHECK(seen == 50'000);
}

TEST_CASE("read_in_order: a read cancelled during a write returns when the write has ended") {
    threaded_service service(threaded_service_options().object_bytes(object_bytes).max_chunk_bytes(3000));
    asio::io_context loop(1);
    asio::cancellation_signal stop;
    std::uint64_t writes = 0;
    bool writing = false;
    std::exception_ptr thrown;
    {
        blocking_thread writer;
        const block_sink sink = [&](std::span<const std::byte>) {
            writing = true;
            ++writes;
            const auto cancelled = std::make_shared<std::promise<void>>();
            asio::post(loop, [&stop, cancelled] {
                stop.emit(asio::cancellation_type::terminal);
                cancelled->set_value();
            });
            cancelled->get_future().wait_for(4s);
            writing = false;
        };
        const auto ended = [&](std::exception_ptr e) {
            thrown = std::move(e);
            CHECK_FALSE(writing);
        };
        asio::co_spawn(
            loop,
            read_all(service, loop, writer, blocks_of(10'000), sink),
            asio::bind_cancellation_slot(stop.slot(), ended)
        );
        loop.run();
    }
    CHECK(thrown != nullptr);
    CHECK(writes == 1);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
