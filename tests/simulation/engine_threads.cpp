#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>

#include "engine/cache_wait.hpp"
#include "engine/pool_cache_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/transfer.hpp"
#include "simulation/memory_service.hpp"
#include "support/await_operation.hpp"
#include "support/awaited_transfer.hpp"
#include "support/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_ref;
using rangeio::pool_cache_options;
using rangeio::pool_options;

// Many threads against one pool, without gRPC, for the thread sanitizer: its reports are the assertion here, besides
// the bytes and the balance.

namespace {

struct tally {
    std::atomic<int> good{0};
    std::atomic<int> failed{0};
    std::atomic<int> wrong{0};
};

asio::awaitable<void> read_one(
    const mrd_pool& pool, const std::string& content, unsigned seed, tally& count, bool hurried = true
) {
    std::minstd_rand random(seed);
    const std::size_t length = 1 + random() % 20'000;
    const std::size_t offset = random() % (content.size() - length);
    std::vector<std::byte> memory(length);
    const byte_range range(offset, length);
    fetch_options options;
    options.concurrency(1 + random() % 6).min_chunk_bytes(500);
    if (hurried && random() % 4 == 0) options.timeout(std::chrono::microseconds(random() % 300));
    try {
        co_await pool.async_fetch(range, memory, options);
        ++(std::memcmp(memory.data(), content.data() + offset, length) == 0 ? count.good : count.wrong);
    } catch (const rangeio::error&) {
        ++count.failed;
    }
}

/// Reads on a strand of a many-threaded context, some of them cancelled half-way.
asio::awaitable<void> read_and_cancel(
    const mrd_pool& pool, const std::string& content, unsigned seed, tally& count
) {
    const auto executor = co_await asio::this_coro::executor;
    for (unsigned i = 0; i < 40; ++i) {
        if (i % 3 != 0) {
            co_await read_one(pool, content, seed * 1000 + i, count);
            continue;
        }
        using namespace asio::experimental::awaitable_operators;
        asio::steady_timer timer(executor, std::chrono::microseconds(i * 20));
        // Whichever ends first cancels the other.
        co_await (read_one(pool, content, seed * 1000 + i, count) || timer.async_wait(asio::use_awaitable));
    }
}

asio::awaitable<void> read_many(
    const mrd_pool& pool, const std::string& content, unsigned seed, tally& count
) {
    for (unsigned i = 0; i < 30; ++i) co_await read_one(pool, content, seed + i, count, false);
}

void hammer(
    memory_service& service,
    std::size_t pool_size,
    bool multi_request,
    const rangeio::retry_policy& retry = {}
) {
    tally count;
    {
        asio::thread_pool threads(3);
        mrd_pool pool(
            threads.get_executor(),
            service.factory(threads.get_executor(), multi_request, retry),
            pool_options().size(pool_size)
        );
        for (unsigned task = 0; task < 6; ++task) {
            asio::co_spawn(
                asio::make_strand(threads),
                read_and_cancel(pool, service.content(), task, count),
                [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }
            );
        }
        threads.join();
        const auto stats = pool.stats();
        CHECK(stats.leases == 0);
        CHECK(stats.waiters == 0);
        CHECK(stats.opened == stats.opening + stats.ready + stats.reconnecting + stats.closed + stats.failed);
    }
    CHECK(count.wrong == 0);
    CHECK(count.good > 0);
}

}  // namespace

TEST_CASE("engine: the statistics of a pool balance at any moment, seen from another thread") {
    memory_service service(random_content(200'000), 2, 3000);
    service.break_after(5);
    tally count;
    asio::thread_pool threads(3);
    mrd_pool pool(threads.get_executor(), service.factory(threads.get_executor()), pool_options().size(3));
    for (unsigned task = 0; task < 4; ++task) {
        asio::co_spawn(
            asio::make_strand(threads),
            read_and_cancel(pool, service.content(), task, count),
            [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }
        );
    }
    std::atomic<bool> over{false};
    std::thread onlooker([&] {
        while (!over) {
            const auto s = pool.stats();
            CHECK(s.opened == s.opening + s.ready + s.reconnecting + s.closed + s.failed);
            if (const auto info = pool.info()) CHECK(info->size == 200'000);
            std::this_thread::yield();
        }
    });
    threads.join();
    over = true;
    onlooker.join();
    CHECK(count.wrong == 0);
}

namespace {

template <class Op>
asio::awaitable<void> await_counted(std::shared_ptr<Op> op, std::atomic<int>& ended) {
    co_await support::await_operation(op);
    ++ended;
}

/// Starts an operation on one thread and cancels it on another one, at whatever moment that is.
template <class Op>
void race(asio::thread_pool& threads, const std::shared_ptr<Op>& op, std::atomic<int>& ended) {
    asio::post(threads, [op] { op->cancel(make_error_code(asio::error::operation_aborted)); });
    asio::co_spawn(threads, await_counted(op, ended), [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
    asio::post(threads, [op] { op->cancel(rangeio::errc::timed_out); });
}

}  // namespace

TEST_CASE("engine: operations of every kind are cancelled by other threads at start, during and at the end") {
    using namespace rangeio::engine;
    memory_service service(random_content(20'000), 2, 3000);
    std::vector<std::byte> memory(2000);
    std::atomic<int> ended{0};
    for (int round = 0; round < 60; ++round) {
        asio::thread_pool threads(3);
        const auto executor = threads.get_executor();
        mrd_pool pool(executor, service.factory(executor), pool_options().size(1));
        const auto core = pool_access::core(pool);
        const auto cache = pool_cache_core::make(
            executor,
            [&](const object_ref&, const pool_options&) { return service.factory(executor); },
            pool_cache_options()
        );
        transfer_parts parts(2);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            parts[i].range = byte_range(1000 * i, 1000);
            parts[i].memory = memory.data() + 1000 * i;
        }
        race(threads, std::make_shared<initialize_operation>(core), ended);
        race(threads, std::make_shared<acquire_operation>(core, rangeio::acquire_options()), ended);
        race(threads, std::make_shared<awaited_transfer>(core, std::move(parts)), ended);
        race(threads, std::make_shared<cache_wait>(cache, rangeio::close_options()), ended);
        pool.async_close(rangeio::close_options().deadline_after(1ms), [](rangeio::error_code why) {
            CHECK_FALSE(why);
        });
        threads.join();
        cache->close_now();
    }
    CHECK(ended == 240);
}

TEST_CASE("engine: reads, timeouts and cancellations run on many threads with shared streams") {
    memory_service service(random_content(200'000), 2, 3000);
    hammer(service, 3, true);
}

TEST_CASE("engine: reads, timeouts and cancellations run on many threads with exclusive streams") {
    memory_service service(random_content(200'000), 2, 3000);
    hammer(service, 3, false);
}

TEST_CASE("engine: streams that break all the time without resuming fail their reads and nothing else") {
    memory_service service(random_content(200'000), 2, 3000);
    service.break_after(9);
    hammer(service, 2, true, rangeio::retry_policy::none());
}

TEST_CASE("engine: streams that break all the time are resumed, and no read fails") {
    memory_service service(random_content(200'000), 2, 3000);
    service.break_after(3);
    asio::thread_pool threads(3);
    tally count;
    {
        mrd_pool pool(
            threads.get_executor(), service.factory(threads.get_executor()), pool_options().size(2)
        );
        for (unsigned task = 0; task < 6; ++task) {
            asio::co_spawn(
                asio::make_strand(threads),
                read_many(pool, service.content(), task * 1000, count),
                [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }
            );
        }
        threads.join();
        CHECK(pool.stats().failed == 0);
        CHECK(pool.stats().opened <= 2);
    }
    CHECK(count.good == 180);
    CHECK(service.calls() > 2);
}

namespace {

/// A read that has been asked for, though not begun, while the pool's handle was still there.
asio::awaitable<void> finish(
    asio::awaitable<std::size_t> read,
    std::shared_ptr<std::vector<std::byte>> memory,
    std::string_view right,
    tally& count
) {
    try {
        co_await std::move(read);
        ++(std::memcmp(memory->data(), right.data(), right.size()) == 0 ? count.good : count.wrong);
    } catch (const rangeio::error&) {
        ++count.failed;
    }
}

}  // namespace

TEST_CASE("engine: pools are closed and destroyed during reads of other threads") {
    memory_service service(random_content(200'000), 2, 3000);
    tally count;
    constexpr std::size_t length = 20'000;
    for (int round = 0; round < 40; ++round) {
        asio::thread_pool threads(3);
        auto pool = std::make_unique<mrd_pool>(
            threads.get_executor(), service.factory(threads.get_executor()), pool_options().size(2)
        );
        for (std::size_t task = 0; task < 4; ++task) {
            auto memory = std::make_shared<std::vector<std::byte>>(length);
            const byte_range range(task * length, length);
            auto read =
                pool->async_fetch(range, *memory, fetch_options().min_chunk_bytes(1000), throwing_awaitable);
            const auto right = std::string_view(service.content()).substr(task * length, length);
            asio::co_spawn(
                asio::make_strand(threads),
                finish(std::move(read), memory, right, count),
                [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }
            );
        }
        if (round % 2 == 0) {
            pool->async_close(rangeio::close_options().deadline_after(1ms), [](rangeio::error_code why) {
                CHECK_FALSE(why);
            });
        } else {
            pool.reset();
        }
        threads.join();
    }
    CHECK(count.wrong == 0);
    CHECK(count.good + count.failed == 160);
}

TEST_CASE("engine: an execution context is destroyed during reads of its coroutines") {
    memory_service service(random_content(200'000), 2, 3000);
    tally count;
    for (int round = 0; round < 60; ++round) {
        std::unique_ptr<mrd_pool> pool;
        asio::io_context context;
        pool = std::make_unique<mrd_pool>(
            context.get_executor(), service.factory(context.get_executor()), pool_options().size(2)
        );
        for (unsigned task = 0; task < 3; ++task) {
            asio::co_spawn(
                context, read_one(*pool, service.content(), task + 1, count), [](std::exception_ptr) {}
            );
        }
        for (int step = 0; step < round / 2; ++step) context.run_one_for(1ms);
        if (round % 3 == 0) pool.reset();
        // `context` goes first, with reads under way; the pool after it, if it is still there.
    }
    CHECK(count.wrong == 0);
}

TEST_CASE("engine: a pool serves coroutines of another context, which is destroyed first") {
    memory_service service(random_content(200'000), 2, 3000);
    tally count;
    asio::io_context of_the_pool;
    mrd_pool pool(
        of_the_pool.get_executor(), service.factory(of_the_pool.get_executor()), pool_options().size(2)
    );
    for (int round = 0; round < 30; ++round) {
        asio::io_context context;
        for (unsigned task = 0; task < 3; ++task) {
            asio::co_spawn(
                context, read_one(pool, service.content(), task + 1, count), [](std::exception_ptr) {}
            );
        }
        for (int step = 0; step < round; ++step) context.run_one_for(1ms);
    }
    CHECK(pool.stats().leases == 0);
    CHECK(pool.stats().waiters == 0);
    CHECK(count.wrong == 0);
}

namespace {

/// Opens and reads and closes, again and again, so that streams go from pool to pool and from thread to thread.
asio::awaitable<void> come_and_go(
    mrd_pool_cache& cache, const std::string& content, unsigned seed, tally& count
) {
    std::minstd_rand random(seed);
    for (int i = 0; i < 25; ++i) {
        const object_ref object("b-1", random() % 2 == 0 ? "x" : "y", random() % 4 == 0 ? 0 : 7);
        const pool_options options = pool_options().size(1 + random() % 2);
        try {
            mrd_pool pool = co_await cache.async_open(object, options);
            co_await read_one(pool, content, seed * 1000 + static_cast<unsigned>(i), count);
            if (random() % 2 == 0) co_await pool.async_close();
        } catch (const rangeio::error&) {
            ++count.failed;
        }
    }
}

void hammer_cache(memory_service& service, bool close_meanwhile) {
    tally count;
    for (int round = 0; round < 8; ++round) {
        asio::thread_pool threads(3);
        const auto executor = threads.get_executor();
        auto cache = std::make_unique<mrd_pool_cache>(
            executor,
            [&](const object_ref&, const pool_options&) { return service.factory(executor); },
            pool_cache_options().max_idle_pools(1).max_idle_streams_per_key(2).idle_timeout(1ms)
        );
        // Without strands: these coroutines are not cancelled, and the last reference to a strand is released behind a
        // fence of Asio's that GCC's ThreadSanitizer cannot see.
        for (unsigned task = 0; task < 4; ++task) {
            asio::co_spawn(
                threads,
                come_and_go(*cache, service.content(), task + 1, count),
                [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }
            );
        }
        if (close_meanwhile) {
            // The second one comes while the first is under way, or after it.
            for (int i = 0; i < 2; ++i) {
                cache->async_close(rangeio::close_options().deadline_after(1ms), [](rangeio::error_code why) {
                    CHECK_FALSE(why);
                });
            }
        }
        threads.join();
        // The last of a pool may still be on its way out on a thread of the service.
        const auto limit = std::chrono::steady_clock::now() + 20s;
        while (cache->stats().keys_in_use > 0 && std::chrono::steady_clock::now() < limit) {
            std::this_thread::yield();
        }
        const auto stats = cache->stats();
        CHECK(stats.keys_in_use == 0);
        CHECK(stats.idle_keys <= 1);
        CHECK(
            stats.donated ==
            stats.hits + stats.expired + stats.evicted + stats.died + stats.closed + stats.idle_streams
        );
        if (close_meanwhile) CHECK(stats.idle_streams == 0);
        if (round % 2 == 0) cache.reset();
    }
    CHECK(count.wrong == 0);
    if (!close_meanwhile) CHECK(count.good > 0);
}

}  // namespace

TEST_CASE("cache: pools open and close on many threads, and pass their streams from one to the next") {
    memory_service service(random_content(200'000), 2, 3000);
    hammer_cache(service, false);
}

TEST_CASE("cache: streams that break all the time, idle ones too, fail their reads and nothing else") {
    memory_service service(random_content(200'000), 2, 3000);
    service.break_after(9);
    hammer_cache(service, false);
}

TEST_CASE("cache: a close on one thread ends pools that open and close on others") {
    memory_service service(random_content(200'000), 2, 3000);
    hammer_cache(service, true);
}

TEST_CASE("cache: destruction of its context ends pools that open and close on many threads") {
    memory_service service(random_content(200'000), 2, 3000);
    tally count;
    for (int round = 0; round < 60; ++round) {
        std::unique_ptr<mrd_pool_cache> cache;
        asio::io_context context;
        const auto executor = context.get_executor();
        cache = std::make_unique<mrd_pool_cache>(executor, [&](const object_ref&, const pool_options&) {
            return service.factory(executor);
        });
        for (unsigned task = 0; task < 3; ++task) {
            asio::co_spawn(
                context, come_and_go(*cache, service.content(), task + 1, count), [](std::exception_ptr) {}
            );
        }
        for (int step = 0; step < round; ++step) context.run_one_for(1ms);
        if (round % 3 == 0) cache.reset();
        // `context` goes first, with streams idle and in use; the cache after it, if it is still there.
    }
    CHECK(count.wrong == 0);
}
