#include "emulator/engine_fixture.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;

// The ways in which a program of Asio starts or limits an operation: spawned by itself with a future or a callback, and
// as one side of `||` and `&&`. All of them have to compile.

namespace {

/// Runs until `holds`: a cache has timers, so there may always be something to do.
template <class Condition>
void run_until(asio::io_context& context, Condition holds) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    context.restart();
    while (!holds() && std::chrono::steady_clock::now() < limit) context.run_one_for(1s);
    REQUIRE(holds());
}

template <class T>
T result_of(asio::io_context& context, std::future<T> future) {
    run_until(context, [&] { return future.wait_for(0s) == std::future_status::ready; });
    return future.get();
}

}  // namespace

TEST_CASE("tokens: every operation can be spawned with a future") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    auto& io = f.context;
    const auto spawned = [&io](auto operation) {
        return result_of(io, asio::co_spawn(io, std::move(operation), asio::use_future));
    };
    mrd_pool pool = spawned(f.client.open(object));
    CHECK(pool);
    auto cache = f.client.pool_cache();
    CHECK(spawned(cache.open(object)));
    std::array<std::byte, 10> memory{};
    const byte_range range(0, 10);
    CHECK(spawned(fetch(pool, range, memory)) == 10);
    CHECK(spawned(fetch(pool, range)).size() == 10);
    CHECK(spawned(try_fetch(pool, range, memory)).value() == 10);
    CHECK(spawned(fetch_tail(pool, 3)).offset == 7);
    CHECK(spawned(fetch_split(pool, 0, std::vector<std::uint64_t>{4, 6})).size() == 2);
    spawned(fetch_ranges(pool, std::vector<rangeio::range_request>{{range, memory}}));
    {
        lease held = spawned(pool.acquire());
        CHECK(spawned(held.read(range, memory)) == 10);
    }
    CHECK(spawned(pool.refresh_size()) == 10);
    CHECK(spawned(f.client.read(object, range, memory)) == 10);
    CHECK(spawned(f.client.stat(object)).size == 10);
    CHECK(spawned(f.client.try_stat(object))->size == 10);
    CHECK(spawned(f.client.list("b-1")).objects.size() == 2);
    CHECK(spawned(f.client.layout("b-1")).zonal());
    spawned(pool.close());
    spawned(cache.close());
}

TEST_CASE("tokens: open() can be spawned with a callback, and detached") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    mrd_pool pool;
    std::exception_ptr thrown;
    int ended = 0;
    const auto take = [&](std::exception_ptr e, mrd_pool opened) {
        ++ended;
        thrown = std::move(e);
        pool = std::move(opened);
    };
    asio::co_spawn(f.context, f.client.open(object), asio::detached);
    asio::co_spawn(f.context, f.client.open(object), take);
    run_until(f.context, [&] { return ended == 1; });
    CHECK_FALSE(thrown);
    CHECK(pool);
    const object_ref missing("b-1", "missing");
    asio::co_spawn(f.context, f.client.open(missing), take);
    run_until(f.context, [&] { return ended == 2; });
    CHECK(thrown);
    CHECK_FALSE(pool);
}

namespace {

asio::awaitable<void> limit(rangeio::client& client, rangeio::mrd_pool_cache& cache, object_ref object) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, 30s);
    std::array<std::byte, 10> memory{};
    const byte_range range(0, 10);
    auto opened = co_await (client.open(object) || timer.async_wait(asio::use_awaitable));
    REQUIRE(opened.index() == 0);
    mrd_pool pool = std::move(std::get<0>(opened));
    auto read = co_await (try_fetch(pool, range, memory) || timer.async_wait(asio::use_awaitable));
    CHECK(read.index() == 0);
    auto held = co_await (pool.acquire() || timer.async_wait(asio::use_awaitable));
    CHECK(held.index() == 0);
    auto block = co_await (fetch(pool, range) || timer.async_wait(asio::use_awaitable));
    CHECK(block.index() == 0);
    auto page = co_await (client.list("b-1") || timer.async_wait(asio::use_awaitable));
    CHECK(page.index() == 0);
    auto both = co_await (cache.open(object) && client.stat(object));
    CHECK(std::get<1>(both).size == 10);
}

}  // namespace

TEST_CASE("tokens: every operation can be one side of || and &&") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    auto cache = f.client.pool_cache();
    f.run(limit(f.client, cache, object));
}
