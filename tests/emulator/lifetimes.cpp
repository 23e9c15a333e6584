#include "emulator/engine_fixture.hpp"
#include "support/mib.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;

namespace {

asio::awaitable<void> fetch_all(
    const mrd_pool& pool, std::span<std::byte> memory, std::chrono::nanoseconds timeout = {}
) {
    const byte_range whole(0, memory.size());
    const fetch_options options = fetch_options().timeout(timeout);
    co_await pool.async_fetch(whole, memory, options);
}

}  // namespace

TEST_CASE("async_fetch: a read cancelled at any moment leaves its memory alone and the pool usable") {
    engine_fixture f;
    const std::string content = pattern(16 * mib);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    int cancelled = 0;
    for (int steps = 0; steps < 40; ++steps) {
        auto memory = std::make_unique<std::vector<std::byte>>(content.size());
        asio::cancellation_signal signal;
        outcome end;
        asio::co_spawn(
            f.context, fetch_all(*pool, *memory), asio::bind_cancellation_slot(signal.slot(), end.handler())
        );
        f.context.restart();
        // So many steps of the event loop before the cancellation comes; each one is somewhere else in the
        // read.
        for (int i = 0; i < steps && !end.code; ++i) f.context.run_one_for(1ms);
        signal.emit(asio::cancellation_type::terminal);
        f.context.restart();
        f.context.run_for(30s);
        REQUIRE(end.code);
        if (*end.code == asio::error::operation_aborted)
            ++cancelled;
        else
            CHECK_FALSE(end.code->failed());
        memory.reset();  // freed: the address sanitizer catches a later write
        CHECK(pool->stats().leases == 0);
    }
    CHECK(cancelled > 0);
    std::vector<std::byte> memory(content.size());
    f.run(fetch_all(*pool, memory));
    CHECK(std::memcmp(memory.data(), content.data(), content.size()) == 0);
}

TEST_CASE("async_fetch: a timeout ends the read with its own code, before or while bytes arrive") {
    engine_fixture f;
    const std::string content = pattern(64 * mib);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    std::vector<std::byte> memory(content.size());
    for (const auto timeout : {1ns, 100'000ns, 1'000'000ns}) {
        outcome end;
        asio::co_spawn(f.context, fetch_all(*pool, memory, timeout), end.handler());
        f.context.restart();
        f.context.run_for(30s);
        REQUIRE(end.code);
        CHECK(*end.code == errc::timed_out);
        CHECK(pool->stats().leases == 0);
    }
}

namespace {

asio::awaitable<void> two_at_once(const mrd_pool& pool, std::span<std::byte> memory, bool& first_failed) {
    using namespace asio::experimental::awaitable_operators;
    const byte_range good(0, 1000);
    const byte_range bad(memory.size(), 1000);
    const fetch_options options;
    try {
        co_await (
            pool.async_fetch(good, memory.first(1000), options, throwing_awaitable) &&
            pool.async_fetch(bad, memory.last(1000), options, throwing_awaitable)
        );
    } catch (const std::exception&) {
        first_failed = true;  // one of them, or both if the other was cancelled by it
    }
}

}  // namespace

TEST_CASE("async_fetch: Asio's operators work, with one of two operations failing") {
    engine_fixture f;
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", pattern(5000)), pool));
    std::vector<std::byte> memory(5000);
    bool failed = false;
    f.run(two_at_once(*pool, memory, failed));
    CHECK(failed);
    CHECK(pool->stats().leases == 0);
}

namespace {

asio::awaitable<void> close_and_ask(mrd_pool& pool) {
    co_await pool.async_close();
    const auto acquire = co_await failure_of(pool.async_acquire());
    CHECK(acquire.code() == errc::pool_closed);
    const auto initialize = co_await failure_of(pool.async_initialize());
    CHECK(initialize.code() == errc::pool_closed);
    co_await pool.async_close();
}

asio::awaitable<void> close_while_leased(mrd_pool& pool) {
    using namespace asio::experimental::awaitable_operators;
    std::vector<std::byte> memory(1000);
    lease held = co_await pool.async_acquire();
    // The held stream keeps the pool from closing until the deadline; both callers see the same end.
    co_await (
        pool.async_close(rangeio::close_options().deadline_after(10ms), throwing_awaitable) &&
        pool.async_close(throwing_awaitable)
    );
    CHECK(pool.stats().closing + pool.stats().ready + pool.stats().opening == 0);
    const byte_range range(0, 10);
    const auto why = co_await failure_of(held.async_fetch(range, memory));
    CHECK(why.code() == errc::stream_closed);
    held.release();
    CHECK(pool.stats().leases == 0);
}

asio::awaitable<void> lease_and_read(mrd_pool& pool, const std::string& content) {
    std::vector<std::byte> memory(1000);
    lease held = co_await pool.async_acquire();
    CHECK(held);
    CHECK(pool.stats().leases == 1);
    const byte_range range(10, 500);
    CHECK(co_await held.async_fetch(range, memory) == 500);
    CHECK(std::memcmp(memory.data(), content.data() + 10, 500) == 0);
    lease other = std::move(held);
    CHECK_FALSE(held);
    other.release();
    CHECK(pool.stats().leases == 0);
    const auto why = co_await failure_of(other.async_fetch(range, memory));
    CHECK(why.code() == errc::invalid_argument);
}

}  // namespace

TEST_CASE("lease: a lease reads on its stream, moves, and is released once") {
    engine_fixture f;
    const std::string content = pattern(1000);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    f.run(lease_and_read(*pool, content));
}

TEST_CASE("close: a repeated close succeeds, and later operations fail") {
    engine_fixture f;
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", pattern(1000)), pool));
    f.run(close_and_ask(*pool));
}

TEST_CASE("close: a deadline ends leased streams") {
    engine_fixture f;
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", pattern(1000)), pool));
    f.run(close_while_leased(*pool));
}

TEST_CASE("pool: destruction during reads fails and completes them") {
    engine_fixture f;
    const std::string content = pattern(16 * mib);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    std::vector<std::byte> memory(content.size());
    outcome end;
    asio::co_spawn(f.context, fetch_all(*pool, memory), end.handler());
    f.context.restart();
    f.context.poll();
    pool.reset();
    f.context.restart();
    f.context.run_for(30s);
    REQUIRE(end.code);
    if (end.code->failed()) {
        const bool closed = *end.code == errc::stream_closed || *end.code == errc::pool_closed;
        CHECK(closed);
    }
}

TEST_CASE("io_context: destruction at any moment of a read is safe, with other objects alive or destroyed") {
    const std::string content = pattern(16 * mib);
    scratch files;
    files.write("b-1/o", content);
    rangeio::emulator::server server(rangeio::emulator::server_options().root(files.path()));
    const object_ref object("b-1", "o");
    for (int steps = 0; steps < 24; ++steps) {
        std::optional<rangeio::client> client;
        std::unique_ptr<mrd_pool> pool;
        auto memory = std::make_unique<std::vector<std::byte>>(content.size());
        {
            asio::io_context context;
            client.emplace(context.get_executor(), rangeio::client_options().endpoint(server.address()));
            pool = std::make_unique<mrd_pool>(client->pool(object));
            asio::co_spawn(context, fetch_all(*pool, *memory), asio::detached);
            for (int i = 0; i < steps; ++i) context.run_one_for(1ms);
            if (steps % 3 == 1) pool.reset();
            if (steps % 3 == 2) client.reset();
        }
        memory.reset();  // nothing may be writing there any more
        if (pool != nullptr) {
            CHECK(pool->stats().leases == 0);
            CHECK(pool->stats().ready + pool->stats().opening == 0);
        }
    }
}

namespace {

asio::awaitable<void> open_for_ever(
    rangeio::client& client, object_ref object, std::shared_ptr<int> /*frame*/
) {
    const mrd_pool pool = co_await client.async_open(object);
}

/// The context goes while coroutines on its strands wait for a service that does not answer. `strand_at`: its first
/// strand is made before the client, after it, or when another coroutine waits already.
template <class Context>
void end_coroutines_on_strands(int strand_at, const std::function<void(Context&)>& poll) {
    scratch files;
    files.write("b-1/o", "content");
    const auto mute = rangeio::testing::fault_script::parse("hang-open");
    rangeio::emulator::server server(rangeio::emulator::server_options().root(files.path()).faults(mute));
    const object_ref object("b-1", "o");
    auto frame = std::make_shared<int>();
    const std::weak_ptr<int> frames = frame;
    {
        Context context;
        if (strand_at == 0) (void)asio::make_strand(context);
        rangeio::client client(context.get_executor(), rangeio::client_options().endpoint(server.address()));
        if (strand_at == 2) asio::co_spawn(context, open_for_ever(client, object, frame), asio::detached);
        const auto strand = asio::make_strand(context);
        asio::co_spawn(strand, open_for_ever(client, object, frame), asio::detached);
        asio::co_spawn(strand, open_for_ever(client, object, frame), asio::detached);
        asio::co_spawn(asio::make_strand(context), open_for_ever(client, object, frame), asio::detached);
        frame.reset();
        const std::uint64_t calls = strand_at == 2 ? 4 : 3;
        const auto limit = std::chrono::steady_clock::now() + 30s;
        while (server.stats().bidi_read_object.calls < calls && std::chrono::steady_clock::now() < limit) {
            poll(context);
        }
        CHECK(server.stats().bidi_read_object.calls == calls);
        CHECK_FALSE(frames.expired());
    }
    CHECK(frames.expired());
}

}  // namespace

TEST_CASE("io_context: destruction ends coroutines on strands, whenever its first strand was made") {
    for (const int strand_at : {0, 1, 2}) {
        end_coroutines_on_strands<asio::io_context>(strand_at, [](asio::io_context& c) { c.run_for(1ms); });
    }
}

TEST_CASE("thread_pool: destruction ends coroutines on strands, whenever its first strand was made") {
    for (const int strand_at : {0, 1, 2}) {
        end_coroutines_on_strands<asio::thread_pool>(strand_at, [](asio::thread_pool&) {
            std::this_thread::yield();
        });
    }
}

TEST_CASE("async_fetch: several threads read at once on one pool") {
    engine_fixture f;
    const std::string content = pattern(4 * mib);
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(f.client, f.put("o", content), pool));
    std::vector<std::thread> threads;
    std::array<int, 3> good{};
    for (std::size_t t = 0; t < good.size(); ++t) {
        threads.emplace_back([&, t] {
            asio::io_context own;
            std::vector<std::byte> memory(content.size());
            for (int i = 0; i < 10; ++i) {
                outcome end;
                asio::co_spawn(own, fetch_all(*pool, memory), end.handler());
                own.restart();
                own.run_for(30s);
                const bool right = end.code && !end.code->failed() &&
                                   std::memcmp(memory.data(), content.data(), content.size()) == 0;
                if (right) ++good[t];
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (const int count : good) CHECK(count == 10);
    CHECK(pool->stats().leases == 0);
}
