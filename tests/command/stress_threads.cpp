#include "command/fixture.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace support {
namespace {

using words = std::vector<std::string>;

words stress_words(const words& further) {
    words all{"--threads", "2"};
    all.insert(all.end(), further.begin(), further.end());
    return all;
}

// The last of the lines, which are all JSON. What progress says of resumptions is part of what the report says.
boost::json::object report_of(const std::string& out) {
    std::istringstream lines(out);
    boost::json::object last;
    std::int64_t resumed = 0;
    for (std::string line; std::getline(lines, line);) {
        last = boost::json::parse(line).as_object();
        CHECK((last.at("type") == "progress" || last.at("type") == "report"));
        if (last.at("type") == "progress") resumed += last.at("resumed").as_int64();
    }
    REQUIRE(last.at("type") == "report");
    CHECK(last.at("resumed").as_int64() >= resumed);
    return last;
}

std::int64_t sum(const boost::json::object& numbers) {
    std::int64_t out = 0;
    for (const auto& [name, number] : numbers) out += number.as_int64();
    return out;
}

// Temporary files go there.
process::settings inside(const scratch& here) {
    process::settings how = stress_settings();
    how.environment.push_back("TMPDIR=" + here.path().string());
    return how;
}

TEST_SUITE_BEGIN("stress threads");

TEST_CASE("stress --threads: a run over a scripted service with all faults has no violation") {
    const outcome got =
        run(stress_words({"--scripted", "--faults", "all", "--duration", "1500ms", "--seed", "5", "--json"}),
            stress_settings());
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    const auto report = report_of(got.out);
    CHECK(report.at("violations").as_array().empty());
    CHECK(report.at("workers").as_int64() == 8);
    CHECK(report.at("faults").as_int64() > 20);
    CHECK(report.at("operations").as_int64() == sum(report.at("outcomes").as_object()));
    CHECK(report.at("outcomes").at("done").as_int64() == sum(report.at("done").as_object()));
    CHECK(report.at("outcomes").at("faulted").as_int64() == sum(report.at("faulted").as_object()));
    CHECK(report.at("bytes_checked").as_int64() > 0);
    CHECK(report.at("calls").at("open").as_int64() == 0);
    CHECK(report.at("resumed").as_int64() > 0);
}

TEST_CASE("stress --threads: a run over an emulator of its own leaves nothing behind") {
    const scratch here;
    const outcome got = run(stress_words({"--duration", "1s", "--workers", "2"}), inside(here));
    CAPTURE(got.err);
    CAPTURE(got.out);
    CHECK(got.code == 0);
    CHECK(got.out.starts_with("emulator: 2 threads, 4 workers, seed 1, 0 faults, "));
    CHECK(got.out.find("violations     none") != std::string::npos);
    CHECK(got.out.find(" 0 open at the end") != std::string::npos);
    CHECK(here.names().empty());
}

TEST_CASE("stress --threads: resumed streams are counted with every kind of service") {
    const std::string resets = "reset chance=20% times=0";
    const fixture server({"--faults", resets});
    server.put("object", pattern(300'000));
    words how{"--duration", "1200ms", "--json", "--progress"};
    SUBCASE("a scripted service") {
        how.insert(how.end(), {"--scripted", "--faults", resets});
    }
    SUBCASE("an emulator in the same process") {
        how.insert(how.end(), {"--faults", resets});
    }
    SUBCASE("a server in another process") {
        how.insert(how.end(), {"--endpoint", server.address, "gs://bucket/object"});
    }
    const outcome got = run(stress_words(how), stress_settings());
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    CHECK(report_of(got.out).at("resumed").as_int64() > 0);
    CHECK(got.err.find(" resumed  ") != std::string::npos);
}

TEST_CASE("stress --threads: a run over an object of a running server succeeds") {
    const fixture server;
    server.put("object", pattern(300'000));
    const outcome got = run(
        stress_words({"--duration", "500ms", "--json", "--endpoint", server.address, "gs://bucket/object"}),
        stress_settings()
    );
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    const auto report = report_of(got.out);
    CHECK(report.at("target") == "gs://bucket/object");
    CHECK(report.at("calls").is_null());
    CHECK(report.at("outcomes").at("faulted").as_int64() == 0);
    CHECK(report.at("outcomes").at("done").as_int64() > 0);
}

TEST_CASE("stress --threads: a replaced object is a violation and ends the run") {
    const fixture server;
    server.put("object", pattern(300'000));
    process running(
        stress_words({"--duration", "1h", "--json", "--endpoint", server.address, "gs://bucket/object"}),
        stress_settings()
    );
    running.read_line();
    std::string other = pattern(300'000);
    for (char& c : other) c = static_cast<char>(c + 1);
    server.put("other", other);
    std::filesystem::rename(server.root / "bucket/other", server.root / "bucket/object");
    const outcome got = running.wait();
    CAPTURE(got.err);
    CHECK(got.code == 1);
    // The next reader is the first to see the change: on a pool that was open before, or on a new one.
    const bool gone = got.err.find(": no generation ") != std::string::npos;
    CHECK((gone || got.err.find(" are other bytes than the object has") != std::string::npos));
    const auto report = report_of(got.out);
    CHECK_FALSE(report.at("violations").as_array().empty());
}

TEST_CASE("stress --threads: SIGINT ends the run in order, with a report") {
    const scratch here;
    process running(stress_words({"--duration", "1h", "--json"}), inside(here));
    running.read_line();
    CHECK(here.names().size() == 1);
    running.signal(SIGINT);
    const outcome got = running.wait();
    CHECK(got.code == 128 + SIGINT);
    CHECK(got.err.empty());
    const auto report = report_of(got.out);
    CHECK(report.at("operations").as_int64() == sum(report.at("outcomes").as_object()));
    CHECK(here.names().empty());
}

TEST_CASE("stress --threads: a worker without progress is named, and the run does not wait for it") {
    const scratch here;
    words how{"--duration", "1h"};
    SUBCASE("a service that never responds") {
        how.insert(
            how.end(), {"--stall", "300ms", "--scripted", "--faults", "slow-open delay=3600s times=0"}
        );
    }
    SUBCASE("a stall limit shorter than any operation") {
        how.insert(how.end(), {"--stall", "1ms"});
    }
    const outcome got = run(stress_words(how), inside(here));
    CHECK(got.code == 1);
    CHECK(got.one_line());
    CHECK(got.err.starts_with("rangeio-stress: violated: worker "));
    CHECK(got.err.find(" has made no progress for ") != std::string::npos);
    CHECK(got.out.find("violated       worker ") != std::string::npos);
    CHECK(here.names().empty());
}

TEST_CASE("stress --threads: progress is printed on request") {
    process running(
        stress_words({"--duration", "1h", "--scripted", "--json", "--progress"}), stress_settings()
    );
    running.read_line();
    running.signal(SIGINT);
    const outcome got = running.wait();
    CHECK(got.code == 128 + SIGINT);
    CHECK(got.err.find(" op/s  ") != std::string::npos);
    CHECK(got.err.find(" p99 ") != std::string::npos);
}

TEST_CASE("stress --threads: options that exclude each other are named") {
    struct row {
        words arguments;
        const char* complaint;
    };
    const row rows[] = {
        {{"--threads", "0"}, "'0' is not a number between 1 and 1024"},
        {{"--duration", "1s"}, "--duration requires --threads"},
        {{"--endpoint", "127.0.0.1:1"}, "--endpoint requires --threads"},
        {{"--threads", "1", "--explore", "dfs"}, "--explore excludes --threads"},
        {{"--threads", "1", "--endpoint", "127.0.0.1:1"}, "--endpoint requires an object"},
        {{"--threads", "1", "--scripted", "gs://bucket/o"}, "--scripted has an object of its own"},
        {{"--threads", "1", "--faults", "reset", "gs://bucket/o"}, "rangeio emulate --faults"},
        {{"--threads", "1", "--scripted", "--faults", "rest"}, "\"rest\" is not a fault kind"},
    };
    for (const row& r : rows) {
        const outcome got = run(r.arguments, stress_settings());
        CAPTURE(got.err);
        CHECK(got.code == 2);
        CHECK(got.err.find(r.complaint) != std::string::npos);
    }
    const scratch here;
    const outcome missing =
        run(stress_words({"--scripted", "--faults", "@" + (here / "missing")}), stress_settings());
    CHECK(missing.code == 1);
    CHECK(missing.err.find("missing: cannot be read") != std::string::npos);
}

TEST_CASE("stress --threads: faults are read from a file") {
    const scratch here;
    here.write("faults", "# harmless\nbatch bytes=2\nchunk bytes=500\n");
    const outcome got = run(
        stress_words({"--duration", "300ms", "--scripted", "--json", "--faults", "@" + (here / "faults")}),
        stress_settings()
    );
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    CHECK(report_of(got.out).at("faults").as_int64() == 2);
    CHECK(report_of(got.out).at("outcomes").at("faulted").as_int64() == 0);
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
