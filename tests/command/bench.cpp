#include "command/fixture.hpp"
#include "support/mib.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace support {
namespace {

using words = std::vector<std::string>;

outcome bench(const fixture& here, const words& further) {
    words all{"bench", "gs://bucket/object", "--duration", "50ms", "--warmup", "10ms"};
    all.insert(all.end(), further.begin(), further.end());
    return here.run(all);
}

TEST_SUITE_BEGIN("bench");

TEST_CASE("bench: the report has throughput, latencies, CPU time and memory") {
    const fixture here;
    here.put("object", pattern(4 * mib));
    const outcome got = bench(here, {});
    CAPTURE(got.err);
    CHECK(got.code == 0);
    for (const char* name : {"throughput", "operations", "latency", "client CPU", "peak memory", "streams"}) {
        CAPTURE(name);
        CHECK(got.out.find(name) != std::string::npos);
    }
    // A read is no longer than the object.
    CHECK(got.out.find("sequential reads of 4 MiB") != std::string::npos);
}

TEST_CASE("bench --json: the numbers of the report are consistent") {
    const fixture here;
    here.put("object", pattern(4 * mib));
    words further{"--json", "--io-size", "64KiB", "--depth", "8", "--pool-size", "2", "--seed", "7"};
    SUBCASE("sequential") {}
    SUBCASE("random") {
        further.insert(further.end(), {"--pattern", "rand"});
    }
    SUBCASE("zigzag") {
        further.insert(further.end(), {"--pattern", "zigzag"});
    }
    const outcome got = bench(here, further);
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    const auto number = [&json](const char* name) { return json.at(name).to_number<double>(); };
    CHECK(number("operations") >= 1);
    CHECK(number("bytes") == number("operations") * 65536);
    CHECK(number("seconds") >= 0.05);
    CHECK(number("bytes_per_second") * number("seconds") == doctest::Approx(number("bytes")));
    CHECK(number("cpu_seconds_per_gib") > 0);
    CHECK(number("peak_memory_bytes") > 0);
    const auto& latency = json.at("latency_us").as_object();
    CHECK(latency.at("p50").to_number<double>() > 0);
    CHECK(latency.at("p50").to_number<double>() <= latency.at("p90").to_number<double>());
    CHECK(latency.at("p99").to_number<double>() <= latency.at("max").to_number<double>());
    CHECK(json.at("streams").at("opened").as_int64() == 2);
    CHECK(json.at("streams").at("failed").as_int64() == 0);
}

TEST_CASE("bench: a run whose time ends before the first read completes still reports a result") {
    const fixture here;
    here.put("object", pattern(16 * mib));
    const outcome got =
        here.run({"bench", "gs://bucket/object", "--duration", "1ms", "--warmup", "0", "--json"});
    REQUIRE(got.code == 0);
    CHECK(boost::json::parse(got.out).at("operations").as_int64() >= 1);
}

TEST_CASE("bench: the warm-up runs for its time and counts neither as seconds nor as reads") {
    // No read is over sooner, so that the one that ends the measurement is the first.
    const fixture here({"--faults", "latency delay=100ms times=0"});
    here.put("object", pattern(mib));
    const auto began = std::chrono::steady_clock::now();
    const outcome got =
        here.run({"bench", "gs://bucket/object", "--duration", "1ms", "--warmup", "700ms", "--json"});
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - began;
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    CHECK(all.count() >= 0.701);
    CHECK(json.at("seconds").to_number<double>() <= all.count() - 0.7);
    CHECK(json.at("operations").as_int64() == 1);
    CHECK(json.at("bytes").as_int64() == static_cast<std::int64_t>(mib));
}

TEST_CASE("bench --think-time: it passes before each read and is no part of the latency") {
    const fixture here;
    here.put("object", pattern(mib));
    const auto began = std::chrono::steady_clock::now();
    const outcome got = here.run(
        {"bench", "gs://bucket/object", "--json", "--duration", "1s", "--warmup", "0", "--think-time", "300ms"
        }
    );
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - began;
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    const auto reads = json.at("operations").to_number<double>();
    CHECK(json.at("think_seconds").to_number<double>() == 0.3);
    CHECK(reads >= 1);
    // At least half of the reads took the median, which is shown as up to 1.6 % more.
    const double read_seconds = reads / 2 * json.at("latency_us").at("p50").to_number<double>() / 1.016e6;
    CHECK(reads * 0.3 + read_seconds <= all.count());
}

TEST_CASE("bench --prefetch: reads go through a reader, whose counts during the measurement are reported") {
    const fixture here;
    here.put("object", pattern(16 * mib));
    const auto report = [&here](words further) {
        further.insert(further.end(), {"--json", "--io-size", "64KiB", "--depth", "2"});
        const outcome got = bench(here, further);
        CAPTURE(got.err);
        REQUIRE(got.code == 0);
        return boost::json::parse(got.out).as_object();
    };
    CHECK(report({}).if_contains("prefetch") == nullptr);
    CHECK(report({"--prefetch", "off"}).if_contains("prefetch") == nullptr);
    const auto json = report({"--prefetch", "linear", "--budget", "3MiB"});
    const auto& ahead = json.at("prefetch").as_object();
    CHECK(ahead.at("how").as_string() == "linear");
    CHECK(ahead.at("budget_bytes").as_int64() == static_cast<std::int64_t>(3 * mib));
    CHECK(ahead.at("peak_budget_bytes").as_int64() > 0);
    const std::int64_t counted =
        ahead.at("hits").as_int64() + ahead.at("partial_hits").as_int64() + ahead.at("misses").as_int64();
    // Reads that began before the measurement, or ended after it.
    CHECK(std::abs(counted - json.at("operations").as_int64()) <= 2);
}

TEST_CASE("bench --plan: what is announced of a pass is read from memory") {
    const fixture here;
    here.put("object", pattern(16 * mib));
    // Two blocks in sequence have nothing fetched ahead by this policy.
    const auto hit_rate = [&here](words further) {
        further.insert(
            further.end(), {"--json", "--io-size", "64KiB", "--pattern", "parquet", "--prefetch", "linear"}
        );
        const outcome got = bench(here, further);
        CAPTURE(got.err);
        REQUIRE(got.code == 0);
        const auto json = boost::json::parse(got.out).at("prefetch").as_object();
        const auto hits = json.at("hits").to_number<double>() + json.at("partial_hits").to_number<double>();
        return hits / (hits + json.at("misses").to_number<double>());
    };
    CHECK(hit_rate({}) < 0.2);
    CHECK(hit_rate({"--plan"}) > 0.5);
    const outcome got =
        bench(here, {"--io-size", "1", "--pattern", "parquet", "--prefetch", "linear", "--plan"});
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.find("--plan") != std::string::npos);
}

TEST_CASE("bench: an empty object is an error") {
    const fixture here;
    here.put("object", "");
    const outcome got = bench(here, {});
    CHECK(got.code == 1);
    CHECK(got.one_line());
}

TEST_CASE("bench: SIGINT ends every phase of the measurement") {
    const fixture here;
    here.put("object", pattern(mib));
    process running({"bench", "gs://bucket/object", "--duration", "1h"}, here.here());
    running.signal(SIGINT);
    const outcome got = running.wait();
    CHECK(got.code == 128 + SIGINT);
    CHECK(got.err.empty());
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
