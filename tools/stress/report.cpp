#include "stress/report.hpp"

#include "common/printable.hpp"
#include "common/units.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <cmath>

namespace rangeio::tool {
namespace {

namespace json = boost::json;

double rate(std::uint64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string memory_text(std::uint64_t bytes) {
    return size_text(static_cast<double>(bytes));
}

// Whole numbers only: Boost.JSON writes 1.5 as 1.5E0.
std::int64_t whole_microseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}
std::int64_t whole_milliseconds(double seconds) {
    return std::llround(seconds * 1000);
}

json::object outcomes_json(const stress_counts& counts) {
    json::object out;
    for (std::size_t i = 0; i < stress_outcomes; ++i) {
        std::string name(to_string(static_cast<stress_outcome>(i)));
        for (char& c : name) {
            if (c == ' ') c = '_';
        }
        out[name] = counts.outcomes[i];
    }
    return out;
}

json::object latency_json(const latencies& times) {
    return {
        {"p50", whole_microseconds(times.percentile(0.5))},
        {"p99", whole_microseconds(times.percentile(0.99))},
        {"max", whole_microseconds(times.max())},
    };
}

std::string latency_line(const latencies& times) {
    return fmt::format(
        "p50 {}  p99 {}  max {}",
        latency_text(times.percentile(0.5)),
        latency_text(times.percentile(0.99)),
        latency_text(times.max())
    );
}

}  // namespace

std::vector<std::string> imbalances(const stress_result& result) {
    std::vector<std::string> out;
    const stress_counts& counts = result.counts;
    if (counts.started != counts.ended()) {
        out.push_back(fmt::format("{} operations began and {} ended", counts.started, counts.ended()));
    }
    if (!result.interrupted && counts.of(stress_outcome::done) == 0) {
        out.push_back(fmt::format("none of {} operations was done", counts.started));
    }
    if (result.service && result.service->calls_open != 0) {
        out.push_back(fmt::format("{} calls of the service are open", result.service->calls_open));
    }
    if (result.service && !result.service->complaint.empty()) {
        out.push_back(fmt::format("the service reports a violation: {}", result.service->complaint));
    }
    return out;
}

std::string progress_text(const stress_progress& now) {
    std::string out = fmt::format(
        "{:4.0f} s  {:6.0f} op/s  {} cancelled  {} resumed  ",
        now.seconds,
        rate(now.recent.ended(), now.recent_seconds),
        now.recent.of(stress_outcome::cancelled),
        now.recent.resumed
    );
    out += latency_line(now.recent.times);
    if (now.slowest) {
        out += fmt::format(
            "  worker {}: {} for {}",
            *now.slowest,
            to_string(now.slowest_does.what),
            latency_text(now.slowest_does.since)
        );
    }
    return out + "  " + memory_text(now.memory_bytes);
}

std::string progress_json(const stress_progress& now) {
    json::object out{
        {"type", "progress"},
        {"milliseconds", whole_milliseconds(now.seconds)},
        {"operations", now.recent.ended()},
        {"operations_per_second", std::llround(rate(now.recent.ended(), now.recent_seconds))},
        {"outcomes", outcomes_json(now.recent)},
        {"resumed", now.recent.resumed},
        {"latency_us", latency_json(now.recent.times)},
        {"slowest_worker", nullptr},
        {"memory_bytes", now.memory_bytes},
    };
    if (now.slowest) {
        out["slowest_worker"] = json::object{
            {"worker", *now.slowest},
            {"operation", to_string(now.slowest_does.what)},
            {"since_us", whole_microseconds(now.slowest_does.since)},
        };
    }
    return json_text(out) + '\n';
}

std::string report_text(const stress_result& result) {
    std::string out = fmt::format(
        "{}: {} threads, {} workers, seed {}, {} faults, {:.1f} s\n",
        printable(result.target),
        result.threads,
        result.workers,
        result.seed,
        result.faults,
        result.seconds
    );
    const auto line = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("  {:<14} {}\n", name, value);
    };
    const stress_counts& counts = result.counts;
    std::string how;
    for (std::size_t i = 0; i < stress_outcomes; ++i) {
        how += fmt::format(
            "{}{} {}", i == 0 ? "" : ", ", counts.outcomes[i], to_string(static_cast<stress_outcome>(i))
        );
    }
    line(
        "operations",
        fmt::format("{} ({:.0f}/s): {}", counts.started, rate(counts.started, result.seconds), how)
    );
    std::string kinds;
    for (std::size_t i = 0; i < stress_operations; ++i) {
        kinds += fmt::format(
            "{}{} {}", i == 0 ? "" : ", ", counts.done[i], to_string(static_cast<stress_operation>(i))
        );
    }
    line("done", kinds);
    std::string faults;
    for (const auto& [why, count] : counts.faults) {
        faults += fmt::format("{}{} {}", faults.empty() ? "" : ", ", count, why);
    }
    if (!faults.empty()) line("faulted", faults);
    line("bytes checked", memory_text(counts.bytes));
    line("latency", latency_line(counts.times));
    line(
        "longest",
        fmt::format(
            "worker {}: {}, {}",
            result.longest_worker,
            to_string(counts.longest),
            latency_text(counts.longest_time)
        )
    );
    line("resumed", fmt::format("{} times a stream, on another call", counts.resumed));
    if (result.service) {
        line(
            "calls", fmt::format("{}, {} open at the end", result.service->calls, result.service->calls_open)
        );
    }
    line(
        "memory",
        fmt::format(
            "{} at 10 % of the time, {} at the end, {} at most",
            memory_text(result.memory_at_tenth),
            memory_text(result.memory_at_end),
            memory_text(result.peak_memory)
        )
    );
    if (result.violations.empty()) {
        line("violations", "none: bytes are right, counters balance, gauges are zero");
    }
    for (const std::string& what : result.violations) line("violated", printable(what));
    return out;
}

std::string report_json(const stress_result& result) {
    const stress_counts& counts = result.counts;
    json::object done;
    for (std::size_t i = 0; i < stress_operations; ++i) {
        done[to_string(static_cast<stress_operation>(i))] = counts.done[i];
    }
    json::object faults;
    for (const auto& [why, count] : counts.faults) faults[why] = count;
    json::object out{
        {"type", "report"},
        {"target", result.target},
        {"threads", result.threads},
        {"workers", result.workers},
        {"seed", result.seed},
        {"faults", result.faults},
        {"milliseconds", whole_milliseconds(result.seconds)},
        {"operations", counts.started},
        {"outcomes", outcomes_json(counts)},
        {"done", std::move(done)},
        {"faulted", std::move(faults)},
        {"resumed", counts.resumed},
        {"bytes_checked", counts.bytes},
        {"latency_us", latency_json(counts.times)},
        {"longest",
         json::object{
             {"worker", result.longest_worker},
             {"operation", to_string(counts.longest)},
             {"us", whole_microseconds(counts.longest_time)},
         }},
        {"calls", nullptr},
        {"memory_bytes",
         json::object{
             {"at_tenth", result.memory_at_tenth},
             {"at_end", result.memory_at_end},
             {"peak", result.peak_memory},
         }},
        {"violations", json::array(result.violations.begin(), result.violations.end())},
    };
    if (result.service) {
        out["calls"] = json::object{
            {"begun", result.service->calls},
            {"open", result.service->calls_open},
        };
    }
    return json_text(out) + '\n';
}

}  // namespace rangeio::tool
