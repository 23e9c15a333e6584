#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>

#include "bench_report.hpp"
#include "common/event_log.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

// What the command makes of numbers: whole texts, of values that no wrong sum or rank leads to.

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

bench_result measured() {
    bench_result out;
    out.object = "gs://b-1/o";
    out.pattern = "rand";
    out.io_bytes = 65536;
    out.depth = 8;
    out.seed = 5;
    out.pool_size = 2;
    out.concurrency = 3;
    // The ranks 50, 90, 99 and 100 of 100 are the last of their kind.
    const auto add = [&out](int count, std::chrono::nanoseconds time) {
        for (int i = 0; i < count; ++i) out.times.add(time);
    };
    add(50, 10ns);
    add(1, 40ns);
    add(9, 30ns);
    add(40, 20ns);
    out.bytes = std::uint64_t{2} << 30;
    out.seconds = 4;
    out.cpu_seconds = 3;
    out.peak_memory_bytes = (std::uint64_t{3} << 20) / 2;
    out.pool.opened = 5;
    out.pool.ready = 1;
    out.pool.closed = 3;
    out.pool.failed = 1;
    return out;
}

// What is written to standard error meanwhile.
template <class Action>
std::string errors_of(Action action) {
    const int file = ::memfd_create("errors", MFD_CLOEXEC);
    const int kept = ::dup(STDERR_FILENO);
    REQUIRE(::dup2(file, STDERR_FILENO) >= 0);
    action();
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
    std::string out(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
    CHECK(::pread(file, out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
    ::close(file);
    return out;
}

TEST_SUITE_BEGIN("reports");

TEST_CASE("bench report: the table shows the measurement") {
    CHECK(
        bench_table(measured()) ==
        "gs://b-1/o: random (seed 5) reads of 64 KiB, depth 8, pool size 2, concurrency 3\n"
        "  throughput     512 MiB/s (2 GiB in 4.00 s)\n"
        "  operations     25.0/s (100 in all)\n"
        "  latency        p50 0.01 us   p90 0.02 us   p99 0.03 us   max 0.04 us\n"
        "  client CPU     1.500 s/GiB (75 % of one core)\n"
        "  peak memory    1.50 MiB\n"
        "  streams        5 opened, 1 ready, 3 closed, 1 failed\n"
    );
}

TEST_CASE("bench report: the JSON form holds the measurement") {
    CHECK(
        bench_json(measured()) ==
        R"({"object":"gs://b-1/o","pattern":"rand","io_bytes":65536,"depth":8,"seed":5,"think_seconds":0.000000,)"
        R"("pool_size":2,"concurrency":3,"seconds":4.000000,"operations":100,"bytes":2147483648,)"
        R"("bytes_per_second":536870912,"operations_per_second":25.000000,)"
        R"("latency_us":{"p50":0.010,"p90":0.020,"p99":0.030,"max":0.040},"cpu_seconds":3.000000,)"
        R"("cpu_seconds_per_gib":1.500000,"peak_memory_bytes":1572864,)"
        R"("streams":{"opened":5,"opening":0,"ready":1,"reconnecting":0,"closed":3,"failed":1}})"
        "\n"
    );
}

TEST_CASE("bench report: a think time and the name of a regular pattern are shown") {
    bench_result slow = measured();
    slow.pattern = "zigzag";
    slow.think = 1500ms;
    CHECK(bench_table(slow).starts_with(
        "gs://b-1/o: zigzag reads of 64 KiB, depth 8, pool size 2, concurrency 3, think time 1500ms\n"
    ));
    CHECK(bench_json(slow).find(R"("think_seconds":1.500000,)") != std::string::npos);
}

TEST_CASE("reports: what was read ahead is shown by bench and trace") {
    prefetch_result ahead;
    ahead.how = "linear";
    ahead.counts.hits = 7;
    ahead.counts.partial_hits = 5;
    ahead.counts.misses = 3;
    ahead.counts.stalls = 8;
    ahead.counts.stall_time = 1500us;
    ahead.counts.prefetched_bytes = 3 << 20;
    ahead.counts.wasted_bytes = 1 << 20;
    ahead.budget_bytes = 8 << 20;
    ahead.peak_bytes = 2 << 20;
    const std::string table =
        "  read ahead     linear: 7 hits, 5 partial hits, 3 misses\n"
        "  stalls         8 (1.50 ms)\n"
        "  prefetched     3 MiB, wasted 1 MiB\n"
        "  budget         at most 2 MiB of 8 MiB used\n"
        "  client CPU";
    const std::string json =
        R"("prefetch":{"how":"linear","hits":7,"partial_hits":5,"misses":3,"stalls":8,"stall_us":1500.000,)"
        R"("prefetched_bytes":3145728,"wasted_bytes":1048576,"budget_bytes":8388608,)"
        R"("peak_budget_bytes":2097152},"cpu_seconds")";
    bench_result benched = measured();
    benched.prefetch = ahead;
    CHECK(bench_table(benched).find(table) != std::string::npos);
    CHECK(bench_json(benched).find(json) != std::string::npos);
    trace_result replayed;
    static_cast<measurement&>(replayed) = benched;
    CHECK(trace_table(replayed).find(table) != std::string::npos);
    CHECK(trace_json(replayed).find(json) != std::string::npos);
}

TEST_CASE("trace report: the table and the JSON form show the measurement") {
    trace_result replayed;
    static_cast<measurement&>(replayed) = measured();
    replayed.trace = "a\x1b.trace";
    replayed.trace_reads = 200;
    replayed.waited = 2500ms;
    replayed.thought = 250ms;
    CHECK(
        trace_table(replayed) ==
        "gs://b-1/o: reads of a\\x1b.trace, pool size 2, concurrency 3\n"
        "  throughput     512 MiB/s (2 GiB in 4.00 s)\n"
        "  reads          25.0/s (100 of 200)\n"
        "  waiting        2.50 s   p50 0.01 us   p99 0.03 us   max 0.04 us\n"
        "  think time     250 ms\n"
        "  client CPU     1.500 s/GiB (75 % of one core)\n"
        "  peak memory    1.50 MiB\n"
        "  streams        5 opened, 1 ready, 3 closed, 1 failed\n"
    );
    CHECK(
        trace_json(replayed) ==
        R"({"object":"gs://b-1/o","trace":"a\u001b.trace","trace_reads":200,"pool_size":2,"concurrency":3,)"
        R"("seconds":4.000000,"reads":100,"bytes":2147483648,"bytes_per_second":536870912,)"
        R"("think_seconds":0.250000,"wait_us":{"total":2500000.000,"p50":0.010,"p99":0.030,"max":0.040},)"
        R"("cpu_seconds":3.000000,"cpu_seconds_per_gib":1.500000,"peak_memory_bytes":1572864,)"
        R"("streams":{"opened":5,"opening":0,"ready":1,"reconnecting":0,"closed":3,"failed":1}})"
        "\n"
    );
}

TEST_CASE("event_log: the summary counts each kind of event and adds up bytes and waits") {
    const object_ref object("b-1", "o");
    const std::string written = errors_of([&] {
        event_log log;
        unsigned times = 0;
        for (const event_kind kind :
             {event_kind::stream_opened,
              event_kind::stream_ended,
              event_kind::stream_resumed,
              event_kind::stream_redirected,
              event_kind::stream_stalled,
              event_kind::stream_retired,
              event_kind::range_refused,
              event_kind::rejected_chunk,
              event_kind::unchecked_chunk}) {
            ++times;
            for (unsigned i = 0; i < times; ++i) log.on_event(event(kind, object));
        }
        for (const std::uint64_t bytes : {10U, 32U}) {
            event dropped(event_kind::orphans_dropped, object);
            dropped.bytes = bytes;
            log.on_event(dropped);
        }
        for (const std::chrono::nanoseconds time :
             {std::chrono::nanoseconds(1500us), std::chrono::nanoseconds(2ms)}) {
            event waited(event_kind::lease_waited, object);
            waited.time = time;
            log.on_event(waited);
        }
        log.finish();
    });
    const std::string summary =
        "rangeio: summary: opened=1 ended=2 resumed=3 redirected=4 stalled=5 retired=6 refused=7 "
        "rejected_chunks=8 unchecked_chunks=9 "
        "orphan_bytes=42 waits=2 wait_ms=3.5 lines_lost=0\n";
    CAPTURE(written);
    CHECK(written.ends_with(summary));
}

TEST_CASE("event_log: lines that a slow reader misses are dropped, and each dropped line is counted") {
    constexpr std::size_t told = 5000;
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const int kept = ::dup(STDERR_FILENO);
    std::string written;
    {
        event_log log;
        REQUIRE(::dup2(ends[1], STDERR_FILENO) >= 0);
        // The pipe holds a part, the log a thousand.
        for (std::size_t i = 0; i < told; ++i) {
            log.on_event(event(event_kind::stream_opened, object_ref("b-1", std::string(200, 'o'))));
        }
        std::thread reader([&] {
            std::array<char, 4096> piece{};
            for (ssize_t n = 0; (n = ::read(ends[0], piece.data(), piece.size())) > 0;)
                written.append(piece.data(), static_cast<std::size_t>(n));
        });
        log.finish();
        ::dup2(kept, STDERR_FILENO);
        ::close(ends[1]);
        reader.join();
    }
    ::close(kept);
    ::close(ends[0]);
    const auto lines = static_cast<std::size_t>(std::ranges::count(written, '\n')) - 1;
    const std::string lost = " lines_lost=" + std::to_string(told - lines) + "\n";
    CHECK(lines >= 1000);
    CHECK(lines < 2000);
    CHECK(written.find(" opened=" + std::to_string(told) + " ") != std::string::npos);
    CHECK(written.ends_with(lost));
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
