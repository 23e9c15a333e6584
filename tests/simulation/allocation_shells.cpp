#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/readahead_cache.hpp>
#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/allocation_sweep.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/budget_unit.hpp"
#include "support/run.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// The shells without memory: what the shipped programs (allocation_failures.cpp) do not do, and the side of the wire.

namespace {

using namespace rangeio;
using namespace rangeio::testing;
using namespace std::chrono_literals;
using sim::world;

/// Again until there is memory; then it has to go as if nothing had been.
template <class Operation>
asio::awaitable<void> insist(world& w, Operation operation) {
    for (int tries = 0; tries < 100; ++tries) {
        try {
            co_await operation();
            co_return;
        } catch (...) {
            if (!sim::is_out_of_memory(std::current_exception()) || !sim::allocation_failures::any_injected())
                throw;
        }
    }
    w.violate("there is memory again, and still it fails");
}

bool balanced(const pool_stats& s) {
    return s.opened == s.opening + s.ready + s.reconnecting + s.closed + s.failed;
}

bool at_zero(const pool_stats& s) {
    return s.opening + s.ready + s.reconnecting + s.closing + s.leases + s.waiters == 0;
}

/// A service and a context in a world, whose end is looked at.
struct stage {
    stage(world& in, fault_script faults = {})
        : w(in), service(in, scripted_service_options().faults(std::move(faults))), io(in, "io") {}

    void finish() {
        w.run();
        pool.reset();
        cache.reset();
        reader.reset();
        ahead.reset();
        w.run();
        w.check(service.calls_open() == 0, "calls of the service are open though nobody is there");
        w.check(memory.intact(), "a destination was written after its operation had ended");
    }
    void check_bytes(std::span<const std::byte> bytes, std::uint64_t at) {
        w.check(service.holds(bytes, at), "other bytes than the object has");
    }

    world& w;
    watched_memory memory;
    scripted_service service;
    std::optional<mrd_pool> pool;
    std::optional<mrd_pool_cache> cache;
    std::optional<object_reader> reader;
    std::optional<readahead_cache> ahead;
    sim::context io;
};

asio::awaitable<void> read_in_all_ways(stage& s, mrd_pool& pool) {
    const auto whole = [&]() -> asio::awaitable<void> {
        const byte_range range(0, 20);
        const auto got = co_await pool.async_fetch(range);
        s.check_bytes(got.span(), 0);
    };
    const auto view = [&]() -> asio::awaitable<void> {
        const byte_range range(8, 12);
        direct_buffer buffer(12);
        const fetch_options options = fetch_options().min_chunk_bytes(4).timeout(1h);
        co_await pool.async_fetch(range, buffer.make_view(0, 12), options);
        s.check_bytes(buffer.data(), 8);
    };
    const auto past_the_end = [&]() -> asio::awaitable<void> {
        watched_memory::guard destination(s.memory, 20);
        const byte_range range(60, 20);
        const auto got = co_await support::try_fetch(pool, range, destination.span());
        if (!got && got.error().code() == boost::system::errc::not_enough_memory) throw std::bad_alloc();
        s.w.check(!got && got.error().code() == errc::range_not_satisfiable, "bytes past the end");
    };
    const auto scattered = [&]() -> asio::awaitable<void> {
        watched_memory::guard one(s.memory, 6);
        watched_memory::guard other(s.memory, 9);
        std::vector<range_request> requests;
        requests.emplace_back(byte_range(3, 6), one.span());
        requests.emplace_back(byte_range(12, 9), other.span());
        co_await pool.async_fetch_ranges(
            std::move(requests), fetch_ranges_options().max_gap_bytes(8).unit_bytes(10)
        );
        s.check_bytes(one.span(), 3);
        s.check_bytes(other.span(), 12);
    };
    co_await insist(s.w, whole);
    co_await insist(s.w, view);
    co_await insist(s.w, past_the_end);
    co_await insist(s.w, scattered);
    s.w.check(balanced(pool.stats()), "the pool's counters do not balance");
}

asio::awaitable<void> close_pool(stage& s, mrd_pool& pool) {
    const auto close = [&]() -> asio::awaitable<void> {
        co_await pool.async_close(close_options().deadline_after(1h));
    };
    co_await insist(s.w, close);
    s.w.check(at_zero(pool.stats()), "the pool is closed and its gauges are not zero");
}

asio::awaitable<void> read_and_close(stage& s, mrd_pool& pool) {
    co_await read_in_all_ways(s, pool);
    co_await close_pool(s, pool);
}

asio::awaitable<void> visit(stage& s, mrd_pool_cache& cache, object_ref object) {
    std::optional<mrd_pool> pool;
    const auto open = [&]() -> asio::awaitable<void> {
        const pool_options options = pool_options().size(2);
        pool.emplace(co_await cache.async_open(object, options));
    };
    co_await insist(s.w, open);
    const auto read = [&]() -> asio::awaitable<void> {
        const byte_range range(0, 20);
        const auto got = co_await pool->async_fetch(range);
        s.check_bytes(got.span(), 0);
    };
    co_await insist(s.w, read);
    s.w.check(balanced(pool->stats()), "the pool's counters do not balance");
    co_await close_pool(s, *pool);
}

asio::awaitable<void> visit_and_close(stage& s, mrd_pool_cache& cache) {
    co_await visit(s, cache, object_ref("bucket", "object"));
    co_await visit(s, cache, object_ref("bucket", "object", 7));
    co_await visit(s, cache, object_ref("bucket", "object", 7));
    const auto close = [&]() -> asio::awaitable<void> {
        co_await cache.async_close(close_options().deadline_after(1h));
    };
    co_await insist(s.w, close);
    const auto left = cache.stats();
    s.w.check(left.idle_streams + left.idle_keys == 0, "the cache is closed and its gauges are not zero");
}

/// The code of a failure, if that is not a lack of memory.
error_code code_unless_memory(const error_value& why) {
    if (why.code() == boost::system::errc::not_enough_memory) throw std::bad_alloc();
    return why.code();
}

/// A second read from the position, while one is under way that nobody waits for.
asio::awaitable<void> use_position_twice(stage& s, object_reader& reader) {
    const auto first = std::make_shared<watched_memory::guard>(s.memory, 8);
    watched_memory::guard second(s.memory, 8);
    reader.async_read_some(first->span(), [first](error_code, std::size_t) {});
    error_code seeking;
    reader.seek(0, seek_basis::current, seeking);
    const error_code in_progress = make_error_code(asio::error::in_progress);
    const bool began = seeking == in_progress;
    s.w.check(began || sim::allocation_failures::any_injected(), "a seek during a read");
    error_value why;
    co_await reader.async_read_some(second.span(), redirect_error_value(why));
    const error_code end = code_unless_memory(why);
    s.w.check(!began || end == in_progress, "two reads from the position: " + end.message());
}

asio::awaitable<void> use_reader(stage& s, object_reader& reader) {
    const auto some = [&]() -> asio::awaitable<void> {
        watched_memory::guard memory(s.memory, 20);
        reader.seek(4);
        s.w.check(co_await reader.async_read_some(memory.span()) == 20, "a short read");
        s.check_bytes(memory.span(), 4);
        s.w.check(reader.tell() == 24, "the position is elsewhere");
    };
    const auto footer_and_more = [&]() -> asio::awaitable<void> {
        watched_memory::guard memory(s.memory, 40);
        s.w.check(co_await reader.async_read_some_at(24, memory.span()) == 40, "a short read");
        s.check_bytes(memory.span(), 24);
    };
    const auto block = [&]() -> asio::awaitable<void> {
        reader.seek(8);
        const byte_slice got = co_await reader.async_read_block(16);
        s.w.check(got.size() == 16, "a short block");
        s.check_bytes(got.span(), 8);
    };
    const auto at_end = [&]() -> asio::awaitable<void> {
        watched_memory::guard memory(s.memory, 8);
        reader.seek(0, seek_basis::end);
        error_value why;
        co_await reader.async_read_some(memory.span(), redirect_error_value(why));
        s.w.check(code_unless_memory(why) == asio::error::eof, "another end: " + why.message());
    };
    const auto empty_handles = [&]() -> asio::awaitable<void> {
        object_reader none;
        mrd_pool no_pool;
        mrd_pool_cache no_cache;
        error_value why;
        (void)co_await none.async_read_block(1, redirect_error_value(why));
        s.w.check(code_unless_memory(why) == errc::invalid_argument, "an empty reader: " + why.message());
        co_await none.async_close(redirect_error_value(why));
        s.w.check(code_unless_memory(why) == errc::invalid_argument, "an empty reader: " + why.message());
        co_await no_pool.async_refresh_size(redirect_error_value(why));
        s.w.check(code_unless_memory(why) == errc::invalid_argument, "an empty pool: " + why.message());
        co_await no_cache.async_close(redirect_error_value(why));
        s.w.check(code_unless_memory(why) == errc::invalid_argument, "an empty cache: " + why.message());
    };
    const auto close = [&]() -> asio::awaitable<void> { co_await reader.async_close(); };
    co_await insist(s.w, some);
    co_await insist(s.w, footer_and_more);
    co_await insist(s.w, block);
    co_await insist(s.w, at_end);
    co_await insist(s.w, empty_handles);
    co_await insist(s.w, [&] { return use_position_twice(s, reader); });
    co_await insist(s.w, close);
}

asio::awaitable<void> use_readahead_cache(stage& s, readahead_cache& cache) {
    const auto miss = [&]() -> asio::awaitable<void> {
        watched_memory::guard memory(s.memory, 8);
        s.w.check(co_await cache.async_read_some_at(4, memory.span()) == 8, "a short read");
        s.check_bytes(memory.span(), 4);
    };
    const auto front_is_kept = [&]() -> asio::awaitable<void> {
        const readahead_stats before = cache.stats();
        watched_memory::guard memory(s.memory, 20);
        s.w.check(co_await cache.async_read_some_at(10, memory.span()) == 20, "a short read");
        s.check_bytes(memory.span(), 10);
        s.w.check(cache.stats().requested_bytes == before.requested_bytes + 18, "the window was lost");
    };
    const auto block = [&]() -> asio::awaitable<void> {
        const byte_slice got = co_await cache.async_read_block_at(30, 4);
        s.w.check(got.size() == 4, "a short block");
        s.check_bytes(got.span(), 30);
    };
    const auto at_end = [&]() -> asio::awaitable<void> {
        const byte_slice got = co_await cache.async_read_block_at(60, 4);
        s.w.check(got.size() == 4, "a short block");
        error_value why;
        (void)co_await cache.async_read_block_at(64, 1, redirect_error_value(why));
        s.w.check(code_unless_memory(why) == asio::error::eof, "another end: " + why.message());
    };
    const auto close = [&]() -> asio::awaitable<void> { co_await cache.async_close(); };
    co_await insist(s.w, miss);
    co_await insist(s.w, front_is_kept);
    co_await insist(s.w, block);
    co_await insist(s.w, at_end);
    co_await insist(s.w, close);
}

void make_cache(stage& s) {
    s.cache.emplace(s.io.get_executor(), [&s](const object_ref&, const pool_options&) {
        return s.service.transport(s.io.get_executor(), 30s);
    });
}

void sweep_it(const sim::program& p, std::uint64_t at_least) {
    for (const std::uint64_t times : {1U, 64U}) {
        const auto result = sweep(p, sim::sweep_options().times(times));
        INFO(result.text());
        CHECK_FALSE(result.found);
        CHECK(result.exhausted);
        CHECK(result.points >= at_least);
    }
}

}  // namespace

TEST_CASE("allocations: every way of reading survives any failure, and the pool stays usable") {
    sweep_it(
        [](world& w) {
            stage s(w);
            s.pool.emplace(s.io.get_executor(), s.service.transport(s.io.get_executor(), 30s));
            sim::spawn(s.io.get_executor(), "reader", read_and_close(s, *s.pool));
            s.finish();
        },
        100
    );
}

TEST_CASE("allocations: reads over breaks, redirects, stalls and bad bytes survive any failure") {
    sweep_it(
        [](world& w) {
            const auto faults = fault_script::parse(
                "reset call=1 byte=6 status=UNAVAILABLE; redirect call=2 byte=4 token=there handle=yes; "
                "bad-checksum"
            );
            stage s(w, faults);
            s.pool.emplace(s.io.get_executor(), s.service.transport(s.io.get_executor(), 30s));
            sim::spawn(s.io.get_executor(), "reader", read_and_close(s, *s.pool));
            s.finish();
        },
        100
    );
}

TEST_CASE("allocations: a reader survives any failure, and stays usable") {
    for (const char* faults : {"", "reset call=1 byte=6 status=UNAVAILABLE; bad-checksum"}) {
        sweep_it(
            [faults](world& w) {
                stage s(w, fault_script::parse(faults));
                s.reader.emplace(mrd_pool(s.io.get_executor(), s.service.transport(s.io.get_executor(), 30s))
                );
                s.reader->advise(footer{10});
                sim::spawn(s.io.get_executor(), "reader", use_reader(s, *s.reader));
                s.finish();
            },
            100
        );
    }
}

TEST_CASE("allocations: a read-ahead cache survives any failure, and keeps its window") {
    for (const prefetching ahead : {prefetching::off, prefetching::adaptive}) {
        sweep_it(
            [ahead](world& w) {
                stage s(w);
                const auto on = s.io.get_executor();
                object_reader reader(
                    mrd_pool(on, s.service.transport(on, 30s)), reader_options().prefetch(ahead)
                );
                s.ahead.emplace(std::move(reader), readahead_options().block_bytes(8));
                sim::spawn(on, "reader", use_readahead_cache(s, *s.ahead));
                s.finish();
            },
            50
        );
    }
}

TEST_CASE("allocations: a cache of pools survives any failure") {
    sweep_it(
        [](world& w) {
            stage s(w);
            make_cache(s);
            sim::spawn(s.io.get_executor(), "visitor", visit_and_close(s, *s.cache));
            s.finish();
        },
        100
    );
}

TEST_CASE("allocations: handles and contexts can be destroyed at any failure") {
    for (const int steps : {0, 3, 6, 9, 14}) {
        sweep_it(
            [steps](world& w) {
                std::optional<stage> s(std::in_place, w);
                make_cache(*s);
                sim::spawn(s->io.get_executor(), "visitor", visit_and_close(*s, *s->cache));
                for (int i = 0; i < steps && w.step(); ++i) {
                }
                if (steps % 2 == 0) s->cache.reset();
                s.reset();
                w.run();
            },
            3
        );
    }
}

namespace {

/// Of three readers on one unit, two wait for bytes, and the third comes to wait.
asio::awaitable<void> reserve_and_release(world& w) {
    const memory_budget budget(memory_budget::min_limit_bytes);
    const auto core = engine::budget_access::core(budget);
    int granted = 0;
    std::vector<std::shared_ptr<support::budget_unit>> units;
    const auto request = [&](fsm::reader_id reader, fsm::request_class lane) {
        const auto unit = std::make_shared<support::budget_unit>(
            core,
            [&granted](support::budget_unit&) { ++granted; },
            [](support::budget_unit& self) { self.room.release(); }
        );
        units.push_back(unit);
        const auto before = core->stats();
        try {
            unit->request(reader, lane, budget.limit_bytes());
        } catch (const std::bad_alloc&) {
            w.check(core->stats() == before, "a request without memory has had an effect");
            unit->request(reader, lane, budget.limit_bytes());
        }
    };
    request(1, fsm::request_class::demand);
    request(2, fsm::request_class::demand);
    request(3, fsm::request_class::speculative);
    w.check(granted == 2, "two readers wait, and are granted a unit each");
    {
        const sim::allocation_failures all(1, 1'000'000);
        units[0]->room.mark(fsm::budget_use::kept);
        units[1]->room.mark(fsm::budget_use::parked);
        units[2]->room.promote();
        w.check(granted == 3, "the third is granted only if there is memory");
        core->leave(2);
        units.clear();
    }
    w.check(core->stats().reserved_bytes == 0, "bytes were lost");
    co_return;
}

}  // namespace

TEST_CASE("allocations: a request for bytes of a budget survives any failure, and all else needs no memory") {
    sweep_it(
        [](world& w) {
            sim::context io(w, "io");
            sim::spawn(io.get_executor(), "reader", reserve_and_release(w));
            w.run();
        },
        15
    );
}
