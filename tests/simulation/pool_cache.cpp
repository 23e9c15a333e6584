#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/sim/manual_time.hpp>

#include "simulation/memory_service.hpp"
#include "simulation/open_into.hpp"
#include "status_numbers.hpp"
#include "support/grpc_failures.hpp"
#include "support/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_ref;
using rangeio::pool_cache_options;
using rangeio::pool_options;

// The shell of the cache over the real shell of the pool: what the machine decides is tested with the machine; this is
// whether streams go where it says, and how many there are, counted where they arrive.

namespace {

struct cache_fixture {
    explicit cache_fixture(pool_cache_options options = {}, rangeio::retry_policy policy = {})
        : retry(policy) {
        auto maker = [this](const object_ref&, const pool_options&) {
            return service.factory(context.get_executor(), true, retry);
        };
        cache = std::make_unique<mrd_pool_cache>(context.get_executor(), maker, options);
    }
    ~cache_fixture() {
        cache.reset();
        context.restart();
        context.run_for(1s);
    }

    void settle(const outcome& end) {
        context.restart();
        const auto limit = std::chrono::steady_clock::now() + 20s;
        while (!end.code && std::chrono::steady_clock::now() < limit) context.run_one_for(1s);
        REQUIRE(end.code);
    }

    /// Waits for the threads of the service until `holds`.
    template <class Condition>
    void until(Condition holds) {
        const auto limit = std::chrono::steady_clock::now() + 20s;
        while (!holds() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
        REQUIRE(holds());
    }

    rangeio::retry_policy retry;
    memory_service service{std::string(100'000, 'x'), 2, 1000};
    asio::io_context context;
    rangeio::sim::manual_time time{context};
    std::unique_ptr<mrd_pool_cache> cache;
};

object_ref named(const std::string& name = "o") {
    return {"b-1", name, 7};
}

asio::awaitable<void> fetch_some(const mrd_pool& pool) {
    std::vector<std::byte> memory(5000);
    const byte_range range(0, 5000);
    CHECK(co_await pool.async_fetch(range, memory) == 5000);
    CHECK(memory[4999] == std::byte('x'));
}

asio::awaitable<void> fetch_and_throw(const mrd_pool& pool) {
    std::vector<std::byte> memory(5000);
    const byte_range range(0, 5000);
    co_await pool.async_fetch(range, memory);
}

/// Opens a pool, reads through it, and closes it.
asio::awaitable<void> visit(mrd_pool_cache& cache, object_ref object) {
    mrd_pool pool = co_await cache.async_open(object);
    co_await fetch_some(pool);
    co_await pool.async_close();
    const auto stats = pool.stats();
    CHECK(stats.ready + stats.opening + stats.closing + stats.leases == 0);
}

asio::awaitable<void> visit_size(mrd_pool_cache& cache, object_ref object, std::uint64_t size) {
    mrd_pool pool = co_await cache.async_open(object);
    CHECK(pool.info()->size == size);
    CHECK_FALSE(pool.info()->finalized);
    co_await pool.async_close();
}

/// Runs a coroutine that opens and drops a pool, and waits until the pool is destroyed: its last reference may be
/// released on a thread of the service.
void visit(cache_fixture& f, asio::awaitable<void> body) {
    const auto before = f.cache->stats().keys_in_use;
    run(f.context, std::move(body));
    f.until([&] { return f.cache->stats().keys_in_use == before; });
}

asio::awaitable<void> close_cache(mrd_pool_cache& cache, std::chrono::nanoseconds deadline_after = {}) {
    co_await cache.async_close(rangeio::close_options().deadline_after(deadline_after));
}

bool balanced(const rangeio::pool_cache_stats& s) {
    return s.donated == s.hits + s.expired + s.evicted + s.died + s.closed + s.idle_streams;
}

}  // namespace

TEST_CASE("cache: the next pool on a generation takes the streams of a closed one and opens none") {
    cache_fixture f;
    visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 1);
    CHECK(f.cache->stats().idle_streams == 1);
    CHECK(f.cache->stats().idle_keys == 1);
    for (int i = 0; i < 5; ++i) visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 1);
    const auto stats = f.cache->stats();
    CHECK(stats.hits == 5);
    CHECK(stats.misses == 1);
    CHECK(stats.donated == 6);
    CHECK(balanced(stats));
}

TEST_CASE("cache: a destroyed pool returns its idle streams, too") {
    cache_fixture f;
    for (int i = 0; i < 3; ++i) {
        std::unique_ptr<mrd_pool> pool;
        run(f.context, open_into(*f.cache, named(), pool));
        run(f.context, fetch_some(*pool));
        CHECK(pool->info()->generation == 7);
        pool.reset();
        f.until([&] { return f.cache->stats().idle_keys == 1; });
        CHECK(f.cache->stats().idle_streams == 1);
    }
    CHECK(f.service.calls() == 1);
}

TEST_CASE("cache: two pools at once on one object never share a stream") {
    cache_fixture f;
    visit(f, visit(*f.cache, named()));
    std::array<std::unique_ptr<mrd_pool>, 2> pools;
    std::array<lease, 2> leases;
    for (std::size_t i = 0; i < 2; ++i) {
        run(f.context, open_into(*f.cache, named(), pools[i], pool_options().size(1)));
        run(f.context, acquire_into(*pools[i], leases[i]));
    }
    CHECK(f.service.calls() == 2);
    CHECK(f.cache->stats().keys_in_use == 1);
    CHECK(f.cache->stats().idle_keys == 0);
    for (std::size_t i = 0; i < 2; ++i) {
        leases[i].release();
        run(f.context, fetch_some(*pools[i]));
    }
}

TEST_CASE("cache: a pool without a named generation opens one stream and takes the others from the cache") {
    cache_fixture f;
    {
        std::unique_ptr<mrd_pool> pool;
        run(f.context, open_into(*f.cache, named(), pool, pool_options().size(2)));
        std::array<lease, 2> leases;
        for (lease& l : leases) run(f.context, acquire_into(*pool, l));
    }
    CHECK(f.service.calls() == 2);
    f.until([&] { return f.cache->stats().idle_keys == 1; });
    CHECK(f.cache->stats().idle_streams == 2);
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, object_ref("b-1", "o"), pool, pool_options().size(3)));
    CHECK(f.service.calls() == 3);
    std::array<lease, 3> leases;
    for (lease& l : leases) run(f.context, acquire_into(*pool, l));
    CHECK(f.service.calls() == 3);
    CHECK(f.cache->stats().hits == 2);
}

TEST_CASE("cache: an unfinalized object is opened anew by every pool, so that its size is current") {
    cache_fixture f;
    f.service.unfinalized(1000);
    visit(f, visit_size(*f.cache, named(), 1000));
    f.service.unfinalized(2000);
    visit(f, visit_size(*f.cache, named(), 2000));
    CHECK(f.service.calls() == 2);
    CHECK(f.cache->stats().hits == 0);
}

TEST_CASE("cache: a stream with work in flight is closed with its pool, not kept") {
    cache_fixture f;
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named(), pool));
    outcome end;
    f.until([&] { return f.service.idle(); });  // else the read would wait for the wire, and nothing be due
    f.service.pause();
    asio::co_spawn(f.context, fetch_and_throw(*pool), end.handler());
    f.context.restart();
    f.context.poll();
    pool.reset();
    f.service.resume();
    f.settle(end);
    CHECK(end.code->failed());
    f.until([&] { return f.cache->stats().keys_in_use == 0; });
    CHECK(f.cache->stats().donated == 0);
    visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 2);
}

TEST_CASE("cache: a stream on which bytes of a cancelled read are still due is not kept") {
    cache_fixture f;
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named(), pool));
    f.until([&] { return f.service.idle(); });
    f.service.pause();
    outcome end;
    asio::cancellation_signal signal;
    asio::co_spawn(
        f.context, fetch_and_throw(*pool), asio::bind_cancellation_slot(signal.slot(), end.handler())
    );
    f.context.restart();
    f.context.poll();
    signal.emit(asio::cancellation_type::terminal);
    f.settle(end);
    CHECK(*end.code == asio::error::operation_aborted);
    CHECK(pool->stats().leases == 0);
    pool.reset();
    f.service.resume();
    f.until([&] { return f.cache->stats().keys_in_use == 0; });
    CHECK(f.cache->stats().donated == 0);
}

TEST_CASE("cache: a lease that outlives its pool cannot read on a stream that the cache has taken back") {
    cache_fixture f;
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named(), pool));
    lease held;
    run(f.context, acquire_into(*pool, held));
    pool.reset();
    f.until([&] { return f.cache->stats().idle_streams == 1; });
    const auto read = [](lease& l) -> asio::awaitable<void> {
        std::vector<std::byte> memory(10);
        const byte_range range(0, 10);
        const auto why = co_await failure_of(l.async_fetch(range, memory));
        CHECK(why.code() == errc::stream_closed);
    };
    run(f.context, read(held));
    CHECK(f.cache->stats().idle_streams == 1);
    held.release();
    f.until([&] { return f.cache->stats().keys_in_use == 0; });
    visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 1);
}

TEST_CASE("cache: a stream that fails while idle is dropped, and the next pool opens another") {
    cache_fixture f;
    visit(f, visit(*f.cache, named()));
    f.until([&] { return f.time.timers() == 1; });
    // A status after which nothing is tried again.
    f.service.break_all(rangeio::status_number::not_found);
    f.until([&] { return f.cache->stats().died == 1; });
    CHECK(f.cache->stats().idle_streams == 0);
    CHECK(f.cache->stats().idle_keys == 0);
    visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 2);
    CHECK(balanced(f.cache->stats()));
}

TEST_CASE("cache: a stream whose call ends while idle is kept, and opens a call with the next read") {
    cache_fixture f;
    const object_ref object("b-1", "o", 7);
    visit(f, visit(*f.cache, object));
    f.until([&] { return f.cache->stats().idle_streams == 1 && f.service.idle(); });
    f.service.break_all(rangeio::status_number::unavailable);
    f.until([&] { return f.service.idle(); });
    CHECK(f.cache->stats().died == 0);
    visit(f, visit(*f.cache, object));
    CHECK(f.service.calls() == 2);
    CHECK(f.cache->stats().hits == 1);
    CHECK(balanced(f.cache->stats()));
}

TEST_CASE("cache: idle streams expire by a timer, which runs only while a stream can expire") {
    cache_fixture f(pool_cache_options().idle_timeout(10s));
    f.until([&] { return f.time.timers() == 0; });
    visit(f, visit(*f.cache, named("a")));
    f.until([&] { return f.time.timers() == 1; });
    f.time.pass(6s);
    visit(f, visit(*f.cache, named("b")));
    f.until([&] { return f.time.timers() == 1; });
    f.time.pass(4s);
    CHECK(f.cache->stats().expired == 1);
    CHECK(f.cache->stats().idle_streams == 1);
    f.until([&] { return f.time.timers() == 1; });
    // Taken just in time; the timer that was set for it has nothing to do.
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named("b"), pool));
    CHECK(f.service.calls() == 2);
    f.until([&] { return f.time.timers() == 0; });
    f.time.pass(100s);
    run(f.context, fetch_some(*pool));
    CHECK(f.cache->stats().expired == 1);
}

TEST_CASE("cache: the least recently used object is dropped, objects in use are not") {
    cache_fixture f(pool_cache_options().max_idle_pools(2));
    std::unique_ptr<mrd_pool> in_use;
    run(f.context, open_into(*f.cache, named("used"), in_use));
    visit(f, visit(*f.cache, named("used")));  // leaves a stream behind on a key in use
    for (const char* name : {"a", "b", "a", "c"}) visit(f, visit(*f.cache, named(name)));
    CHECK(f.service.calls() == 5);
    const auto stats = f.cache->stats();
    CHECK(stats.idle_keys == 2);
    CHECK(stats.keys_in_use == 1);
    CHECK(stats.idle_streams == 3);
    CHECK(stats.evicted == 1);
    for (const char* name : {"a", "c", "used"}) visit(f, visit(*f.cache, named(name)));
    CHECK(f.service.calls() == 5);
    visit(f, visit(*f.cache, named("b")));
    CHECK(f.service.calls() == 6);
}

TEST_CASE("cache: a failed open is reported to the pool, and the cache stays usable") {
    cache_fixture f(pool_cache_options(), rangeio::retry_policy::none());
    f.service.refuse_opens(1);
    const auto refused = [](mrd_pool_cache& cache) -> asio::awaitable<void> {
        const auto object = named();
        const pool_options options;
        const auto why = co_await failure_of(cache.async_open(object, options));
        CHECK(why.code() == unavailable.code());
    };
    run(f.context, refused(*f.cache));
    f.until([&] { return f.cache->stats().keys_in_use == 0; });
    visit(f, visit(*f.cache, named()));
    CHECK(f.service.calls() == 2);
}

TEST_CASE("P9: closing the cache ends its idle streams and its pools, and all waiters complete together") {
    cache_fixture f;
    visit(f, visit(*f.cache, named("idle")));
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named(), pool));
    lease held;
    run(f.context, acquire_into(*pool, held));
    std::array<outcome, 2> ends;
    for (outcome& end : ends) asio::co_spawn(f.context, close_cache(*f.cache), end.handler());
    f.context.restart();
    f.context.poll();
    CHECK(f.cache->stats().idle_streams == 0);
    CHECK(f.cache->stats().closed == 1);
    f.until([&] { return f.time.timers() == 0; });

    const auto refused = [](mrd_pool_cache& cache, mrd_pool& open_pool) -> asio::awaitable<void> {
        const auto object = named();
        const pool_options options;
        const auto late = co_await failure_of(cache.async_open(object, options));
        CHECK(late.code() == errc::pool_closed);
        const auto acquire = co_await failure_of(open_pool.async_acquire());
        CHECK(acquire.code() == errc::pool_closed);
    };
    run(f.context, refused(*f.cache, *pool));
    CHECK_FALSE(ends[0].code);
    held.release();
    for (const outcome& end : ends) {
        f.settle(end);
        CHECK_FALSE(end.code->failed());
    }
    CHECK(f.cache->stats().donated == 1);
    CHECK(pool->stats().ready + pool->stats().closing == 0);
    run(f.context, close_cache(*f.cache));
    CHECK(f.service.calls() == 2);
}

TEST_CASE("P9: the deadline of closing the cache ends leased streams, even if its caller stops waiting") {
    cache_fixture f;
    std::unique_ptr<mrd_pool> pool;
    run(f.context, open_into(*f.cache, named(), pool));
    lease held;
    run(f.context, acquire_into(*pool, held));
    outcome impatient;
    asio::cancellation_signal signal;
    const std::size_t timers = f.time.timers();
    asio::co_spawn(
        f.context, close_cache(*f.cache, 5s), asio::bind_cancellation_slot(signal.slot(), impatient.handler())
    );
    f.context.restart();
    f.context.poll();
    signal.emit(asio::cancellation_type::terminal);
    f.settle(impatient);
    CHECK(*impatient.code == asio::error::operation_aborted);
    outcome end;
    asio::co_spawn(f.context, close_cache(*f.cache, 1h), end.handler());
    f.context.restart();
    f.context.poll();
    f.time.pass(4s);
    f.context.poll();
    CHECK_FALSE(end.code);
    f.time.pass(1s);
    f.settle(end);
    CHECK_FALSE(end.code->failed());
    CHECK(held);
    CHECK(f.time.timers() == timers);
}

TEST_CASE("cache: a pool that is opening when the cache closes fails to open") {
    cache_fixture f;
    f.service.pause();
    outcome opening;
    std::unique_ptr<mrd_pool> pool;
    asio::co_spawn(f.context, open_into(*f.cache, named(), pool), opening.handler());
    f.context.restart();
    f.context.poll();
    outcome closing;
    asio::co_spawn(f.context, close_cache(*f.cache), closing.handler());
    f.context.poll();
    f.service.resume();
    f.settle(opening);
    CHECK(*opening.code == errc::pool_closed);
    f.settle(closing);
    CHECK_FALSE(closing.code->failed());
}

TEST_CASE("cache: options out of their ranges are rejected when the cache is made") {
    cache_fixture f;
    const auto code_of = [&](pool_cache_options options) {
        rangeio::error_code out;
        try {
            const mrd_pool_cache never(f.context.get_executor(), {}, options);
        } catch (const rangeio::error& e) {
            out = e.code();
        }
        return out;
    };
    CHECK(code_of(pool_cache_options().max_idle_pools(4097)) == errc::invalid_argument);
    CHECK(code_of(pool_cache_options().max_idle_streams_per_key(4097)) == errc::invalid_argument);
    CHECK(code_of(pool_cache_options().idle_timeout(-1ns)) == errc::invalid_argument);
    CHECK(code_of(pool_cache_options().idle_timeout(25h)) == errc::invalid_argument);
    CHECK_FALSE(code_of(pool_cache_options().idle_timeout(0s)).failed());
    CHECK(code_of(pool_cache_options().generation_max_age(-1ns)) == errc::invalid_argument);
    CHECK(code_of(pool_cache_options().generation_max_age(25h)) == errc::invalid_argument);
}

TEST_CASE("cache: an object opened by name again needs no call while its generation counts as live") {
    const object_ref by_name("b-1", "o");
    cache_fixture asking;
    run(asking.context, visit(*asking.cache, by_name));
    run(asking.context, visit(*asking.cache, by_name));
    CHECK(asking.service.calls() == 2);
    CHECK(asking.cache->stats().hits == 0);

    cache_fixture f(pool_cache_options().generation_max_age(10s).idle_timeout(1h));
    for (int n = 0; n < 5; ++n) run(f.context, visit(*f.cache, by_name));
    CHECK(f.service.calls() == 1);
    CHECK(f.cache->stats().hits == 4);
    f.time.pass(10s);
    run(f.context, visit(*f.cache, by_name));
    CHECK(f.service.calls() == 2);
}

// The address sanitizer and the end of the service's threads show whether something was left behind.
TEST_CASE("cache: cache, pools, leases and context are destroyed in any order") {
    std::array<int, 4> order{0, 1, 2, 3};
    do {
        memory_service service(std::string(100'000, 'x'), 2, 1000);
        auto context = std::make_unique<asio::io_context>();
        const auto maker = [&](const object_ref&, const pool_options&) {
            return service.factory(context->get_executor());
        };
        auto cache = std::make_unique<mrd_pool_cache>(context->get_executor(), maker);
        run(*context, visit(*cache, named("idle")));
        std::unique_ptr<mrd_pool> pool;
        run(*context, open_into(*cache, named(), pool));
        std::optional<lease> held(std::in_place);
        run(*context, acquire_into(*pool, *held));
        const auto before = service.calls();
        for (const int what : order) {
            if (what == 0) cache.reset();
            if (what == 1) pool.reset();
            if (what == 2) held.reset();
            if (what == 3) context.reset();
        }
        CHECK(service.calls() == before);
    } while (std::next_permutation(order.begin(), order.end()));
}
