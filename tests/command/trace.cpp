#include "command/fixture.hpp"
#include "support/mib.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <sstream>
#include <string>

namespace support {
namespace {

/// An emulator with an object of 1 MiB, and files with traces.
struct traced : fixture {
    traced() : fixture({"--verbose"}) { put("object", pattern(mib)); }

    outcome replay(const std::string& trace, std::vector<std::string> further = {"--json"}) const {
        files.write("trace", trace);
        further.insert(further.begin(), {"trace", files / "trace", "gs://bucket/object"});
        return run(further);
    }
    /// The number of ranges that the emulator was asked for. Ends it.
    std::uint64_t ranges() {
        server.signal(SIGTERM);
        std::istringstream log(server.wait().err);
        const std::string before = " BidiReadObject gs://bucket/object: ";
        std::uint64_t out = 0;
        for (std::string line; std::getline(log, line);) {
            const auto at = line.find(before);
            if (at != std::string::npos && line.ends_with(" ranges"))
                out += std::stoull(line.substr(at + before.size()));
        }
        return out;
    }

    scratch files;
};

TEST_SUITE_BEGIN("trace");

TEST_CASE("trace --json: each read of the trace is made, and the numbers are consistent") {
    traced here;
    const outcome got =
        here.replay("object 1000KiB\nread 1000000 8\nloop count=3 step=64KiB\nrun 0 4KiB count=5\nend\n");
    CAPTURE(got.err);
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    const auto number = [&json](const char* name) { return json.at(name).to_number<double>(); };
    CHECK(json.at("object").as_string() == "gs://bucket/object");
    CHECK(json.at("trace").as_string() == here.files / "trace");
    CHECK(json.at("trace_reads").as_int64() == 16);
    CHECK(json.at("reads").as_int64() == 16);
    CHECK(json.at("bytes").as_int64() == 8 + 15 * 4096);
    CHECK(number("think_seconds") == 0);
    CHECK(number("bytes_per_second") * number("seconds") == doctest::Approx(number("bytes")).epsilon(0.01));
    const auto& waited = json.at("wait_us").as_object();
    const auto wait = [&waited](const char* name) { return waited.at(name).to_number<double>(); };
    CHECK(wait("p50") > 0);
    CHECK(wait("p50") <= wait("p99"));
    CHECK(wait("p99") <= wait("max"));
    CHECK(wait("max") <= wait("total"));
    CHECK(wait("total") <= number("seconds") * 1e6);
    CHECK(number("cpu_seconds_per_gib") > 0);
    CHECK(number("peak_memory_bytes") > 0);
    CHECK(json.at("streams").at("failed").as_int64() == 0);
    CHECK(here.ranges() == 16);
}

TEST_CASE("trace: think time passes before a read and is no part of the wait for it") {
    const traced here;
    const outcome got = here.replay("object 1MiB\nrun 0 4KiB count=4 think=100ms\nread 0 1\n");
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    const double seconds = json.at("seconds").to_number<double>();
    CHECK(json.at("think_seconds").to_number<double>() == doctest::Approx(0.4));
    CHECK(seconds >= 0.4);
    CHECK(json.at("wait_us").at("total").to_number<double>() <= (seconds - 0.4) * 1e6);
}

TEST_CASE("trace: the report has throughput, reads, waits, CPU time and memory") {
    const traced here;
    const outcome got = here.replay("object 1MiB\nrun 0 64KiB count=16\n", {});
    CAPTURE(got.err);
    CHECK(got.code == 0);
    CHECK(got.out.find("(1 MiB in ") != std::string::npos);
    CHECK(got.out.find("(16 of 16)") != std::string::npos);
    CHECK(got.out.find("think time") == std::string::npos);
    for (const char* name : {"throughput", "reads", "waiting", "client CPU", "peak memory", "streams"}) {
        CAPTURE(name);
        CHECK(got.out.find(name) != std::string::npos);
    }
}

TEST_CASE("trace: the options of a pool and of reads have their effect") {
    traced here;
    here.put("object", pattern(8 * mib));
    const outcome got = here.replay(
        "object 8MiB\nread 0 8MiB\n", {"--json", "--pool-size", "2", "--concurrency", "2", "--timeout", "9s"}
    );
    REQUIRE(got.code == 0);
    const auto json = boost::json::parse(got.out).as_object();
    CHECK(json.at("pool_size").as_int64() == 2);
    CHECK(json.at("concurrency").as_int64() == 2);
    CHECK(json.at("streams").at("opened").as_int64() == 2);
    CHECK(here.ranges() == 2);
}

TEST_CASE("trace: an object that is smaller than the one of the trace is an error before any read") {
    traced here;
    const outcome got = here.replay("object 1048577\nread 0 1\n");
    CHECK(got.code == 1);
    CHECK(got.out.empty());
    CHECK(got.one_line());
    for (const std::string& part :
         {std::string("gs://bucket/object"), std::string("1048576 bytes"), here.files / "trace"}) {
        CAPTURE(part);
        CHECK(got.err.find(part) != std::string::npos);
    }
    CHECK(here.ranges() == 0);
}

TEST_CASE("trace: a missing object or generation is named") {
    const traced here;
    const auto check_named = [](const outcome& got, const std::string& name) {
        CAPTURE(got.err);
        CHECK(got.code == 1);
        CHECK(got.one_line());
        CHECK(got.err.find(name) != std::string::npos);
    };
    check_named(here.replay("object 1\nread 0 1", {"--generation", "5"}), "generation 5");
    check_named(here.run({"trace", here.files / "trace", "gs://bucket/missing"}), "gs://bucket/missing");
}

TEST_CASE("trace: a wrong trace is an error that gives the file, the line and the cause") {
    const traced here;
    const auto said = [](const outcome& got) {
        CHECK(got.code == 1);
        CHECK(got.out.empty());
        CHECK(got.one_line());
        return got.err;
    };
    const std::string prefix = "rangeio: " + here.files / "trace";
    CHECK(said(here.replay("object 5\nread\x1b 0")).starts_with(prefix + ":2: 'read\\x1b' is not one of"));
    CHECK(
        said(here.replay("object 5\nread 5 1")).starts_with(prefix + ":2: a read ends past the object's end")
    );
    CHECK(
        said(here.replay(std::string((std::size_t{4} << 20) + 1, '#'))) ==
        prefix + ": the trace is larger than 4194304 bytes\n"
    );
    const std::string missing = here.files / "missing";
    CHECK(said(here.run({"trace", missing, "gs://bucket/object"}))
              .starts_with("rangeio: " + missing + ": No such file"));
}

TEST_CASE("trace: SIGINT ends it during a think time") {
    const traced here;
    here.files.write("slow", "object 1MiB\nrun 0 1KiB count=2 think=1h\n");
    process running({"trace", here.files / "slow", "gs://bucket/object"}, here.here());
    running.signal(SIGINT);
    const outcome got = running.wait();
    CHECK(got.code == 128 + SIGINT);
    CHECK(got.err.empty());
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
