#include "stress_memory.hpp"
#include "stress_outcome.hpp"
#include "stress_report.hpp"
#include "stress_tally.hpp"

#include <boost/asio/error.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <thread>

namespace rangeio::tool {
namespace {

using testing::fault_script;
using testing::possible_faults;

failure status(int number) {
    return {error_code(number, grpc_category()), "", number};
}

circumstances when(bool cancelled, bool hurried, bool closed) {
    circumstances out;
    out.cancelled = cancelled;
    out.hurried = hurried;
    out.closed = closed;
    return out;
}

TEST_SUITE_BEGIN("stress parts");

TEST_CASE("stress outcome: an error needs its reason, and another one is none") {
    const possible_faults none;
    CHECK(judge({}, {}, none) == stress_outcome::done);
    struct row {
        failure why;
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

TEST_CASE("stress outcome: a fault explains what it causes, and nothing else") {
    const possible_faults some(fault_script::parse("reset status=INTERNAL; bad-checksum; mute"));
    for (const failure& why : {status(13), failure(errc::data_corrupted), failure(errc::stalled)}) {
        CAPTURE(why.message());
        CHECK(judge(why, {}, some) == stress_outcome::faulted);
        CHECK(judge(why, {}, possible_faults()) == stress_outcome::violated);
    }
    for (const failure& why : {status(14), status(5), failure(errc::short_read), failure(errc::not_found)}) {
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

TEST_CASE("stress memory: what is written in time, and where it belongs, is nobody's fault") {
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

TEST_CASE("stress memory: a byte that is written too late, or too far, is noticed") {
    std::size_t at = 0;
    SUBCASE("the first one") {}
    SUBCASE("the last one") {
        at = 999;
    }
    SUBCASE("the one behind it") {
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

TEST_CASE("stress tally: tells what is under way, since when, and what it came to") {
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
    stress_counts counts = tally.take();
    CHECK(counts.started == 2);
    CHECK(counts.ended() == 2);
    CHECK(counts.of(stress_outcome::faulted) == 1);
    CHECK(counts.done[static_cast<std::size_t>(stress_operation::read_leased)] == 1);
    CHECK(counts.bytes == 10);
    CHECK(counts.faults.begin()->second == 1);
    counts.add(counts);
    CHECK(counts.started == 4);
    CHECK(counts.times.count() == 4);
    CHECK(tally.take().started == 0);
}

TEST_CASE("stress report: what does not add up is a violation") {
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
    SUBCASE("nothing that was done") {
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

TEST_CASE("stress report: a run that was interrupted at once has done nothing wrong") {
    stress_result result;
    result.interrupted = true;
    CHECK(imbalances(result).empty());
}

TEST_CASE("stress report: progress names the slowest worker") {
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
