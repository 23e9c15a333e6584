#include <rangeio/object_reader.hpp>

#include "emulator/growing_fixture.hpp"
#include "support/bytes_of.hpp"
#include "support/mib.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace support;
using rangeio::errc;
using rangeio::error_code;
using rangeio::fetch_options;
using rangeio::footer;
using rangeio::mrd_pool;
using rangeio::object_reader;
using rangeio::object_ref;
using rangeio::reader_options;
using rangeio::emulator::server_options;
using rangeio::testing::fault_script;

// Readers over gRPC whose object grows or is replaced, whose streams break, whose contexts have several threads, and
// that are destroyed early.

namespace {

bool equals(std::span<const std::byte> bytes, std::string_view expected) {
    return std::ranges::equal(bytes, bytes_of(expected));
}

struct followed_fixture : growing_fixture {
    std::uint64_t calls() const { return server.stats().bidi_read_object.calls; }
    /// Lets the context run until the server has had so many calls.
    asio::awaitable<void> wait_for_calls(std::uint64_t number) {
        while (calls() < number) co_await asio::post(context, asio::use_awaitable);
    }
};

/// A read that has begun, and its end.
struct begun_read {
    std::array<std::byte, 16> memory{};
    std::optional<error_code> why;
    std::size_t bytes = 0;

    explicit begun_read(object_reader& reader, asio::cancellation_slot slot = {}) {
        const auto take = [this](error_code code, std::size_t n) {
            why = code;
            bytes = n;
        };
        reader.async_read_some(asio::buffer(memory), asio::bind_cancellation_slot(slot, take));
    }
    asio::awaitable<void> end(followed_fixture& f) {
        while (!why) co_await asio::post(f.context, asio::use_awaitable);
    }
    std::span<const std::byte> got() const { return std::span(memory).first(bytes); }
};

reader_options following(std::chrono::nanoseconds interval) {
    return reader_options().follow(true).follow_interval(interval);
}

asio::awaitable<void> follow_to_the_end(followed_fixture& f, object_ref object, std::string_view content) {
    object_reader reader = f.client.reader(std::move(object), following(1ms));
    if (!content.empty()) {
        std::array<std::byte, 16> memory{};
        CHECK(co_await reader.async_read_some(std::span(memory)) == content.size());
        CHECK(equals(std::span(memory).first(content.size()), content));
    }
    for (const std::string_view more : {"two", "three"}) {
        const auto before = reader.tell();
        begun_read read(reader);
        co_await f.wait_for_calls(f.calls() + 3);
        CHECK_FALSE(read.why);
        f.append(more);
        co_await read.end(f);
        CHECK_FALSE(*read.why);
        CHECK(equals(read.got(), more));
        CHECK(reader.tell() == before + more.size());
        CHECK(reader.size() == reader.tell());
    }
    begun_read read(reader);
    co_await f.wait_for_calls(f.calls() + 3);
    CHECK_FALSE(read.why);
    f.finalize();
    co_await read.end(f);
    CHECK(*read.why == asio::error::eof);
    CHECK(read.bytes == 0);
    CHECK(reader.info()->finalized);
    co_await reader.async_close();
}

asio::awaitable<void> stop_following(followed_fixture& f, object_ref object) {
    object_reader reader = f.client.reader(std::move(object), following(1ms));
    reader.seek(3);
    for (int steps = 0; steps < 8; ++steps) {
        asio::cancellation_signal signal;
        const auto calls = f.calls();
        begun_read read(reader, signal.slot());
        for (int i = 0; i < steps; ++i) co_await asio::post(f.context, asio::use_awaitable);
        if (steps == 7) co_await f.wait_for_calls(calls + 3);
        // Nothing has been written to the memory of the read.
        signal.emit(asio::cancellation_type::total);
        co_await read.end(f);
        CHECK(*read.why == asio::error::operation_aborted);
        CHECK(read.bytes == 0);
        CHECK(reader.tell() == 3);
    }
    const auto calls = f.calls();
    begun_read read(reader);
    co_await f.wait_for_calls(calls + 1);
    co_await reader.async_close();
    co_await read.end(f);
    CHECK(*read.why == asio::error::operation_aborted);
    std::array<std::byte, 4> memory{};
    const auto closed = co_await failure_of(reader.async_read_some_at(0, std::span(memory)));
    CHECK(closed.code() == errc::pool_closed);
}

}  // namespace

TEST_CASE("object_reader: follow over gRPC returns what is appended, and eof when the object is finalized") {
    for (const std::string_view content : {"", "one"}) {
        CAPTURE(content);
        followed_fixture f;
        f.run(follow_to_the_end(f, f.put("log", content), content));
    }
}

TEST_CASE("object_reader: a read that follows can be cancelled by its slot, and by a close") {
    followed_fixture f;
    f.run(stop_following(f, f.put("log", "one")));
}

namespace {

asio::awaitable<void> read_replaced(
    engine_fixture& f, object_ref object, const std::string& content, const std::function<void()>& change
) {
    object_reader reader = f.client.reader(std::move(object), {}, rangeio::pool_options().size(1));
    std::vector<std::byte> memory(100);
    const std::span all(memory);
    CHECK(co_await reader.async_read_some(all) == 100);
    change();
    // The stream breaks now, and finds another object, or none.
    const auto why = co_await failure_of(reader.async_read_some(all));
    CHECK(why.code() == errc::generation_changed);
    CHECK(why.message().find("gs://b-1/o") != std::string::npos);
    CHECK(reader.tell() == 100);
    const auto again = co_await failure_of(reader.async_read_some_at(0, all));
    CHECK(again.code() == errc::generation_changed);
    const auto blocked = co_await failure_of(reader.async_read_block(1));
    CHECK(blocked.code() == errc::generation_changed);
    CHECK(reader.size() == content.size());
    co_await reader.async_close();
}

asio::awaitable<void> read_broken(engine_fixture& f, object_ref object, const std::string& content) {
    const auto in_parts = reader_options().fetching(fetch_options().concurrency(3).min_chunk_bytes(1000));
    for (const auto& how : {reader_options(), in_parts}) {
        object_reader reader = f.client.reader(object, how);
        reader.advise(footer{50});
        std::vector<std::byte> memory(40'000);
        std::string got;
        for (;;) {
            rangeio::error_value why;
            const std::size_t n =
                co_await reader.async_read_some(std::span(memory), rangeio::redirect_error_value(why));
            if (why.code() == asio::error::eof) break;
            REQUIRE_MESSAGE(!why, why.message());
            got.append(reinterpret_cast<const char*>(memory.data()), n);
        }
        CHECK(got == content);
        co_await reader.async_close();
    }
}

}  // namespace

TEST_CASE("object_reader: an object that was replaced or deleted is generation_changed") {
    engine_fixture f(
        server_options().faults(fault_script::parse("reset call=1 range=2 byte=0")), rangeio::client_options()
    );
    const std::string content = pattern(1000);
    const object_ref object = f.put("o", content);
    std::function<void()> change;
    SUBCASE("replaced") {
        change = [&f] { f.put("o", "another content"); };
    }
    SUBCASE("deleted") {
        change = [&f] { std::filesystem::remove(f.files.path() / "b-1/o"); };
    }
    if (!change) return;
    f.run(read_replaced(f, object, content, change));
    CHECK(f.server.stats().faults_struck.at(0) == 1);
}

TEST_CASE("object_reader: streams that break while a reader reads change no byte") {
    for (const char* script : {
             "reset byte=30000 times=3",
             "reset byte=1; redirect byte=10 token=x; reset call=3 byte=100 status=INTERNAL",
             "fail-open; bad-checksum; reset call=2 byte=0",
             "latency delay=1ms; short-end times=1",
         }) {
        CAPTURE(script);
        auto how = rangeio::client_options();
        how.retry(rangeio::retry_policy().initial_backoff(1ms).max_backoff(4ms).attempts(50));
        engine_fixture f(
            server_options().max_chunk_bytes(7000).faults(fault_script::parse(script)), std::move(how)
        );
        const std::string content = pattern(200'000);
        f.run(read_broken(f, f.put("o", content), content));
        CHECK(f.server.stats().faults_struck.at(0) >= 1);
    }
}

namespace {

/// The pool has closed: not even what needs no stream is read.
asio::awaitable<void> read_without_pool(engine_fixture& f, object_ref object) {
    auto pool = std::make_unique<mrd_pool>(f.client.pool(std::move(object)));
    object_reader reader(*pool);
    reader.advise(footer{10});
    std::array<std::byte, 10> memory{};
    const std::span all(memory);
    CHECK(co_await reader.async_read_some(all) == 10);
    CHECK(co_await reader.async_read_some_at(90, all) == 10);
    CHECK(f.server.stats().ranges_requested == 2);
    pool.reset();
    for (const std::uint64_t at : {0U, 90U, 100U}) {
        CAPTURE(at);
        CHECK((co_await failure_of(reader.async_read_some_at(at, all))).code() == errc::pool_closed);
    }
    CHECK((co_await failure_of(reader.async_read_some(all))).code() == errc::pool_closed);
    CHECK(reader.seek(90) == 90);
    CHECK((co_await failure_of(reader.async_read_block(10))).code() == errc::pool_closed);
    CHECK(co_await reader.async_read_some_at(0, all.first(0)) == 0);
    CHECK(reader.tell() == 90);
    co_await reader.async_close();
}

/// What a callback of a close has received.
struct begun_close {
    std::optional<error_code> why;

    explicit begun_close(object_reader& reader, asio::cancellation_slot slot = {}) {
        reader.async_close(asio::bind_cancellation_slot(slot, [this](error_code code) { why = code; }));
    }
};

asio::awaitable<void> close_with_a_lease(engine_fixture& f, object_ref object) {
    mrd_pool pool = f.client.pool(std::move(object));
    rangeio::lease held = co_await pool.async_acquire();
    object_reader reader(std::move(pool));
    asio::cancellation_signal signal;
    begun_close cancelled(reader, signal.slot());
    begun_close second(reader);
    const auto poll = [&f]() -> asio::awaitable<void> {
        for (int i = 0; i < 20; ++i) co_await asio::post(f.context, asio::use_awaitable);
    };
    co_await poll();
    signal.emit(asio::cancellation_type::total);
    co_await poll();
    CHECK_FALSE(cancelled.why);
    signal.emit(asio::cancellation_type::partial);
    while (!cancelled.why) co_await asio::post(f.context, asio::use_awaitable);
    CHECK(*cancelled.why == asio::error::operation_aborted);
    CHECK_FALSE(second.why);
    std::array<std::byte, 10> memory{};
    const auto closed = co_await failure_of(reader.async_read_some(std::span(memory)));
    CHECK(closed.code() == errc::pool_closed);
    held.release();
    while (!second.why) co_await asio::post(f.context, asio::use_awaitable);
    CHECK_FALSE(*second.why);
    co_await reader.async_close();
}

}  // namespace

TEST_CASE("object_reader: after the end of a shared pool every read is pool_closed") {
    engine_fixture f;
    f.run(read_without_pool(f, f.put("o", pattern(100))));
}

TEST_CASE("object_reader: a close waits for a lease of its pool, concurrently, and its wait can be cancelled"
) {
    engine_fixture f;
    f.run(close_with_a_lease(f, f.put("o", pattern(100))));
}

namespace {

/// What the coroutines of several threads find.
struct reading_tally {
    std::atomic<int> ended = 0;
    std::atomic<int> wrong = 0;
};

asio::awaitable<void> read_at_random(
    object_reader& reader, const std::string& content, unsigned seed, reading_tally& tally
) {
    std::mt19937 random(seed);
    std::vector<std::byte> memory(100'000);
    for (int i = 0; i < 40; ++i) {
        const std::size_t at = random() % content.size();
        const std::size_t most = 1 + random() % memory.size();
        const std::size_t n = std::min(most, content.size() - at);
        const auto into = std::span(memory).first(most);
        const std::size_t got = co_await reader.async_read_some_at(at, into);
        if (got != n || !equals(into.first(n), std::string_view(content).substr(at, n))) ++tally.wrong;
    }
}

void spawn_reading(
    asio::io_context& on,
    object_reader& reader,
    const std::string& content,
    unsigned seed,
    reading_tally& tally
) {
    asio::co_spawn(on, read_at_random(reader, content, seed, tally), [&tally](std::exception_ptr thrown) {
        if (thrown) ++tally.wrong;
        ++tally.ended;
    });
}

}  // namespace

TEST_CASE("object_reader: several readers of one pool, on two contexts and threads, read at the same time") {
    engine_fixture f;
    const std::string content = pattern(mib);
    const mrd_pool pool = f.client.pool(f.put("o", content), rangeio::pool_options().size(2));
    std::vector<object_reader> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back(pool);
        readers.back().advise(footer{1000});
    }
    asio::io_context other;
    reading_tally tally;
    unsigned seed = 0;
    for (auto& reader : readers) {
        spawn_reading(f.context, reader, content, ++seed, tally);
        spawn_reading(other, reader, content, ++seed, tally);
        spawn_reading(other, reader, content, ++seed, tally);
    }
    // The client and the pool need their context as long as the other one reads.
    auto work = asio::make_work_guard(f.context);
    std::thread one([&f] { f.context.run_for(30s); });
    std::thread two([&other] { other.run_for(30s); });
    two.join();
    work.reset();
    one.join();
    CHECK(tally.ended == 9);
    CHECK(tally.wrong == 0);
    CHECK(pool.stats().opened <= 2);
    CHECK(pool.stats().failed == 0);
}

namespace {

enum class read_thing { client, reader, shared_pool, context };

asio::awaitable<void> await_reading(asio::awaitable<std::size_t> read, std::shared_ptr<int> /*frame*/) {
    co_await std::move(read);
}

void begin(asio::io_context& on, asio::awaitable<std::size_t> read, std::shared_ptr<int> frame) {
    asio::co_spawn(on, await_reading(std::move(read), std::move(frame)), asio::detached);
}

// The server hears of the end of a call when gRPC gets round to telling it.
void wait_for_the_calls(const rangeio::emulator::server& server) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (server.stats().bidi_read_object.open != 0 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    CHECK(server.stats().bidi_read_object.open == 0);
}

/// Reads from the position and at an offset, by a reader with a pool of its own and by one on a shared pool.
void destroy_readers(rangeio::emulator::server& server, const object_ref& object, std::size_t size) {
    std::array order{read_thing::client, read_thing::reader, read_thing::shared_pool, read_thing::context};
    int number = 0;
    do {
        for (const int steps : {0, 1, 3, 6}) {
            auto context = std::make_unique<asio::io_context>();
            auto client = std::make_unique<rangeio::client>(
                context->get_executor(), rangeio::client_options().endpoint(server.address())
            );
            auto pool = std::make_unique<mrd_pool>(client->pool(object));
            std::array<std::vector<std::byte>, 3> memory;
            for (auto& m : memory) m.resize(size);
            std::vector<object_reader> readers;
            readers.push_back(client->reader(object, following(1ms)));
            readers.emplace_back(*pool, following(1ms));
            for (auto& reader : readers) reader.advise(footer{100});
            auto frame = std::make_shared<int>();
            const std::weak_ptr<int> frames = frame;
            begin(*context, readers[0].async_read_some(asio::buffer(memory[0]), asio::use_awaitable), frame);
            begin(*context, readers[1].async_read_some(asio::buffer(memory[1]), asio::use_awaitable), frame);
            // An object that grows: this one waits.
            begin(
                *context,
                readers[1].async_read_some_at(size, asio::buffer(memory[2]), asio::use_awaitable),
                std::move(frame)
            );
            if (steps == 3) readers[0].async_close(asio::detached);
            for (const read_thing what : order) {
                if (context != nullptr) {
                    context->restart();
                    for (int i = 0; i < steps; ++i) context->run_one_for(10ms);
                }
                switch (what) {
                    case read_thing::client: client.reset(); break;
                    case read_thing::reader: readers.clear(); break;
                    case read_thing::shared_pool: pool.reset(); break;
                    case read_thing::context: context.reset(); break;
                }
            }
            CHECK(frames.expired());
            for (auto& m : memory) m = {};
            wait_for_the_calls(server);
            ++number;
        }
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(number == 24 * 4);
}

}  // namespace

TEST_CASE("object_reader: client, readers, pool and context are destroyed in any order during reads") {
    scratch files;
    const std::string content = pattern(mib);
    files.write("b-1/o", content);
    rangeio::emulator::server server(
        server_options().root(files.path()).max_chunk_bytes(1 << 16).unfinalized("b-1/o")
    );
    destroy_readers(server, object_ref("b-1", "o"), content.size());
    CHECK(server.stats().ranges_requested > 0);
}

namespace {

asio::awaitable<void> read_large(engine_fixture& f, object_ref object, const std::string& content) {
    object_reader reader = f.client.reader(std::move(object));
    std::vector<std::byte> memory(16 * mib);
    for (std::size_t at = 0; at < content.size(); at += memory.size()) {
        CHECK(co_await reader.async_read_some(std::span(memory)) == memory.size());
        CHECK(equals(memory, std::string_view(content).substr(at, memory.size())));
    }
    CHECK((co_await failure_of(reader.async_read_some(std::span(memory)))).code() == asio::error::eof);
    // Across the end, into several buffers.
    const std::array<asio::mutable_buffer, 2> halves{
        asio::buffer(memory.data(), 8 * mib), asio::buffer(memory.data() + 8 * mib, 8 * mib)
    };
    CHECK(co_await reader.async_read_some_at(content.size() - 12 * mib, halves) == 12 * mib);
    CHECK(equals(std::span(memory).first(12 * mib), std::string_view(content).substr(52 * mib)));
}

}  // namespace

TEST_CASE("object_reader: 64 MiB in reads of 16 MiB are the bytes of the object") {
    engine_fixture f;
    const std::string content = pattern(64 * mib);
    f.run(read_large(f, f.put("o", content), content));
}
