#include "bench_report.hpp"

#include "common/printable.hpp"
#include "common/units.hpp"

#include <boost/json/string.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr double gibibyte = 1024.0 * 1024 * 1024;

double cpu_seconds_per_gib(const measurement& result) {
    return result.cpu_seconds / (static_cast<double>(result.bytes) / gibibyte);
}

double per_second(const measurement& result, std::uint64_t value) {
    return static_cast<double>(value) / result.seconds;
}

double microseconds(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1000;
}

std::string rate_text(double per_second) {
    return fmt::format("{:.{}f}/s", per_second, per_second < 100 ? 1 : 0);
}

/// A heading, and a line for each value.
class table {
public:
    explicit table(std::string heading) : out_(std::move(heading) + '\n') {}

    void line(std::string_view name, const std::string& value) {
        out_ += fmt::format("  {:<14} {}\n", name, value);
    }
    void throughput(const measurement& result) {
        line(
            "throughput",
            fmt::format(
                "{}/s ({} in {:.2f} s)",
                size_text(per_second(result, result.bytes)),
                size_text(static_cast<double>(result.bytes)),
                result.seconds
            )
        );
    }
    void costs(const measurement& result) {
        line(
            "client CPU",
            fmt::format(
                "{:.3f} s/GiB ({:.0f} % of one core)",
                cpu_seconds_per_gib(result),
                100 * result.cpu_seconds / result.seconds
            )
        );
        line("peak memory", size_text(static_cast<double>(result.peak_memory_bytes)));
        const pool_stats& pool = result.pool;
        line(
            "streams",
            fmt::format(
                "{} opened, {} ready, {} closed, {} failed", pool.opened, pool.ready, pool.closed, pool.failed
            )
        );
    }
    void prefetch(const std::optional<prefetch_result>& result) {
        if (!result) return;
        const reader_stats& counts = result->counts;
        line(
            "read ahead",
            fmt::format(
                "{}: {} hits, {} partial hits, {} misses",
                result->how,
                counts.hits,
                counts.partial_hits,
                counts.misses
            )
        );
        line("stalls", fmt::format("{} ({})", counts.stalls, latency_text(counts.stall_time)));
        line(
            "prefetched",
            fmt::format(
                "{}, wasted {}",
                size_text(static_cast<double>(counts.prefetched_bytes)),
                size_text(static_cast<double>(counts.wasted_bytes))
            )
        );
        line(
            "budget",
            fmt::format(
                "at most {} of {} used",
                size_text(static_cast<double>(result->peak_bytes)),
                size_text(static_cast<double>(result->budget_bytes))
            )
        );
    }
    std::string text() && { return std::move(out_); }

private:
    std::string out_;
};

/// One line of JSON. Not built as a Boost.JSON value, which writes 1.5 as 1.5E0.
class json_line {
public:
    void add(std::string_view name, const std::string& value) {
        out_ += fmt::format("{}\"{}\":{}", out_.empty() ? "{" : ",", name, value);
    }
    void text(std::string_view name, const std::string& value) {
        add(name, json_text(boost::json::string(value)));
    }
    void whole(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
    void real(std::string_view name, double value) { add(name, fmt::format("{:.6f}", value)); }
    void costs(const measurement& result) {
        real("cpu_seconds", result.cpu_seconds);
        real("cpu_seconds_per_gib", cpu_seconds_per_gib(result));
        whole("peak_memory_bytes", result.peak_memory_bytes);
        const pool_stats& pool = result.pool;
        add("streams",
            fmt::format(
                R"({{"opened":{},"opening":{},"ready":{},"reconnecting":{},"closed":{},"failed":{}}})",
                pool.opened,
                pool.opening,
                pool.ready,
                pool.reconnecting,
                pool.closed,
                pool.failed
            ));
    }
    void prefetch(const std::optional<prefetch_result>& result) {
        if (!result) return;
        const reader_stats& counts = result->counts;
        add("prefetch",
            fmt::format(
                R"({{"how":"{}","hits":{},"partial_hits":{},"misses":{},"stalls":{},"stall_us":{:.3f},)"
                R"("prefetched_bytes":{},"wasted_bytes":{},"budget_bytes":{},"peak_budget_bytes":{}}})",
                result->how,
                counts.hits,
                counts.partial_hits,
                counts.misses,
                counts.stalls,
                microseconds(counts.stall_time),
                counts.prefetched_bytes,
                counts.wasted_bytes,
                result->budget_bytes,
                result->peak_bytes
            ));
    }
    std::string end() && { return std::move(out_) + "}\n"; }

private:
    std::string out_;
};

std::string pattern_text(const bench_result& result) {
    if (result.pattern == "seq") return "sequential";
    if (result.pattern == "rand") return fmt::format("random (seed {})", result.seed);
    return result.pattern;
}

}  // namespace

std::string bench_table(const bench_result& result) {
    std::string heading = fmt::format(
        "{}: {} reads of {}, depth {}, pool size {}, concurrency {}",
        printable(result.object),
        pattern_text(result),
        size_text(static_cast<double>(result.io_bytes)),
        result.depth,
        result.pool_size,
        result.concurrency
    );
    if (result.think.count() != 0) {
        heading += fmt::format(", think time {}", duration_option_text(result.think));
    }
    table out(std::move(heading));
    const latencies& times = result.times;
    out.throughput(result);
    out.line(
        "operations",
        fmt::format("{} ({} in all)", rate_text(per_second(result, times.count())), times.count())
    );
    out.line(
        "latency",
        fmt::format(
            "p50 {}   p90 {}   p99 {}   max {}",
            latency_text(times.percentile(0.5)),
            latency_text(times.percentile(0.9)),
            latency_text(times.percentile(0.99)),
            latency_text(times.max())
        )
    );
    out.prefetch(result.prefetch);
    out.costs(result);
    return std::move(out).text();
}

std::string trace_table(const trace_result& result) {
    table out(fmt::format(
        "{}: reads of {}, pool size {}, concurrency {}",
        printable(result.object),
        printable(result.trace),
        result.pool_size,
        result.concurrency
    ));
    const latencies& times = result.times;
    out.throughput(result);
    out.line(
        "reads",
        fmt::format(
            "{} ({} of {})", rate_text(per_second(result, times.count())), times.count(), result.trace_reads
        )
    );
    out.line(
        "waiting",
        fmt::format(
            "{}   p50 {}   p99 {}   max {}",
            latency_text(result.waited),
            latency_text(times.percentile(0.5)),
            latency_text(times.percentile(0.99)),
            latency_text(times.max())
        )
    );
    if (result.thought.count() != 0) out.line("think time", latency_text(result.thought));
    out.prefetch(result.prefetch);
    out.costs(result);
    return std::move(out).text();
}

std::string bench_json(const bench_result& result) {
    json_line out;
    const latencies& times = result.times;
    out.text("object", result.object);
    out.text("pattern", result.pattern);
    out.whole("io_bytes", result.io_bytes);
    out.whole("depth", result.depth);
    out.whole("seed", result.seed);
    out.real("think_seconds", std::chrono::duration<double>(result.think).count());
    out.whole("pool_size", result.pool_size);
    out.whole("concurrency", result.concurrency);
    out.real("seconds", result.seconds);
    out.whole("operations", times.count());
    out.whole("bytes", result.bytes);
    out.add("bytes_per_second", fmt::format("{:.0f}", per_second(result, result.bytes)));
    out.real("operations_per_second", per_second(result, times.count()));
    out.add(
        "latency_us",
        fmt::format(
            R"({{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"max":{:.3f}}})",
            microseconds(times.percentile(0.5)),
            microseconds(times.percentile(0.9)),
            microseconds(times.percentile(0.99)),
            microseconds(times.max())
        )
    );
    out.prefetch(result.prefetch);
    out.costs(result);
    return std::move(out).end();
}

std::string trace_json(const trace_result& result) {
    json_line out;
    const latencies& times = result.times;
    out.text("object", result.object);
    out.text("trace", result.trace);
    out.whole("trace_reads", result.trace_reads);
    out.whole("pool_size", result.pool_size);
    out.whole("concurrency", result.concurrency);
    out.real("seconds", result.seconds);
    out.whole("reads", times.count());
    out.whole("bytes", result.bytes);
    out.add("bytes_per_second", fmt::format("{:.0f}", per_second(result, result.bytes)));
    out.real("think_seconds", std::chrono::duration<double>(result.thought).count());
    out.add(
        "wait_us",
        fmt::format(
            R"({{"total":{:.3f},"p50":{:.3f},"p99":{:.3f},"max":{:.3f}}})",
            microseconds(result.waited),
            microseconds(times.percentile(0.5)),
            microseconds(times.percentile(0.99)),
            microseconds(times.max())
        )
    );
    out.prefetch(result.prefetch);
    out.costs(result);
    return std::move(out).end();
}

}  // namespace rangeio::tool
