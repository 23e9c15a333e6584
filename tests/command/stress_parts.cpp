#include "stress/memory.hpp"
#include "stress/outcome.hpp"
#include "stress/report.hpp"
#include "stress/tally.hpp"

#include <boost/asio/error.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <thread>

namespace rangeio::tool {
namespace {

using testing::fault_script;
using testing::possible_faults;

error_value status(int number) {
    return error_code(number, grpc_category());
}

circumstances when(bool cancelled, bool hurried, bool closed) {
    circumstances out;
    out.cancelled = cancelled;
    out.hurried = hurried;
    out.closed = closed;
    return out;
}

TEST_SUITE_BEGIN("stress parts");

TEST_CASE("stress outcome: an error with its own reason is accepted, one with another reason is a violation"
) {
    const possible_faults none;
    CHECK(judge({}, {}, none) == stress_outcome::done);
    struct row {
        error_value why;
        circumstances reason;
        stress_outcome then;
    };
    const row rows[] = {
        {error_code(asio::error::operation_aborted), when(true, false, false), stress_outcome::cancelled},
        {errc::timed_out, when(false, true, false), stress_outcome::timed_out},
        {errc::pool_closed, when(false, false, true), stress_outcome::closed},
        {errc::stream_closed, when(false, false, true), stress_outcome::closed},
    };
    for (const row& r : rows) {
        CAPTURE(r.why.message());
        CHECK(judge(r.why, r.reason, none) == r.then);
        CHECK(judge(r.why, {}, none) == stress_outcome::violated);
        const auto& c = r.reason;
        CHECK(judge(r.why, when(!c.cancelled, !c.hurried, !c.closed), none) == stress_outcome::violated);
    }
    for (const errc code :
         {errc::data_corrupted, errc::short_read, errc::invalid_argument, errc::shut_down}) {
        CHECK(judge(code, when(true, true, true), none) == stress_outcome::violated);
    }
}

TEST_CASE("stress outcome: a fault explains the errors that it causes and no others") {
    const possible_faults some(fault_script::parse("reset status=INTERNAL; bad-checksum; mute"));
    for (const error_value& why :
         {status(13), error_value(errc::data_corrupted), error_value(errc::stalled)}) {
        CAPTURE(why.message());
        CHECK(judge(why, {}, some) == stress_outcome::faulted);
        CHECK(judge(why, {}, possible_faults()) == stress_outcome::violated);
    }
    for (const error_value& why :
         {status(14), status(5), error_value(errc::short_read), error_value(errc::not_found)}) {
        CAPTURE(why.message());
        CHECK(judge(why, {}, some) == stress_outcome::violated);
    }
    // They change what a service sends, but are no reason to fail.
    const possible_faults harmless(fault_script::parse("batch; chunk; new-handle; late-id; grow; unknown-id")
    );
    for (const errc code : {errc::stream_closed, errc::protocol_error, errc::timed_out}) {
        CHECK(judge(code, {}, harmless) == stress_outcome::violated);
    }
    for (const errc code : {errc::invalid_argument, errc::buffer_misuse, errc::not_found}) {
        CHECK(judge(code, {}, possible_faults::of_any_service()) == stress_outcome::violated);
    }
}

TEST_CASE("stress memory: writes in time and in bounds leave the memory intact") {
    stress_memory memory;
    for (std::size_t i = 0; i < 100; ++i) {
        const stress_memory::loan first(memory, 1 + i * 7);
        const stress_memory::loan second(memory, stress_memory::max_bytes);
        CHECK(first.bytes().size() == 1 + i * 7);
        std::ranges::fill(first.bytes(), std::byte{1});
        std::ranges::fill(second.bytes(), std::byte{2});
        CHECK(std::ranges::all_of(first.bytes(), [](std::byte b) { return b == std::byte{1}; }));
    }
    CHECK(memory.intact());
}

TEST_CASE("stress memory: a byte written too late or out of bounds is detected") {
    std::size_t at = 0;
    SUBCASE("the first byte, too late") {}
    SUBCASE("the last byte, too late") {
        at = 999;
    }
    SUBCASE("the byte behind the end") {
        at = 1000;
    }
    for (const bool in_time : {false, true}) {
        for (const bool used_again : {false, true}) {
            CAPTURE(in_time);
            CAPTURE(used_again);
            stress_memory memory;
            std::byte* place = nullptr;
            {
                const stress_memory::loan loan(memory, 1000);
                place = loan.bytes().data() + at;
                if (in_time) *place = std::byte{0};
            }
            if (in_time) {
                // While the operation is under way the destination may be written, and no more.
                CHECK(memory.intact() == (at < 1000));
                continue;
            }
            CHECK(memory.intact());
            *place = std::byte{0};
            for (int i = 0; i < 30 && used_again; ++i) {
                const stress_memory::loan next(memory, stress_memory::max_bytes);
            }
            CHECK_FALSE(memory.intact());
        }
    }
}

TEST_CASE("stress tally: each worker's current operation, its start and the outcomes are recorded") {
    stress_tally tally;
    stress_tally::activity does;
    CHECK_FALSE(tally.busy(does));
    tally.begin(stress_operation::read_leased);
    REQUIRE(tally.busy(does));
    CHECK(does.what == stress_operation::read_leased);
    CHECK(does.since.count() >= 0);
    tally.checked(10);
    tally.end(stress_outcome::done, {});
    CHECK_FALSE(tally.busy(does));
    tally.begin(stress_operation::fetch);
    tally.end(stress_outcome::faulted, errc::stalled);
    const stress_counts counts = tally.take();
    CHECK(counts.started == 2);
    CHECK(counts.ended() == 2);
    CHECK(counts.of(stress_outcome::faulted) == 1);
    CHECK(counts.done[static_cast<std::size_t>(stress_operation::read_leased)] == 1);
    CHECK(counts.bytes == 10);
    CHECK(counts.faults.begin()->second == 1);
    CHECK(counts.times.count() == 2);
    CHECK(tally.take().started == 0);
    tally.checked(3);
    tally.checked(4);
    CHECK(tally.take().bytes == 7);
}

namespace {

// Numbers that no two of have the same sum, and times of which the second ones are longer.
stress_counts numbered_counts(std::uint64_t n) {
    stress_counts out;
    out.started = 100 * n;
    for (std::size_t i = 0; i < stress_outcomes; ++i) out.outcomes[i] = 10 * n + i;
    for (std::size_t i = 0; i < stress_operations; ++i) out.done[i] = 20 * n + i;
    out.bytes = 3000 * n;
    out.faults["both"] = 5 * n;
    out.faults[n == 1 ? "the first" : "the second"] = 7 * n;
    out.resumed = 11 * n;
    for (std::uint64_t i = 0; i < n; ++i) out.times.add(std::chrono::nanoseconds(10 * n));
    out.longest = n == 1 ? stress_operation::fetch_view : stress_operation::close;
    out.longest_time = std::chrono::nanoseconds(10 * n);
    return out;
}

}  // namespace

TEST_CASE("stress tally: the counts of several workers add up, and the longest time is the maximum") {
    for (const bool longest_first : {false, true}) {
        stress_counts sum = numbered_counts(longest_first ? 2 : 1);
        sum.add(numbered_counts(longest_first ? 1 : 2));
        CHECK(sum.started == 300);
        for (std::size_t i = 0; i < stress_outcomes; ++i) CHECK(sum.outcomes[i] == 30 + 2 * i);
        for (std::size_t i = 0; i < stress_operations; ++i) CHECK(sum.done[i] == 60 + 2 * i);
        CHECK(sum.ended() == 6 * 30 + 2 * 15);
        CHECK(sum.bytes == 9000);
        CHECK(
            sum.faults ==
            std::map<std::string, std::uint64_t>{{"both", 15}, {"the first", 7}, {"the second", 14}}
        );
        CHECK(sum.resumed == 33);
        CHECK(sum.times.count() == 3);
        CHECK(sum.times.max() == std::chrono::nanoseconds(20));
        CHECK(sum.longest == stress_operation::close);
        CHECK(sum.longest_time == std::chrono::nanoseconds(20));
    }
}

TEST_CASE("stress report: each number is printed at its place") {
    stress_result result;
    result.target = "scripts";
    result.threads = 2;
    result.workers = 8;
    result.seed = 5;
    result.faults = 3;
    result.seconds = 4;
    result.counts = numbered_counts(1);
    result.counts.add(numbered_counts(2));
    result.counts.outcomes = {250, 20, 10, 9, 8, 3};
    result.counts.times = {};
    for (int i = 0; i < 50; ++i) result.counts.times.add(std::chrono::nanoseconds(10));
    for (int i = 0; i < 49; ++i) result.counts.times.add(std::chrono::nanoseconds(20));
    result.counts.times.add(std::chrono::nanoseconds(40));
    result.longest_worker = 6;
    result.service.emplace();
    result.service->calls = 77;
    result.memory_at_tenth = std::uint64_t{1} << 20;
    result.memory_at_end = std::uint64_t{2} << 20;
    result.peak_memory = std::uint64_t{3} << 20;
    CHECK(
        report_text(result) ==
        "scripts: 2 threads, 8 workers, seed 5, 3 faults, 4.0 s\n"
        "  operations     300 (75/s): 250 done, 20 cancelled, 10 timed out, 9 closed, 8 faulted, 3 violated\n"
        "  done           60 fetch, 62 try-fetch, 64 fetch-block, 66 fetch-view, 68 fetch-split, 70 "
        "fetch-ranges, "
        "72 read-leased, 74 read-once, 76 read-cached, 78 read-file, 80 initialize, 82 close, 84 destroy, 86 "
        "close-cache\n"
        "  faulted        15 both, 7 the first, 14 the second\n"
        "  bytes checked  8.79 KiB\n"
        "  latency        p50 0.01 us  p99 0.02 us  max 0.04 us\n"
        "  longest        worker 6: close, 0.02 us\n"
        "  resumed        33 times a stream, on another call\n"
        "  calls          77, 0 open at the end\n"
        "  memory         1 MiB at 10 % of the time, 2 MiB at the end, 3 MiB at most\n"
        "  violations     none: bytes are right, counters balance, gauges are zero\n"
    );
    const auto json = boost::json::parse(report_json(result)).as_object();
    const auto number = [&json](const char* pointer) { return json.at(pointer).as_int64(); };
    CHECK(number("operations") == 300);
    CHECK(number("milliseconds") == 4000);
    CHECK(number("resumed") == 33);
    CHECK(number("bytes_checked") == 9000);
    CHECK(json.at("outcomes").at("timed_out").as_int64() == 10);
    CHECK(json.at("done").at("close-cache").as_int64() == 86);
    CHECK(json.at("faulted").at("the second").as_int64() == 14);
    CHECK(json.at("calls").at("begun").as_int64() == 77);
    CHECK(json.at("memory_bytes").at("peak").as_int64() == 3 << 20);
}

TEST_CASE("stress violations: the first twenty are kept") {
    stress_violations all;
    CHECK_FALSE(all.any());
    for (int i = 0; i < 25; ++i) all.add(std::to_string(i));
    CHECK(all.any());
    REQUIRE(all.list().size() == 20);
    CHECK(all.list().front() == "0");
    CHECK(all.list().back() == "19");
}

TEST_CASE("stress report: an imbalance of the counts is a violation") {
    stress_result result;
    result.counts.started = 2;
    result.counts.outcomes[static_cast<std::size_t>(stress_outcome::done)] = 2;
    result.service.emplace();
    CHECK(imbalances(result).empty());
    SUBCASE("an operation that did not end") {
        result.counts.started = 3;
    }
    SUBCASE("a call that did not end") {
        result.service->calls_open = 1;
    }
    SUBCASE("a complaint of the service") {
        result.service->complaint = "a range is asked for twice";
    }
    SUBCASE("a run without operations") {
        result.counts.started = 0;
        result.counts.outcomes = {};
    }
    result.violations = imbalances(result);
    REQUIRE(result.violations.size() == 1);
    CHECK(report_text(result).find("violated       " + result.violations[0]) != std::string::npos);
    const auto json = boost::json::parse(report_json(result)).as_object();
    CHECK(json.at("type") == "report");
    CHECK(json.at("violations").as_array().at(0).as_string() == result.violations[0]);
}

TEST_CASE("stress report: a run interrupted at once has no violation") {
    stress_result result;
    result.interrupted = true;
    CHECK(imbalances(result).empty());
}

TEST_CASE("stress report: the progress line names the slowest worker") {
    stress_progress now;
    now.recent_seconds = 2;
    now.recent.started = 10;
    now.recent.outcomes[0] = 10;
    now.recent.resumed = 2;
    now.slowest = 3;
    now.slowest_does.what = stress_operation::fetch_split;
    now.slowest_does.since = std::chrono::milliseconds(5);
    CHECK(progress_text(now).find("5 op/s") != std::string::npos);
    CHECK(progress_text(now).find(" 2 resumed ") != std::string::npos);
    CHECK(progress_text(now).find("worker 3: fetch-split for 5.00 ms") != std::string::npos);
    const auto json = boost::json::parse(progress_json(now)).as_object();
    CHECK(json.at("operations_per_second").as_int64() == 5);
    CHECK(json.at("resumed").as_int64() == 2);
    CHECK(json.at("slowest_worker").at("worker").as_int64() == 3);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
