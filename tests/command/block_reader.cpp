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
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;
using testing::threaded_service;
using testing::threaded_service_options;

constexpr std::uint64_t object_bytes = 5'000'000;
constexpr std::int64_t generation = 7;

mrd_pool pool_of(
    threaded_service& service, asio::io_context& loop, const retry_policy& retry = retry_policy()
) {
    return mrd_pool(loop.get_executor(), service.transport(loop.get_executor(), 20s, retry), pool_options());
}

/// Reads the whole object into a sink, after its size has become known.
asio::awaitable<void> read_all(
    mrd_pool& pool, object_reader& reader, blocking_thread& writer, block_sink sink
) {
    co_await pool.async_refresh_size();
    std::vector<byte_range> all;
    all.emplace_back(0, object_bytes);
    co_await read_in_order(reader, all, writer, sink);
}

/// The same, for as long as it takes.
void read_with(prefetching how, asio::io_context& loop, const block_sink& sink) {
    threaded_service service(threaded_service_options().object_bytes(object_bytes));
    blocking_thread writer;
    mrd_pool pool = pool_of(service, loop);
    object_reader reader(pool, reader_options().prefetch(how));
    run(loop, read_all(pool, reader, writer, sink));
}

TEST_SUITE_BEGIN("block reader");

TEST_CASE("read_in_order: the bytes arrive in order, whatever is fetched ahead") {
    prefetching how = prefetching::off;
    SUBCASE("off") {}
    SUBCASE("linear") {
        how = prefetching::linear_ramp;
    }
    SUBCASE("adaptive") {
        how = prefetching::adaptive;
    }
    std::vector<std::byte> got;
    asio::io_context loop(1);
    read_with(how, loop, [&got](std::span<const std::byte> bytes) {
        CHECK(bytes.size() <= max_block_bytes);
        got.insert(got.end(), bytes.begin(), bytes.end());
    });
    REQUIRE(got.size() == object_bytes);
    for (std::uint64_t i = 0; i < object_bytes; ++i) {
        if (got[i] != threaded_service::content(generation, i)) FAIL("wrong at ", i);
    }
}

TEST_CASE("read_in_order: the next block is read during a write, even if nothing is fetched ahead") {
    threaded_service service(threaded_service_options().object_bytes(object_bytes));
    asio::io_context loop(1);
    blocking_thread writer;
    mrd_pool pool = pool_of(service, loop);
    object_reader reader(pool, reader_options().prefetch(prefetching::off));
    std::uint64_t written = 0;
    bool read_meanwhile = true;
    const block_sink sink = [&](std::span<const std::byte> bytes) {
        written += bytes.size();
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (written < object_bytes && reader.tell() <= written) {
            if (std::chrono::steady_clock::now() > deadline) read_meanwhile = false;
            if (!read_meanwhile) break;
            std::this_thread::yield();
        }
    };
    run(loop, read_all(pool, reader, writer, sink));
    CHECK(written == object_bytes);
    CHECK(read_meanwhile);
}

TEST_CASE("read_in_order: the event loop runs during a write, however long the write takes") {
    asio::io_context loop(1);
    bool ran = true;
    read_with(prefetching::adaptive, loop, [&loop, &ran](std::span<const std::byte>) {
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
    constexpr auto limit = 1500ms;
    threaded_service service(threaded_service_options().object_bytes(object_bytes));
    asio::io_context loop(1);
    blocking_thread writer;
    std::uint64_t written = 0;
    bool waited = false;
    const block_sink sink = [&](std::span<const std::byte> bytes) {
        written += bytes.size();
        if (std::exchange(waited, true)) return;
        // Until a timer of the loop has seen the limits pass.
        const auto passed = std::make_shared<std::promise<void>>();
        const auto timer = std::make_shared<asio::steady_timer>(loop, 2 * limit);
        timer->async_wait([timer, passed](const error_code&) { passed->set_value(); });
        CHECK(passed->get_future().wait_for(10s) == std::future_status::ready);
    };
    mrd_pool pool = pool_of(service, loop, retry_policy().attempts(1).stall_timeout(limit));
    // Most of the object has to be asked for after the wait.
    const auto options =
        reader_options().fetching(fetch_options().timeout(limit)).memory(memory_budget(2 << 20));
    object_reader reader(pool, options);
    run(loop, read_all(pool, reader, writer, sink));
    CHECK(written == object_bytes);
    CHECK(service.calls_resumed() == 0);
}

TEST_CASE("read_in_order: an exception of the sink ends the read") {
    asio::io_context loop(1);
    std::uint64_t seen = 0;
    const auto fail_later = [&seen](std::span<const std::byte>) {
        if (++seen == 3) throw std::runtime_error("full");
    };
    CHECK_THROWS_WITH_AS(read_with(prefetching::adaptive, loop, fail_later), "full", std::runtime_error);
    CHECK(seen == 3);
}

TEST_CASE("read_in_order: a read cancelled during a write returns when the write has ended") {
    threaded_service service(threaded_service_options().object_bytes(object_bytes));
    asio::io_context loop(1);
    mrd_pool pool = pool_of(service, loop);
    object_reader reader(pool);
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
            loop, read_all(pool, reader, writer, sink), asio::bind_cancellation_slot(stop.slot(), ended)
        );
        loop.run();
    }
    CHECK(thrown != nullptr);
    CHECK(writes == 1);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
