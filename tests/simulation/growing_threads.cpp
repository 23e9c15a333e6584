#include <rangeio/mrd_pool.hpp>

#include "simulation/memory_service.hpp"
#include "support/run.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::pool_options;

// An object that grows while many threads query its size, read up to the known size and open streams. Sizes reach the
// pool from several streams at once, and out of order. For the thread sanitizer, too.

namespace {

constexpr std::size_t first_bytes = 1000;
constexpr std::size_t step_bytes = 700;
constexpr std::size_t steps = 200;
constexpr std::size_t most_bytes = first_bytes + steps * step_bytes;

struct growth {
    memory_service service{random_content(most_bytes), 3, 300};
    std::atomic<std::size_t> size{first_bytes};  // the service has at least as much
    std::atomic<std::size_t> refreshed{0};
    std::atomic<std::size_t> read{0};
    std::atomic<std::size_t> short_or_wrong{0};
    std::atomic<std::size_t> backwards{0};
    std::atomic<bool> over{false};
    const std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + 60s;

    bool goes_on() const { return !over && std::chrono::steady_clock::now() < deadline; }
    void grow() {
        const std::size_t next = size + step_bytes;
        service.unfinalized(next);
        size = next;
    }
};

/// One of these appends before it asks.
asio::awaitable<void> refresh(mrd_pool& pool, growth& g, bool appends) {
    const auto end_with_it = [appends](growth* of) {
        if (appends) of->over = true;
    };
    const std::unique_ptr<growth, decltype(end_with_it)> end(&g, end_with_it);
    for (std::size_t i = 0; i < steps; ++i) {
        if (appends) g.grow();
        const std::uint64_t known = pool.info()->size;
        const std::uint64_t there = g.size;
        const std::uint64_t told = co_await pool.async_refresh_size();
        if (told < known || told < there || pool.info()->size < told) ++g.backwards;
        ++g.refreshed;
    }
}

/// Reads the end of what is known, in parts, so that several streams have to know of it.
asio::awaitable<void> read_known(const mrd_pool& pool, growth& g) {
    const fetch_options parts = fetch_options().concurrency(3).min_chunk_bytes(100);
    while (g.goes_on()) {
        const std::uint64_t end = pool.info()->size;
        const byte_range newest = byte_range::from_to(end - 600, end);
        try {
            const auto bytes = co_await pool.async_fetch(newest, parts);
            const std::string_view got(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            if (got != g.service.content().substr(end - 600, 600)) ++g.short_or_wrong;
        } catch (const rangeio::error&) {
            ++g.short_or_wrong;
        }
        ++g.read;
    }
}

void look_on(const mrd_pool& pool, growth& g) {
    std::uint64_t seen = 0;
    while (g.goes_on()) {
        const std::uint64_t now = pool.info()->size;
        if (now < seen) ++g.backwards;
        seen = now;
        std::this_thread::yield();
    }
}

}  // namespace

TEST_CASE("P14: a size learned on many threads never shrinks, and every stream can read up to it") {
    for (int round = 0; round < 4; ++round) {
        growth g;
        g.service.remember_sizes();
        g.service.unfinalized(first_bytes);
        asio::thread_pool threads(3);
        const auto unharmed = [](std::exception_ptr thrown) { CHECK_FALSE(thrown); };
        {
            // The first stream is there, so that a size is known; others are opened under the readers.
            asio::io_context context;
            mrd_pool pool(
                threads.get_executor(), g.service.factory(threads.get_executor()), pool_options().size(4)
            );
            const auto open = [](mrd_pool& p) -> asio::awaitable<void> { co_await p.async_initialize(); };
            run(context, open(pool));
            for (int i = 0; i < 3; ++i) asio::co_spawn(threads, refresh(pool, g, i == 0), unharmed);
            for (int i = 0; i < 2; ++i) asio::co_spawn(threads, read_known(pool, g), unharmed);
            std::thread onlooker([&] { look_on(pool, g); });
            threads.join();
            onlooker.join();
            CHECK(pool.info()->size == most_bytes);
            CHECK(pool.stats().failed == 0);
            CHECK(pool.stats().leases == 0);
        }
        CHECK(g.refreshed == 3 * steps);
        CHECK(g.read > 0);
        CHECK(g.backwards == 0);
        CHECK(g.short_or_wrong == 0);
    }
}
