#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/readahead_cache.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/schedules.hpp"
#include "support/service_scene.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

// A read-ahead cache over the library's own streams, in virtual time.

namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::link_options;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
using support::read_end;
using support::run_in_one_schedule;

constexpr std::uint64_t cached_object_bytes = 256;
constexpr std::uint64_t cache_block = 16;

const error_code cached_eof = make_error_code(asio::error::eof);
const error_code cached_aborted = make_error_code(asio::error::operation_aborted);
const error_code cached_in_progress = make_error_code(asio::error::in_progress);

/// Empty: the pool itself, otherwise a reader with this prefetching.
using cache_source = std::optional<prefetching>;
constexpr std::array<cache_source, 2> sources_without_prefetching{std::nullopt, prefetching::off};
constexpr std::array<cache_source, 4> every_cache_source{
    std::nullopt, prefetching::off, prefetching::linear_ramp, prefetching::adaptive
};

scripted_service_options cached_object(const char* faults = "", std::uint64_t size = cached_object_bytes) {
    return scripted_service_options().object_bytes(size).faults(fault_script::parse(faults));
}

/// A service, a pool and a cache over it.
class cached_scene : public support::service_scene {
public:
    cached_scene(
        sim::world& in,
        const scripted_service_options& how,
        cache_source source = {},
        std::uint64_t block = cache_block,
        reader_options options = {}
    )
        : service_scene(in, how), pool_(on(), service().transport(on()), pool_options().size(2)) {
        const auto ahead = readahead_options().block_bytes(block);
        if (source) {
            options.prefetch(*source);
            cache_ = std::make_unique<readahead_cache>(object_reader(pool_, options), ahead);
        } else {
            cache_ = std::make_unique<readahead_cache>(pool_, ahead);
        }
    }
    ~cached_scene() {
        cache_.reset();
        pool_ = mrd_pool();
        end();
    }

    mrd_pool& pool() { return pool_; }
    readahead_cache& cache() { return *cache_; }
    void destroy_cache() { cache_.reset(); }

    asio::awaitable<read_end> read(std::uint64_t at, std::size_t size) {
        watched_memory::guard destination(memory(), size);
        read_end out;
        out.bytes =
            co_await cache_->async_read_some_at(at, destination.span(), redirect_error_value(out.why));
        const auto got = destination.span().first(out.bytes);
        world().check(service().holds(got, at), "a read returns other bytes");
        const auto rest = destination.span().subspan(out.bytes);
        const bool clean = std::ranges::all_of(rest, [](std::byte b) { return b == std::byte(); });
        world().check(clean, "more is written than was read");
        co_return out;
    }
    asio::awaitable<byte_slice> lend(std::uint64_t at, std::size_t max) {
        byte_slice out = co_await cache_->async_read_block_at(at, max);
        world().check(service().holds(out.span(), at), "a block has other bytes");
        co_return out;
    }
    asio::awaitable<void> expect(std::uint64_t at, std::size_t size, std::size_t bytes) {
        const read_end end = co_await read(at, size);
        world().check(!end.why, "a read ends with: " + end.why.message());
        world().check(end.bytes == bytes, "a read returns another number of bytes");
    }
    /// A read of which nothing is requested.
    asio::awaitable<void> expect_hit(std::uint64_t at, std::size_t size) {
        const readahead_stats before = cache_->stats();
        co_await expect(at, size, size);
        const readahead_stats now = cache_->stats();
        world().check(now.hits == before.hits + 1 && now.misses == before.misses, "a read is no hit");
        world().check(now.requested_bytes == before.requested_bytes, "a hit requests bytes");
    }
    asio::awaitable<error_code> failure(std::uint64_t at, std::size_t size) {
        const read_end end = co_await read(at, size);
        world().check(end.bytes == 0, "a failed read has bytes");
        co_return end.why.code();
    }
    asio::awaitable<void> close() {
        for (int i = 0; i < 2; ++i) {
            error_value why;
            co_await cache_->async_close(redirect_error_value(why));
            world().check(!why, "close fails");
        }
    }

private:
    mrd_pool pool_;
    std::unique_ptr<readahead_cache> cache_;
};

template <class Sources>
void run_cached_task(
    const Sources& sources,
    const scripted_service_options& how,
    const std::function<asio::awaitable<void>(cached_scene&)>& task
) {
    for (const cache_source source : sources) {
        CAPTURE(source.has_value());
        run_in_one_schedule([&](sim::world& w) {
            cached_scene s(w, how, source);
            s.spawn("task", task(s));
            w.run();
        });
    }
}

readahead_stats counted(std::uint64_t hits, std::uint64_t misses, std::uint64_t bytes) {
    readahead_stats out;
    out.hits = hits;
    out.misses = misses;
    out.requested_bytes = bytes;
    return out;
}

constexpr auto cache_latency = 50ms;

asio::awaitable<void> walk_the_window(cached_scene& s) {
    const auto trips = [&s, began = s.world().now()] { return (s.world().now() - began) / cache_latency; };
    const auto check = [&](std::uint64_t requests, std::uint64_t bytes) {
        CHECK(trips() == static_cast<std::int64_t>(requests));
        CHECK(s.service().ranges_requested() == requests);
        CHECK(s.service().bytes_sent() == bytes);
    };
    co_await s.expect(100, 8, 8);
    check(1, 24);
    CHECK(s.cache().stats() == counted(0, 1, 24));
    co_await s.expect_hit(108, 16);
    co_await s.expect_hit(100, 24);  // both blocks
    co_await s.expect_hit(104, 2);   // backward
    check(1, 24);
    // The first four bytes are kept, and not requested again.
    co_await s.expect(120, 8, 8);
    check(2, 24 + 4 + 16);
    // The window begins at what was requested then.
    co_await s.expect_hit(124, 20);
    co_await s.expect(120, 4, 4);
    check(3, 44 + 20);
    // Behind it: nothing of the window is used, although the read ends in it.
    co_await s.expect(116, 8, 8);
    check(4, 64 + 24);
    // A seek over the end of the window.
    co_await s.expect(150, 8, 8);
    check(5, 88 + 24);
    CHECK(s.cache().stats() == counted(4, 5, 112));
}

}  // namespace

TEST_CASE("readahead_cache: a miss is one request, of the missing bytes and a block, and replaces the window"
) {
    run_cached_task(
        sources_without_prefetching,
        cached_object().link(link_options().latency(cache_latency)),
        walk_the_window
    );
}

namespace {

asio::awaitable<void> read_the_end(cached_scene& s) {
    CHECK((co_await s.failure(0, 0)) == error_code());
    CHECK(s.service().calls() == 0);
    co_await s.expect(240, 8, 8);
    co_await s.expect_hit(248, 8);
    co_await s.expect(250, 20, 6);
    const readahead_stats before = s.cache().stats();
    CHECK(before == counted(2, 1, 16));
    CHECK((co_await s.failure(256, 20)) == cached_eof);
    CHECK((co_await s.failure(byte_range::max_end, 20)) == cached_eof);
    CHECK((co_await s.failure(~std::uint64_t{0}, 20)) == cached_eof);
    CHECK((co_await s.failure(0, 0)) == error_code());
    CHECK((co_await s.lend(0, 0)).empty());
    CHECK(s.cache().stats() == before);
    co_await s.expect_hit(240, 16);
}

}  // namespace

TEST_CASE("readahead_cache: reads end with the object, and reads of nothing change nothing") {
    run_cached_task(every_cache_source, cached_object(), read_the_end);
    for (const std::uint64_t size : {4U, 5U, 8U, 9U, 24U, 25U}) {
        CAPTURE(size);
        const auto how = cached_object("", size).link(link_options().latency(cache_latency));
        run_cached_task(every_cache_source, how, [size](cached_scene& s) -> asio::awaitable<void> {
            const auto began = s.world().now();
            co_await s.expect(0, 8, std::min<std::uint64_t>(size, 8));
            CHECK(s.world().now() - began == cache_latency);
            co_await s.expect_hit(0, std::min<std::uint64_t>(size, 24));
            CHECK((co_await s.failure(size, 8)) == cached_eof);
            CHECK(s.world().now() - began == cache_latency);
        });
    }
    run_cached_task(every_cache_source, cached_object("", 0), [](cached_scene& s) -> asio::awaitable<void> {
        CHECK((co_await s.failure(0, 8)) == cached_eof);
        CHECK((co_await s.failure(0, 8)) == cached_eof);
    });
}

TEST_CASE("readahead_cache: a block is lent without a copy, and outlives the window and the cache") {
    run_in_one_schedule([](sim::world& w) {
        cached_scene s(w, cached_object());
        byte_slice first;
        const auto task = [&]() -> asio::awaitable<void> {
            first = co_await s.lend(100, 8);
            CHECK(first.size() == 8);
            const byte_slice inside = co_await s.lend(104, 100);
            CHECK(inside.data() == first.data() + 4);
            CHECK(inside.size() == 4);
            CHECK((co_await s.lend(108, 100)).size() == cache_block);
            CHECK((co_await s.lend(110, 3)).size() == 3);
            CHECK(s.cache().stats() == counted(3, 1, 24));
            // A miss lends a block at most.
            CHECK((co_await s.lend(0, ~std::size_t{0})).size() == cache_block);
            CHECK(s.cache().stats() == counted(3, 2, 24 + 2 * cache_block));
        };
        s.spawn("task", task());
        w.run();
        s.destroy_cache();
        CHECK(s.service().holds(first.span(), 100));
    });
}

TEST_CASE("readahead_cache: a failed read leaves the window and the buffers, and the next one succeeds") {
    run_cached_task(
        sources_without_prefetching,
        cached_object("range-error call=1 range=2 status=NOT_FOUND"),
        [](cached_scene& s) -> asio::awaitable<void> {
            co_await s.expect(100, 8, 8);
            // Its front is in the window.
            const read_end failed = co_await s.read(120, 8);
            CHECK(failed.why.code() == errc::not_found);
            CHECK(failed.why.message().find("bucket") != std::string::npos);
            CHECK(failed.bytes == 0);
            CHECK(s.cache().stats() == counted(0, 2, 24));
            co_await s.expect_hit(100, 24);
            co_await s.expect(120, 8, 8);
            co_await s.expect_hit(124, 20);
        }
    );
}

TEST_CASE("readahead_cache: a second read at once fails, and has no effect") {
    run_in_one_schedule([](sim::world& w) {
        cached_scene s(w, cached_object("latency delay=1ms times=0"));
        std::array<std::byte, 8> memory{};
        std::optional<error_code> first;
        s.cache().async_read_some_at(100, std::span(memory), [&](error_code why, std::size_t) {
            first = why;
        });
        const auto others = [&]() -> asio::awaitable<void> {
            CHECK((co_await s.failure(0, 8)) == cached_in_progress);
            error_value why;
            const byte_slice none = co_await s.cache().async_read_block_at(100, 8, redirect_error_value(why));
            CHECK(why.code() == cached_in_progress);
            CHECK(none.empty());
            CHECK_FALSE(first);
        };
        s.spawn("others", others());
        w.run();
        CHECK(first == error_code());
        CHECK(s.service().holds(memory, 100));
        s.spawn("later", s.expect_hit(100, 24));
        w.run();
        CHECK(s.cache().stats() == counted(1, 1, 24));
    });
}

namespace {

asio::awaitable<void> read_what_was_appended(cached_scene& s) {
    co_await s.expect(240, 100, 16);
    CHECK((co_await s.failure(256, 8)) == cached_eof);
    co_await s.pool().async_refresh_size();
    co_await s.pool().async_refresh_size();
    CHECK(s.pool().info()->size == cached_object_bytes + 40);
    const readahead_stats before = s.cache().stats();
    co_await s.expect(250, 16, 16);
    const readahead_stats now = s.cache().stats();
    CHECK(now.requested_bytes == before.requested_bytes + 10 + cache_block);
    co_await s.expect_hit(256, 26);
    co_await s.expect(280, 100, 16);
    CHECK((co_await s.failure(296, 8)) == cached_eof);
}

}  // namespace

TEST_CASE("readahead_cache: a growing object ends where it is known to end, and what is kept stays") {
    // The second call reports the size before it grows, and the third one reports the new one.
    const auto growing = cached_object("grow call=2 bytes=40").finalized(false);
    run_cached_task(sources_without_prefetching, growing, read_what_was_appended);
}

TEST_CASE("readahead_cache: through a reader that follows, a read at the end waits for more bytes") {
    run_in_one_schedule([](sim::world& w) {
        const auto growing = cached_object("grow call=2 bytes=40").finalized(false);
        cached_scene s(
            w, growing, prefetching::off, cache_block, reader_options().follow(true).follow_interval(7s)
        );
        const auto task = [&]() -> asio::awaitable<void> {
            co_await s.expect(240, 16, 16);
            const auto began = w.now();
            // What is kept is returned without a wait.
            co_await s.expect(250, 20, 6);
            CHECK(w.now() == began);
            co_await s.expect(256, 8, 8);
            CHECK(w.now() - began == 7s);
            co_await s.expect_hit(264, 16);
        };
        s.spawn("task", task());
        w.run();
    });
}

namespace {

constexpr std::uint64_t chunk_64k = 64 << 10;

/// The bytes that are sent for a scan of so many misses: each is of a chunk and a block ahead, which is the next chunk.
std::uint64_t sent_for_misses(prefetching ahead, int misses) {
    std::uint64_t sent = 0;
    run_in_one_schedule([&](sim::world& w) {
        const auto how =
            cached_object("", 64 << 20).max_chunk_bytes(256 << 10).link(link_options().latency(10ms));
        cached_scene s(w, how, ahead, chunk_64k);
        const auto scan = [&]() -> asio::awaitable<void> {
            std::uint64_t at = 1 << 20;
            for (int i = 0; i < 2 * misses; ++i, at += chunk_64k) co_await s.expect(at, chunk_64k, chunk_64k);
        };
        s.spawn("scan", scan());
        w.run();
        CHECK(s.cache().stats().misses == static_cast<std::uint64_t>(misses));
        sent = s.service().bytes_sent();
    });
    return sent;
}

}  // namespace

TEST_CASE("readahead_cache: a chunk and its read-ahead are one step of a scan, and begin no prefetching early"
) {
    constexpr std::uint64_t requested = 2 * chunk_64k;
    // The policies begin with the second and the third read of a scan.
    CHECK(sent_for_misses(prefetching::adaptive, 1) == requested);
    CHECK(sent_for_misses(prefetching::adaptive, 2) > 2 * requested);
    CHECK(sent_for_misses(prefetching::linear_ramp, 2) == 2 * requested);
    CHECK(sent_for_misses(prefetching::linear_ramp, 3) > 3 * requested);
    CHECK(sent_for_misses(prefetching::off, 3) == 3 * requested);
}

TEST_CASE("readahead_cache: two reads of a reader at once are one step of a scan") {
    run_in_one_schedule([](sim::world& w) {
        const auto how =
            cached_object("", 64 << 20).max_chunk_bytes(256 << 10).link(link_options().latency(10ms));
        cached_scene s(w, how);
        object_reader reader(s.pool());
        const auto read = [&](std::uint64_t at) -> asio::awaitable<void> {
            std::vector<std::byte> memory(chunk_64k);
            CHECK(co_await reader.async_read_some_at(at, std::span(memory)) == chunk_64k);
        };
        const auto at_once = [&]() -> asio::awaitable<void> {
            co_await s.pool().async_initialize();
            s.spawn("required", read(1 << 20));
            s.spawn("ahead", read((1 << 20) + chunk_64k));
        };
        s.spawn("task", at_once());
        w.run();
        CHECK(s.service().bytes_sent() == 2 * chunk_64k);
        CHECK(reader.stats().prefetched_bytes == 0);
    });
}

namespace {

asio::awaitable<void> read_and_be_cancelled(cached_scene& s, bool kept) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    const read_end end = co_await s.read(120, 8);
    const bool cancelled = end.why.code() == cached_aborted;
    s.world().check(cancelled || (!end.why && end.bytes == 8), "it ends with: " + end.why.message());
    s.world().check(!cancelled || end.bytes == 0, "a cancelled read has bytes");
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (cancelled && kept) co_await s.expect_hit(100, 24);
    if (!cancelled) co_await s.expect_hit(124, 20);
    co_await s.expect(120, 8, 8);
}

}  // namespace

TEST_CASE("readahead_cache: a read that is cancelled at any step leaves the window, and the cache usable") {
    for (const cache_source source : every_cache_source) {
        for (int steps = 0; steps <= 12; steps += 2) {
            CAPTURE(steps);
            const auto program = [source, steps](sim::world& w) {
                cached_scene s(w, cached_object("latency delay=1ms times=0"), source);
                s.spawn("before", s.expect(100, 8, 8));
                w.run();
                asio::cancellation_signal stop;
                s.spawn("reader", read_and_be_cancelled(s, true), stop.slot());
                for (int i = 0; i < steps && w.step(); ++i) {
                }
                stop.emit(
                    steps % 4 == 0 ? asio::cancellation_type::total : asio::cancellation_type::terminal
                );
                w.run();
            };
            support::explore_at_locks(program, 60, 20, 2);
        }
    }
    // Of the read that opens.
    support::explore_at_locks(
        [](sim::world& w) {
            cached_scene s(w, cached_object("slow-open delay=1ms"));
            asio::cancellation_signal stop;
            s.spawn("reader", read_and_be_cancelled(s, false), stop.slot());
            for (int i = 0; i < 4 && w.step(); ++i) {
            }
            stop.emit(asio::cancellation_type::terminal);
            w.run();
        },
        100,
        50,
        2
    );
}

TEST_CASE("readahead_cache: the request of a cancelled read ends with it, and its error names the range") {
    run_in_one_schedule([](sim::world& w) {
        cached_scene s(w, cached_object("latency delay=1s times=0"));
        asio::cancellation_signal stop;
        std::string text;
        const auto task = [&]() -> asio::awaitable<void> {
            co_await asio::this_coro::throw_if_cancelled(false);
            const read_end end = co_await s.read(100, 8);
            CHECK(end.why.code() == cached_aborted);
            text = end.why.message();
        };
        s.spawn("reader", task(), stop.slot());
        while (s.service().ranges_requested() == 0 && w.step()) {
        }
        stop.emit(asio::cancellation_type::terminal);
        while (text.empty() && w.step()) {
        }
        CHECK(text.starts_with("gs://bucket/object [100, 124): "));
        CHECK(s.pool().stats().leases == 0);
        CHECK(s.cache().stats() == counted(0, 1, 0));
    });
}

TEST_CASE("readahead_cache: the time limit of the reader ends a read") {
    run_in_one_schedule([](sim::world& w) {
        cached_scene s(
            w,
            cached_object("mute times=0"),
            prefetching::off,
            cache_block,
            reader_options().fetching(fetch_options().timeout(3s))
        );
        const auto task = [&]() -> asio::awaitable<void> {
            const auto began = w.now();
            CHECK((co_await s.failure(0, 8)) == errc::timed_out);
            CHECK(w.now() - began == 3s);
        };
        s.spawn("task", task());
        w.run();
    });
}

namespace {

asio::awaitable<void> read_until_cache_closed(cached_scene& s) {
    for (int i = 0; i < 5; ++i) {
        const read_end end = co_await s.read(static_cast<std::uint64_t>(i % 2) * 8, 8);
        if (end.why.code() == errc::pool_closed) co_return;
        s.world().check(end.bytes == 8 || end.why.code() == cached_aborted, "ends: " + end.why.message());
    }
}

}  // namespace

TEST_CASE("readahead_cache: close ends a read at any moment, and later ones fail, also within the window") {
    for (const cache_source source : every_cache_source) {
        for (const char* faults : {"", "slow-open delay=1s times=0", "mute times=0"}) {
            const auto program = [source, faults](sim::world& w) {
                cached_scene s(w, cached_object(faults), source);
                s.spawn("reader", read_until_cache_closed(s));
                const auto closer = [&s]() -> asio::awaitable<void> {
                    co_await s.close();
                    const error_code why = co_await s.failure(0, 8);
                    const bool refused = why == errc::pool_closed;
                    s.world().check(refused || why == cached_in_progress, "a closed cache reads");
                };
                s.spawn_on_another_thread("closer", closer());
                w.run();
            };
            support::explore_at_locks(program, 150, 40, 2);
        }
    }
    run_cached_task(
        sources_without_prefetching,
        cached_object(),
        [](cached_scene& s) -> asio::awaitable<void> {
            co_await s.expect(0, 8, 8);
            co_await s.pool().async_close();
            CHECK((co_await s.failure(0, 8)) == errc::pool_closed);
        }
    );
}

TEST_CASE("readahead_cache: reads on two threads, of which one at a time may, in all schedules") {
    support::explore_at_locks(
        [](sim::world& w) {
            cached_scene s(w, cached_object());
            int done = 0;
            const auto reads = [&](std::uint64_t at) -> asio::awaitable<void> {
                for (int i = 0; i < 2; ++i) {
                    const read_end end = co_await s.read(at, 8);
                    const bool other = end.why.code() == cached_in_progress && end.bytes == 0;
                    w.check(other || (!end.why && end.bytes == 8), "ends: " + end.why.message());
                    done += other ? 0 : 1;
                }
            };
            s.spawn("one", reads(0));
            s.spawn_on_another_thread("two", reads(100));
            w.run();
            w.check(done >= 2, "nobody reads");
            w.check(
                s.cache().stats().hits + s.cache().stats().misses == static_cast<std::uint64_t>(done), "count"
            );
        },
        400,
        100,
        2
    );
}

TEST_CASE("readahead_cache: the end of the handle ends its read, and closes the pool that it owns") {
    support::explore_at_locks(
        [](sim::world& w) {
            cached_scene s(w, cached_object("mute times=0"));
            std::optional<error_code> end;
            std::array<std::byte, 8> memory{};
            s.cache().async_read_some_at(0, std::span(memory), [&](error_code why, std::size_t) {
                end = why;
            });
            for (int i = 0; i < 3 && w.step(); ++i) {
            }
            s.destroy_cache();
            w.run();
            w.check(end == cached_aborted, "the read does not end as cancelled");
        },
        200,
        50,
        2
    );
    run_in_one_schedule([](sim::world& w) {
        const testing::scripted_service service(w, cached_object());
        sim::context io(w, "io");
        const auto on = io.make_executor("reader");
        readahead_cache cache(mrd_pool(on, service.transport(on)));
        CHECK(cache.get_executor() == mrd_pool::executor_type(on));
        const auto task = [&]() -> asio::awaitable<void> {
            std::array<std::byte, 8> memory{};
            CHECK(co_await cache.async_read_some_at(8, std::span(memory)) == 8);
            CHECK(service.holds(memory, 8));
            cache = readahead_cache();
        };
        sim::spawn(on, "task", task());
        w.run();
        CHECK(service.calls_open() == 0);
    });
}

TEST_CASE("readahead_cache: a context that ends first destroys the read and its handler") {
    run_in_one_schedule([](sim::world& w) {
        const testing::scripted_service service(w, cached_object("mute times=0"));
        std::optional<readahead_cache> cache;
        const auto held = std::make_shared<int>();
        std::array<std::byte, 8> memory{};
        {
            sim::context io(w, "io");
            const auto on = io.make_executor("reader");
            cache.emplace(mrd_pool(on, service.transport(on)));
            cache->async_read_some_at(0, std::span(memory), [held](error_code, std::size_t) {});
            for (int i = 0; i < 3 && w.step(); ++i) {
            }
            CHECK(held.use_count() == 2);
        }
        CHECK(held.use_count() == 1);
        cache.reset();
        w.run();
    });
}

TEST_CASE("readahead_cache: an empty handle fails every operation, and options are checked") {
    run_in_one_schedule([](sim::world& w) {
        cached_scene s(w, cached_object());
        readahead_cache none;
        CHECK_FALSE(none);
        CHECK(none.stats() == readahead_stats());
        int failed = 0;
        const auto task = [&]() -> asio::awaitable<void> {
            std::array<std::byte, 8> memory{};
            error_value why;
            co_await none.async_read_some_at(0, std::span(memory), redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
            (void)co_await none.async_read_block_at(0, 8, redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
            co_await none.async_close(redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
        };
        s.spawn("task", task());
        w.run();
        CHECK(failed == 3);
        const auto of = [&](std::uint64_t bytes) {
            readahead_cache(s.pool(), readahead_options().block_bytes(bytes));
        };
        CHECK_THROWS_WITH_AS(of(0), "block_bytes: 0 is not in 1..1073741824", error);
        CHECK_THROWS_AS(of((1 << 30) + 1), error);
        CHECK_THROWS_AS(readahead_cache{object_reader()}, error);
        CHECK_THROWS_AS(readahead_cache{mrd_pool()}, error);
    });
}

namespace {

/// The window by offsets alone, and what reads of it cost.
class window_model {
public:
    explicit window_model(std::uint64_t size) : size_(size) {}

    /// Returns the number of bytes that a read has to return; `lends`: of a block.
    std::uint64_t read(std::uint64_t at, std::uint64_t max, bool lends) {
        const std::uint64_t wanted = std::min(max, at < size_ ? size_ - at : 0);
        if (wanted == 0) return 0;
        const std::uint64_t kept = at >= begin_ && at < end_ ? end_ - at : 0;
        if (lends && kept != 0) {
            ++stats.hits;
            return std::min(wanted, at < middle_ ? middle_ - at : kept);
        }
        if (kept >= wanted) {
            ++stats.hits;
            return wanted;
        }
        const std::uint64_t missing = lends ? std::min(wanted, cache_block) : wanted - kept;
        begin_ = at + kept;
        middle_ = begin_ + missing;
        end_ = std::min(size_, middle_ + cache_block);
        ++stats.misses;
        stats.requested_bytes += end_ - begin_;
        return kept + missing;
    }

    readahead_stats stats;

private:
    const std::uint64_t size_;
    std::uint64_t begin_ = 0, middle_ = 0, end_ = 0;
};

asio::awaitable<void> random_cached_reads(cached_scene& s, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&random](std::uint64_t n) { return random() % n; };
    window_model model(cached_object_bytes);
    std::uint64_t at = 0;
    for (int i = 0; i < 40; ++i) {
        if (below(3) == 0) at = below(cached_object_bytes + 8);
        if (below(4) == 0) at -= std::min(at, below(40));
        const std::uint64_t n = below(below(2) == 0 ? 8 : 40);
        const bool lends = below(3) == 0;
        read_end end;
        if (lends) {
            const byte_slice got =
                co_await s.cache().async_read_block_at(at, n, redirect_error_value(end.why));
            s.world().check(s.service().holds(got.span(), at), "a block has other bytes");
            end.bytes = got.size();
        } else {
            end = co_await s.read(at, n);
        }
        const std::uint64_t expected = model.read(at, n, lends);
        const error_code code = n != 0 && expected == 0 ? cached_eof : error_code();
        s.world().check(end.why.code() == code, "a read ends with: " + end.why.message());
        s.world().check(end.bytes == expected, "a read returns another number of bytes");
        s.world().check(s.cache().stats() == model.stats, "a hit or a miss too many");
        at += expected;
    }
}

}  // namespace

TEST_CASE("readahead_cache: random reads, through faults, are those of an array of bytes and of a window") {
    const std::uint64_t runs = support::schedule_budget() / 5;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        CAPTURE(seed);
        run_in_one_schedule([seed](sim::world& w) {
            const char* faults = seed % 3 == 0 ? "reset byte=8 times=2; slow-open delay=1ms" : "";
            cached_scene s(w, cached_object(faults), every_cache_source[seed % 4]);
            s.spawn("reader", random_cached_reads(s, seed));
            w.run();
        });
    }
}
