#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/manual_time.hpp>

#include "simulation/memory_service.hpp"
#include "simulation/mrd_fixture.hpp"
#include "support/drawn_waits.hpp"
#include "support/event_recorder.hpp"
#include "support/run.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// What observers hear and what is counted: all of it, in order, once.

using namespace support;
using lines = std::vector<std::string>;

namespace {

struct watched_stream {
    explicit watched_stream(
        const retry_policy& retry = retry_policy().stall_timeout(0s), bool require_checksums = false
    )
        : f(retry, watch, true, 42, require_checksums) {}

    std::shared_ptr<event_recorder> watch = std::make_shared<event_recorder>();
    mrd_fixture f;
};

}  // namespace

TEST_CASE("observer: a stream that opens, breaks, resumes and ends is reported in that order") {
    watched_stream w;
    w.f.opened();
    const auto got = w.f.read(0, 9);
    w.f.call().end(unavailable);
    w.f.call().respond();
    w.f.call().send(1, 0, 9, true);
    w.f.stream->close({});
    w.f.call().end(cancelled);
    CHECK(
        w.watch->texts() ==
        lines{
            "stream_opened",
            "stream_broke attempt=1 why=UNAVAILABLE",
            "stream_resuming attempt=1",
            "stream_resumed",
            "stream_ended",
        }
    );
    for (const auto& e : w.watch->events()) CHECK(e.stream == 1);
    CHECK(w.f.reports->counted().resumed == 1);
}

TEST_CASE("observer: a wait before the next call is reported once, with its drawn length") {
    watched_stream w(retry_policy().initial_backoff(1s).stall_timeout(0s));
    w.f.opened();
    const auto got = w.f.read(0, 9);
    w.f.call().end(unavailable);
    w.f.call().end(unavailable);
    REQUIRE(w.f.core->timers().size() == 1);
    const auto drawn = w.f.core->timers().front();
    w.f.core->go_off();
    CHECK(
        w.watch->texts() ==
        lines{
            "stream_opened",
            "stream_broke attempt=1 why=UNAVAILABLE",
            "stream_resuming attempt=1",
            "stream_broke attempt=2 why=UNAVAILABLE",
            "stream_resuming attempt=2",
        }
    );
    CHECK(w.watch->events().back().time == drawn);
    CHECK(w.f.reports->counted().resumed == 0);  // no response has arrived
}

namespace {

/// The wait of a stream that has broken twice, which is up to a second.
std::chrono::nanoseconds second_wait(const retry_policy& retry, std::optional<std::uint64_t> seed) {
    mrd_fixture f(retry, nullptr, true, seed);
    f.opened();
    const auto got = f.read(0, 9);
    f.call().end(unavailable);
    f.call().end(unavailable);
    REQUIRE(f.core->timers().size() == 1);
    return f.core->timers().front();
}

}  // namespace

TEST_CASE("mrd: waits are drawn evenly from 0 to the bound, and differ between seeds") {
    // The second wait is up to twice the first one.
    const auto waiting = retry_policy().initial_backoff(500ms).stall_timeout(0s);
    drawn_waits waits;
    for (std::uint64_t i = 1; i <= 200; ++i) waits.add(second_wait(waiting, i * 104'729 * 15'485'863));
    waits.check_different(2);
    waits.check_even();
}

TEST_CASE("mrd: streams without a seed draw different waits, so that they do not return together") {
    drawn_waits waits;
    for (int i = 0; i < 20; ++i) {
        waits.add(second_wait(retry_policy().initial_backoff(1s).stall_timeout(0s), std::nullopt));
    }
    waits.check_different(1);
}

TEST_CASE("stream_reports: each kind of event is counted under its own name, and bytes add up") {
    rangeio::transport::stream_reports reports(nullptr);
    const auto tell = [&reports](event_kind kind, int times) {
        for (int i = 0; i < times; ++i) reports.tell(event(kind, object_ref("b-1", "o")));
    };
    tell(event_kind::stream_opened, 30);
    tell(event_kind::stream_broke, 31);
    tell(event_kind::stream_resuming, 32);
    tell(event_kind::stream_ended, 33);
    tell(event_kind::stream_resumed, 2);
    tell(event_kind::stream_redirected, 3);
    tell(event_kind::stream_stalled, 4);
    tell(event_kind::stream_retired, 5);
    tell(event_kind::range_refused, 6);
    tell(event_kind::unchecked_chunk, 7);
    tell(event_kind::rejected_chunk, 8);
    for (int i = 0; i < 9; ++i) {
        event damaged(event_kind::rejected_chunk, object_ref("b-1", "o"));
        damaged.why = errc::data_corrupted;
        reports.tell(damaged);
    }
    for (const std::uint64_t bytes : {10U, 32U}) {
        event dropped(event_kind::orphans_dropped, object_ref("b-1", "o"));
        dropped.bytes = bytes;
        reports.tell(dropped);
    }
    const stream_stats counted = reports.counted();
    CHECK(counted.resumed == 2);
    CHECK(counted.redirected == 3);
    CHECK(counted.stalled == 4);
    CHECK(counted.retired == 5);
    CHECK(counted.refused == 6);
    CHECK(counted.unchecked_chunks == 7);
    CHECK(counted.rejected_chunks == 17);
    CHECK(counted.checksum_failures == 9);
    CHECK(counted.orphan_bytes == 42);
}

TEST_CASE("observer: an idle stream that breaks is reported, and resumes with the next range") {
    watched_stream w;
    w.f.opened();
    w.f.call().end(unavailable);
    CHECK(w.watch->texts() == lines{"stream_opened", "stream_broke why=UNAVAILABLE"});
    const auto got = w.f.read(0, 4);
    w.f.call().respond();
    CHECK(w.watch->texts().size() == 4);
    CHECK(w.watch->texts().back() == "stream_resumed");
}

TEST_CASE("observer: a redirect is reported as redirect, not as break") {
    watched_stream w;
    w.f.opened();
    const auto got = w.f.read(0, 9);
    call_end end = unavailable;
    end.redirect.emplace().routing_token = "secret";
    w.f.call().end(end);
    CHECK(w.watch->texts()[1] == "stream_redirected why=UNAVAILABLE");
    CHECK(w.watch->texts()[2] == "stream_resuming");
    CHECK(w.watch->count("stream_broke") == 0);
    CHECK(w.f.reports->counted().redirected == 1);
    for (const auto& text : w.watch->texts()) CHECK(text.find("secret") == std::string::npos);
}

TEST_CASE("observer: a stall is reported when it is detected, not when the call ends") {
    watched_stream w(retry_policy().stall_timeout(20s));
    w.f.opened();
    const auto got = w.f.read(0, 9);
    for (int look = 0; look < 5; ++look) w.f.core->go_off();
    CHECK(w.watch->texts() == lines{"stream_opened", "stream_stalled"});
    CHECK(w.watch->events().back().time == 20s);
    w.f.call().end(cancelled);
    CHECK(w.watch->texts().back() == "stream_resuming attempt=1");
    CHECK(w.watch->count("stream_broke") == 0);
    CHECK(w.f.reports->counted().stalled == 1);
}

TEST_CASE("observer: rejected chunks are reported with their range and the cause") {
    watched_stream w;
    w.f.opened();
    const auto got = w.f.read(4, 9);
    w.f.call().events->on_write_done();
    SUBCASE("a wrong checksum") {
        w.f.call().damage = true;
        w.f.call().send(1, 4, 5);
        CHECK(w.watch->texts().back().starts_with("rejected_chunk bytes=5 range=[4, 13) why=data corrupted"));
        CHECK(w.f.reports->counted().checksum_failures == 1);
    }
    SUBCASE("a wrong offset") {
        w.f.call().send(1, 5, 5);
        CHECK(w.watch->texts().back().starts_with("rejected_chunk bytes=5 range=[4, 13) why="));
        CHECK(w.f.reports->counted().checksum_failures == 0);
    }
    SUBCASE("surplus bytes") {
        w.f.call().send(1, 4, 10);
        CHECK(w.watch->texts().back().starts_with("rejected_chunk bytes=10 range=[4, 13) why="));
        CHECK(w.f.reports->counted().checksum_failures == 0);
    }
    CHECK(w.watch->texts().size() == 2);
    CHECK(w.f.reports->counted().rejected_chunks == 1);
    CHECK(w.f.reports->counted().orphan_bytes == 0);
}

TEST_CASE("observer: a piece without a checksum is reported and counted") {
    watched_stream w;
    w.f.opened();
    const auto got = w.f.read(4, 9);
    w.f.call().events->on_write_done();
    w.f.call().unchecked = true;
    w.f.call().send(1, 4, 5);
    CHECK(w.watch->texts().back() == "unchecked_chunk bytes=5 range=[4, 13)");
    w.f.call().unchecked = false;
    w.f.call().send(1, 9, 4);
    w.f.call().unchecked = true;
    w.f.call().send(1, 13, 0, true);  // nothing is in it
    REQUIRE(got->outcome);
    CHECK_FALSE(got->outcome->why);
    CHECK(got->memory == content.substr(4, 9));
    CHECK(w.watch->count("unchecked_chunk") == 1);
    CHECK(w.f.reports->counted().unchecked_chunks == 1);
    CHECK(w.f.reports->counted().rejected_chunks == 0);
}

TEST_CASE("observer: a piece without a required checksum is rejected and writes nothing") {
    watched_stream w(retry_policy().stall_timeout(0s).range_attempts(1), true);
    w.f.opened();
    const auto got = w.f.read(4, 9);
    w.f.call().events->on_write_done();
    w.f.call().unchecked = true;
    w.f.call().send(1, 4, 9, true);
    CHECK(w.watch->texts().back() == "rejected_chunk bytes=9 range=[4, 13) why=protocol error");
    CHECK_FALSE(got->outcome);
    const std::int64_t again = 1 + (std::int64_t{1} << 40);
    w.f.call().send(again, 4, 9, true);
    REQUIRE(got->outcome);
    CHECK(got->outcome->why.code() == errc::protocol_error);
    CHECK(got->outcome->why.message() == "a chunk of 9 bytes at offset 4 has no checksum");
    CHECK(got->memory == std::string(9, '.'));
    CHECK(w.f.reports->counted().rejected_chunks == 2);
    CHECK(w.f.reports->counted().unchecked_chunks == 0);
}

TEST_CASE("observer: orphan bytes are reported as they are dropped, and a retired call with its debt") {
    watched_stream w(retry_policy().stall_timeout(0s).max_orphan_bytes(8));
    w.f.opened();
    const auto got = w.f.read(0, 8);
    w.f.stream->cancel(w.f.id, errc::timed_out);
    w.f.call().send(1, 0, 3);
    w.f.call().send(1, 3, 2);
    CHECK(w.watch->texts() == lines{"stream_opened", "orphans_dropped bytes=3", "orphans_dropped bytes=2"});
    CHECK(w.f.reports->counted().orphan_bytes == 5);
    w.f.call().events->on_write_done();
    const auto more = w.f.read(0, 9);
    w.f.stream->cancel(w.f.id, errc::timed_out);
    CHECK(w.watch->texts().back() == "stream_retired bytes=12");
    CHECK(w.f.reports->counted().retired == 1);
}

TEST_CASE("observer: a range that the service refuses is reported, its neighbors are not") {
    watched_stream w;
    w.f.opened();
    const auto bad = w.f.read(900, 4);
    w.f.call().events->on_write_done();
    const auto good = w.f.read(0, 4);
    call_end end =
        error_value(errc::range_not_satisfiable, "of the call", rangeio::error_class::out_of_range);
    end.range_errors.push_back(
        {1, error_value(errc::range_not_satisfiable, "of the range", rangeio::error_class::out_of_range)}
    );
    w.f.call().end(end);
    CHECK(w.watch->count("range_refused") == 1);
    CHECK(w.watch->texts()[1].starts_with("range_refused range=[900, 904)"));
    CHECK(w.f.reports->counted().refused == 1);
}

TEST_CASE("observer: a permanent failure is reported as the end of the stream") {
    watched_stream w(retry_policy::none().stall_timeout(0s));
    w.f.opened();
    const auto got = w.f.read(0, 9);
    w.f.call().end(unavailable);
    CHECK(w.watch->texts().back() == "stream_ended why=UNAVAILABLE");
}

TEST_CASE("observer: events are counted without an observer, too") {
    mrd_fixture f(retry_policy().stall_timeout(0s));
    f.opened();
    const auto got = f.read(0, 9);
    f.call().end(unavailable);
    f.call().respond();
    f.call().damage = true;
    f.call().send(1, 0, 9);
    CHECK(f.reports->counted().resumed == 1);
    CHECK(f.reports->counted().checksum_failures == 1);
}

TEST_CASE("observer: a wait for a lease is reported and counted with its time, an immediate lease is not") {
    asio::io_context context;
    rangeio::sim::manual_time time(context);
    memory_service service(std::string(100, 'x'), 1, 100);
    const auto watch = std::make_shared<event_recorder>();
    const auto own = rangeio::pool_options().size(1).observe(watch);
    mrd_pool pool(context.get_executor(), service.factory(context.get_executor(), false), own);
    const auto initialize = [](mrd_pool& p) -> asio::awaitable<void> { co_await p.async_initialize(); };
    const auto acquire = [](mrd_pool& p, lease& out) -> asio::awaitable<void> {
        out = co_await p.async_acquire();
    };
    lease first;
    lease second;
    run(context, initialize(pool));
    run(context, acquire(pool, first));
    CHECK(pool.stats().waits == 0);
    CHECK(watch->texts().empty());
    outcome end;
    asio::co_spawn(context, acquire(pool, second), end.handler());
    context.restart();
    context.poll();
    CHECK(pool.stats().waiters == 1);
    time.pass(3s);
    first.release();
    context.restart();
    context.poll();
    REQUIRE(end.code);
    CHECK(pool.stats().waits == 1);
    CHECK(pool.stats().wait_time == 3s);
    REQUIRE(watch->texts() == lines{"lease_waited"});
    CHECK(watch->events().front().time == 3s);

    // One after the other: a sum, not the longest or the last.
    lease third;
    outcome later;
    asio::co_spawn(context, acquire(pool, third), later.handler());
    context.restart();
    context.poll();
    time.pass(5s);
    second.release();
    context.restart();
    context.poll();
    REQUIRE(later.code);
    CHECK(pool.stats().waits == 2);
    CHECK(pool.stats().wait_time == 8s);
    REQUIRE(watch->texts() == lines{"lease_waited", "lease_waited"});
    CHECK(watch->events().back().time == 5s);
    third.release();
    const auto close = [](mrd_pool& p) -> asio::awaitable<void> { co_await p.async_close(); };
    run(context, close(pool));
    CHECK(watch->texts().back() == "pool_closed");
    CHECK(watch->count("pool_closed") == 1);
}

TEST_CASE("observer: a destroyed pool reports its close once, after its last stream has ended") {
    auto context = std::make_unique<asio::io_context>();
    const auto executor = context->get_executor();
    memory_service service(std::string(100, 'x'), 1, 100);
    const auto watch = std::make_shared<event_recorder>();
    auto pool = std::make_unique<mrd_pool>(
        executor, service.factory(executor, true, {}, watch), rangeio::pool_options().size(1)
    );
    const auto initialize = [](mrd_pool& p) -> asio::awaitable<void> { co_await p.async_initialize(); };
    run(*context, initialize(*pool));
    pool.reset();
    context.reset();  // which waits until nothing of the stream is left
    CHECK(watch->texts() == lines{"stream_opened", "stream_ended", "pool_closed"});
}

TEST_CASE("observer: the end of the pool is reported last, and the counts match the events") {
    asio::io_context context;
    memory_service service(std::string(100'000, 'x'), 2, 1000);
    const auto watch = std::make_shared<event_recorder>();
    mrd_pool pool(
        context.get_executor(),
        service.factory(context.get_executor(), true, {}, watch),
        rangeio::pool_options().size(2)
    );
    service.break_after(5);
    const auto read = [](mrd_pool& p) -> asio::awaitable<void> {
        const byte_range all(0, 100'000);
        const auto two = rangeio::fetch_options().concurrency(2).min_chunk_bytes(1);
        const auto got = co_await p.async_fetch(all, two);
        CHECK(got.size() == 100'000);
        co_await p.async_close();
    };
    run(context, read(pool));
    const auto stats = pool.stats();
    CHECK(stats.streams.resumed > 0);
    CHECK(stats.streams.resumed == watch->count("stream_resumed"));
    CHECK(stats.waits == watch->count("lease_waited"));
    CHECK(watch->count("stream_opened") == 2);
    CHECK(watch->count("stream_ended") == 2);
    CHECK(watch->texts().back() == "pool_closed");
    CHECK(stats.opened == stats.opening + stats.ready + stats.reconnecting + stats.closed + stats.failed);
}
