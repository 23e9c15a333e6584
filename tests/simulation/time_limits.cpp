#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>

#include "simulation/memory_service.hpp"
#include "support/run.hpp"

#include <array>
#include <future>
#include <memory>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::fetch_ranges_options;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_ref;
using rangeio::pool_options;

// A negative time limit is over at once, wherever a single operation takes one. Options of what is made refuse it.

namespace {

struct limits_fixture {
    mrd_pool pool(pool_options options = {}) {
        return {context.get_executor(), service.factory(context.get_executor()), options};
    }
    ~limits_fixture() { service.resume(); }

    memory_service service{std::string(100'000, 'x'), 2, 1000};
    asio::io_context context;
};

/// Each operation on `pool` that takes a limit, with one that is over. Nothing has to be answered for it.
asio::awaitable<void> all_over(const mrd_pool& pool, mrd_pool& mine) {
    std::array<std::byte, 100> memory{};
    const byte_range range(0, 100);
    const fetch_options over = fetch_options().timeout(-1ns);
    CHECK((co_await failure_of(pool.async_fetch(range, memory, over))).code() == errc::timed_out);
    CHECK((co_await failure_of(pool.async_fetch(range, over))).code() == errc::timed_out);
    const auto tried = co_await support::try_fetch(pool, range, memory, over);
    CHECK(tried.error().code() == errc::timed_out);
    CHECK((co_await failure_of(pool.async_fetch_tail(10, over))).code() == errc::timed_out);
    std::vector<std::uint64_t> lengths(2, 10);
    CHECK(
        (co_await failure_of(pool.async_fetch_split(0, std::move(lengths), over))).code() == errc::timed_out
    );
    std::vector<rangeio::range_request> requests(1);
    requests[0].range = range;
    requests[0].destination = memory;
    const fetch_ranges_options ranges_over = fetch_ranges_options().timeout(-1h);
    CHECK(
        (co_await failure_of(pool.async_fetch_ranges(std::move(requests), ranges_over))).code() ==
        errc::timed_out
    );
    // Required: what does not end here need not end below.
    REQUIRE(
        (co_await failure_of(mine.async_acquire(rangeio::acquire_options().timeout(-1ns)))).code() ==
        errc::timed_out
    );
    CHECK(
        (co_await failure_of(
             mine.async_refresh_size(rangeio::read_options().timeout(std::chrono::nanoseconds::min()))
         ))
            .code() == errc::timed_out
    );
}

asio::awaitable<void> lease_over(rangeio::lease& held) {
    std::array<std::byte, 100> memory{};
    const byte_range range(0, 100);
    REQUIRE(
        (co_await failure_of(held.async_fetch(range, memory, rangeio::read_options().timeout(-1ns))))
            .code() == errc::timed_out
    );
}

asio::awaitable<void> hold_and_close(mrd_pool& pool, rangeio::lease& held) {
    held = co_await pool.async_acquire();
    (void)co_await failure_of(pool.async_close(rangeio::close_options().deadline_after(-1ns)));
}

asio::awaitable<void> hold_and_close_cache(
    mrd_pool_cache& cache, std::unique_ptr<mrd_pool>& pool, rangeio::lease& held
) {
    pool = std::make_unique<mrd_pool>(co_await cache.async_open(object_ref("b-1", "o")));
    held = co_await pool->async_acquire();
    (void)co_await failure_of(cache.async_close(rangeio::close_options().deadline_after(-1ns)));
}

}  // namespace

TEST_CASE("time limits: a negative timeout expires at once, on an open pool and on a mute service") {
    limits_fixture f;
    mrd_pool open = f.pool();
    rangeio::lease held;
    const auto hold = [&]() -> asio::awaitable<void> { held = co_await open.async_acquire(); };
    run(f.context, hold());
    run(f.context, all_over(open, open));
    run(f.context, lease_over(held));
    f.service.pause();
    run(f.context, all_over(open, open));
    run(f.context, lease_over(held));
    mrd_pool unopened = f.pool();
    run(f.context, all_over(unopened, unopened));
    held.release();
}

TEST_CASE("time limits: a negative deadline of close() gives leased streams no time") {
    limits_fixture f;
    mrd_pool pool = f.pool();
    rangeio::lease held;
    run(f.context, hold_and_close(pool, held));

    const auto maker = [&f](const object_ref&, const pool_options&) {
        return f.service.factory(f.context.get_executor());
    };
    mrd_pool_cache cache(f.context.get_executor(), maker);
    std::unique_ptr<mrd_pool> cached;
    rangeio::lease other;
    run(f.context, hold_and_close_cache(cache, cached, other));
}

TEST_CASE("time limits: the longest timeout is no shorter than others") {
    limits_fixture f;
    mrd_pool pool = f.pool(pool_options().open_timeout(std::chrono::nanoseconds::max()));
    const auto read = [&]() -> asio::awaitable<void> {
        std::array<std::byte, 100> memory{};
        const byte_range range(0, 100);
        const fetch_options longest = fetch_options().timeout(std::chrono::nanoseconds::max());
        CHECK(co_await pool.async_fetch(range, memory, longest) == 100);
        const rangeio::lease held =
            co_await pool.async_acquire(rangeio::acquire_options().timeout(std::chrono::nanoseconds::max()));
        CHECK(held);
    };
    run(f.context, read());
}

TEST_CASE("time limits: a negative timeout in pool options is rejected") {
    limits_fixture f;
    CHECK_THROWS_AS((void)f.pool(pool_options().open_timeout(-1ns)), rangeio::error);
}

TEST_CASE("empty handles: every operation is an error, and none crashes") {
    limits_fixture f;
    mrd_pool moved = f.pool();
    const mrd_pool there = std::move(moved);
    CHECK(there);
    for (int n = 0; n < 2; ++n) {
        mrd_pool none;
        mrd_pool& pool = n == 0 ? none : moved;
        CHECK_FALSE(pool);
        CHECK(pool.stats().opened == 0);
        CHECK_FALSE(pool.info());
        CHECK(pool.object() == object_ref());
        const auto use = [&]() -> asio::awaitable<void> {
            std::array<std::byte, 10> memory{};
            const byte_range range(0, 10);
            CHECK((co_await failure_of(pool.async_initialize())).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_acquire())).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_close())).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_refresh_size())).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_fetch(range))).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_fetch(range, memory))).code() == errc::invalid_argument);
            CHECK((co_await failure_of(pool.async_fetch_tail(1))).code() == errc::invalid_argument);
            std::vector<std::uint64_t> lengths(1, 1);
            CHECK(
                (co_await failure_of(pool.async_fetch_split(0, std::move(lengths)))).code() ==
                errc::invalid_argument
            );
            std::vector<rangeio::range_request> requests(1);
            CHECK(
                (co_await failure_of(pool.async_fetch_ranges(std::move(requests)))).code() ==
                errc::invalid_argument
            );
            const auto tried = co_await support::try_fetch(pool, range, memory);
            CHECK(tried.error().message() == "pool: none (default-constructed or moved from)");
            rangeio::lease held;
            CHECK((co_await failure_of(held.async_fetch(range, memory))).code() == errc::invalid_argument);
            CHECK_FALSE(held.get_executor());
        };
        run(f.context, use());
        CHECK_FALSE(pool.get_executor());
        // A handler that has no executor either is called all the same.
        std::promise<rangeio::error_code> ended;
        pool.async_initialize([&](rangeio::error_code why) { ended.set_value(why); });
        CHECK(ended.get_future().get() == errc::invalid_argument);
    }
    mrd_pool_cache cache;
    CHECK_FALSE(cache);
    CHECK(cache.stats() == rangeio::pool_cache_stats());
    const auto use_cache = [&]() -> asio::awaitable<void> {
        const object_ref object("b-1", "o");
        CHECK((co_await failure_of(cache.async_open(object))).code() == errc::invalid_argument);
        CHECK((co_await failure_of(cache.async_close())).code() == errc::invalid_argument);
    };
    run(f.context, use_cache());
}
