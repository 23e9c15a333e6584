#include <rangeio/mrd_pool.hpp>
#include <rangeio/testing/threaded_service.hpp>

#include "support/event_recorder.hpp"
#include "support/run.hpp"

#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::pool_options;
using rangeio::retry_policy;
using rangeio::testing::fault_script;
using rangeio::testing::threaded_service;
using rangeio::testing::threaded_service_options;

namespace {

constexpr std::uint64_t object_bytes = 100'000;
constexpr std::int64_t generation = 7;

/// Short limits, so that an unanswered call is abandoned soon.
retry_policy impatient() {
    return retry_policy().initial_backoff(1ms).max_backoff(5ms).stall_timeout(50ms);
}

struct resumptions final : rangeio::observer {
    void on_event(const rangeio::event& what) noexcept override {
        if (what.kind == rangeio::event_kind::stream_resumed) ++resumed;
    }
    std::atomic<std::uint64_t> resumed{0};
};

bool is_right(std::span<const std::byte> bytes, std::uint64_t offset) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (bytes[i] != threaded_service::content(generation, offset + i)) return false;
    }
    return true;
}

asio::awaitable<void> read_all(const mrd_pool& pool, unsigned times, std::atomic<unsigned>& right) {
    std::vector<std::byte> memory(object_bytes);
    const byte_range all(0, object_bytes);
    const fetch_options options = fetch_options().min_chunk_bytes(5000);
    for (unsigned i = 0; i < times; ++i) {
        co_await pool.async_fetch(all, memory, options);
        if (is_right(memory, 0)) ++right;
    }
}

/// Four coroutines on two threads read everything five times each; returns how many reads were right.
unsigned read_on_threads(threaded_service& service) {
    asio::thread_pool threads(2);
    std::atomic<unsigned> right{0};
    mrd_pool pool(
        threads.get_executor(),
        service.transport(threads.get_executor(), 20s, impatient()),
        pool_options().size(3)
    );
    for (int i = 0; i < 4; ++i) {
        asio::co_spawn(threads, read_all(pool, 5, right), [](std::exception_ptr thrown) {
            CHECK_FALSE(thrown);
        });
    }
    threads.join();
    return right;
}

}  // namespace

TEST_CASE("threaded_service: many threads read the object's bytes") {
    threaded_service service(threaded_service_options().object_bytes(object_bytes).max_chunk_bytes(3000));
    CHECK(read_on_threads(service) == 20);
    CHECK(service.complaint().empty());
    CHECK(service.calls() >= 1);
    CHECK(service.calls() <= 3);
    CHECK(service.calls_resumed() == 0);
}

TEST_CASE("threaded_service: scripted breaks are resumed, counted and reported") {
    const char* faults =
        "reset byte=20000 times=10; redirect byte=30000 times=5 token=t handle=yes; goaway byte=7 times=3\n"
        "mute chance=20% times=2; bad-checksum times=5 chance=50%; ok-early byte=40000 times=3";
    const auto heard = std::make_shared<resumptions>();
    threaded_service service(threaded_service_options()
                                 .object_bytes(object_bytes)
                                 .max_chunk_bytes(3000)
                                 .faults(fault_script::parse(faults))
                                 .observe(heard));
    CHECK(read_on_threads(service) == 20);
    CHECK(service.complaint().empty());
    CHECK(service.calls_resumed() >= 10);
    CHECK(service.calls() <= service.calls_resumed() + 3);
    CHECK(heard->resumed > 0);
    CHECK(heard->resumed <= service.calls_resumed());
}

TEST_CASE("threaded_service: the object has the configured size, and grows only if configured") {
    for (const bool finalized : {true, false}) {
        const threaded_service service(threaded_service_options().object_bytes(777).finalized(finalized));
        asio::io_context io;
        mrd_pool pool(io.get_executor(), service.transport(io.get_executor()));
        run(io, pool.async_initialize(throwing_awaitable));
        REQUIRE(pool.info());
        CHECK(pool.info()->size == 777);
        CHECK(pool.info()->finalized == finalized);
        run(io, pool.async_close(throwing_awaitable));
    }
}

TEST_CASE("threaded_service: chunks have the configured length at most") {
    const auto heard = std::make_shared<event_recorder>();
    const threaded_service service(threaded_service_options()
                                       .max_chunk_bytes(30)
                                       .faults(fault_script::parse("bad-checksum times=4"))
                                       .observe(heard));
    asio::io_context io;
    mrd_pool pool(io.get_executor(), service.transport(io.get_executor(), 20s, impatient()));
    std::vector<std::byte> memory(100);
    const byte_range range(0, 100);
    const auto read = [&]() -> asio::awaitable<void> { co_await pool.async_fetch(range, memory); };
    run(io, read());
    CHECK(is_right(memory, 0));
    CHECK(heard->count("rejected_chunk bytes=30") >= 1);
    run(io, pool.async_close(throwing_awaitable));
}

TEST_CASE("threaded_service: a call that waits for its time ends when it is cancelled") {
    std::string faults;
    SUBCASE("no response") {
        faults = "hang-open";
    }
    SUBCASE("a late call") {
        faults = "slow-open delay=60s";
    }
    SUBCASE("a late first response") {
        faults = "latency delay=60s";
    }
    SUBCASE("a late end of an idle call") {
        faults = "idle-abort delay=60s";
    }
    threaded_service service(threaded_service_options().faults(fault_script::parse(faults)));
    asio::io_context io;
    {
        mrd_pool pool(io.get_executor(), service.transport(io.get_executor()));
        outcome opened;
        pool.async_initialize(rangeio::with_message(opened.handler()));
        while (service.calls() == 0) io.run_one_for(1ms);
        run(io, pool.async_close(throwing_awaitable));
        CHECK(service.calls_open() == 0);
    }
    io.run_for(1s);
}

TEST_CASE("threaded_service: contexts can be destroyed while calls on them are in flight") {
    threaded_service service(threaded_service_options()
                                 .object_bytes(object_bytes)
                                 .max_chunk_bytes(100)
                                 .faults(fault_script::parse("reset chance=1% times=0")));
    std::atomic<unsigned> right{0};
    for (int round = 0; round < 30; ++round) {
        std::unique_ptr<mrd_pool> pool;
        asio::io_context io;
        pool = std::make_unique<mrd_pool>(
            io.get_executor(), service.transport(io.get_executor(), 20s, impatient())
        );
        for (int i = 0; i < 3; ++i) {
            asio::co_spawn(io, read_all(*pool, 1, right), [](std::exception_ptr) {});
        }
        for (int step = 0; step < round / 2; ++step) io.run_one_for(1ms);
        if (round % 2 == 0) pool.reset();
        // `io` goes first, with reads under way; the pool after it, if it is still there.
    }
    CHECK(service.complaint().empty());
}
