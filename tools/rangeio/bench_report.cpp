#include "bench_report.hpp"

#include "common/printable.hpp"
#include "common/units.hpp"

#include <boost/json/string.hpp>

#include <fmt/format.h>

namespace rangeio::tool {
namespace {

constexpr double gibibyte = 1024.0 * 1024 * 1024;

double cpu_seconds_per_gib(const bench_result& result) {
    return result.cpu_seconds / (static_cast<double>(result.bytes) / gibibyte);
}

double microseconds(std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1000;
}

}  // namespace

std::string bench_table(const bench_result& result) {
    std::string out = fmt::format(
        "{}: {} reads of {}, depth {}, pool size {}, concurrency {}\n",
        printable(result.object),
        result.pattern == "seq" ? "sequential" : fmt::format("random (seed {})", result.seed),
        size_text(static_cast<double>(result.io_bytes)),
        result.depth,
        result.pool_size,
        result.concurrency
    );
    const auto line = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("  {:<14} {}\n", name, value);
    };
    const latencies& times = result.times;
    const double ops = static_cast<double>(times.count()) / result.seconds;
    line(
        "throughput",
        fmt::format(
            "{}/s ({} in {:.2f} s)",
            size_text(static_cast<double>(result.bytes) / result.seconds),
            size_text(static_cast<double>(result.bytes)),
            result.seconds
        )
    );
    line("operations", fmt::format("{:.{}f}/s ({} in all)", ops, ops < 100 ? 1 : 0, times.count()));
    line(
        "latency",
        fmt::format(
            "p50 {}   p90 {}   p99 {}   max {}",
            latency_text(times.percentile(0.5)),
            latency_text(times.percentile(0.9)),
            latency_text(times.percentile(0.99)),
            latency_text(times.max())
        )
    );
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
    return out;
}

// Not built as a Boost.JSON value, which writes 1.5 as 1.5E0.
std::string bench_json(const bench_result& result) {
    std::string out;
    const auto add = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("{}\"{}\":{}", out.empty() ? "{" : ",", name, value);
    };
    const auto whole = [](std::uint64_t value) { return std::to_string(value); };
    const auto real = [](double value) { return fmt::format("{:.6f}", value); };
    const auto operations = static_cast<double>(result.times.count());
    add("object", json_text(boost::json::string(result.object)));
    add("pattern", fmt::format("\"{}\"", result.pattern));
    add("io_bytes", whole(result.io_bytes));
    add("depth", whole(result.depth));
    add("seed", whole(result.seed));
    add("pool_size", whole(result.pool_size));
    add("concurrency", whole(result.concurrency));
    add("seconds", real(result.seconds));
    add("operations", whole(result.times.count()));
    add("bytes", whole(result.bytes));
    add("bytes_per_second", fmt::format("{:.0f}", static_cast<double>(result.bytes) / result.seconds));
    add("operations_per_second", real(operations / result.seconds));
    add("latency_us",
        fmt::format(
            R"({{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"max":{:.3f}}})",
            microseconds(result.times.percentile(0.5)),
            microseconds(result.times.percentile(0.9)),
            microseconds(result.times.percentile(0.99)),
            microseconds(result.times.max())
        ));
    add("cpu_seconds", real(result.cpu_seconds));
    add("cpu_seconds_per_gib", real(cpu_seconds_per_gib(result)));
    add("peak_memory_bytes", whole(result.peak_memory_bytes));
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
    return out + "}\n";
}

}  // namespace rangeio::tool
