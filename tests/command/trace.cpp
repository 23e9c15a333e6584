#include "command/fixture.hpp"
#include "support/mib.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

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
    boost::json::object report(const std::string& trace, std::vector<std::string> further = {}) const {
        further.emplace_back("--json");
        const outcome got = replay(trace, further);
        CAPTURE(got.err);
        REQUIRE(got.code == 0);
        return boost::json::parse(got.out).as_object();
    }

    scratch files;
};

TEST_SUITE_BEGIN("trace");

TEST_CASE("trace --json: each read of the trace is made, and the numbers are consistent") {
    traced here;
    const auto json = here.report(
        "object 1000KiB\nread 1000000 8\nloop count=3 step=64KiB\nrun 0 4KiB count=5\nend\n",
        {"--prefetch", "off"}
    );
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
    CHECK(json.find("prefetch") == json.end());
    CHECK(here.ranges() == 16);
}

TEST_CASE("trace: a scan is fetched ahead, by the policy of --prefetch") {
    const traced here;
    here.put("object", pattern(16 * mib));
    std::vector<std::string> further;
    std::string how = "adaptive";
    SUBCASE("by default") {}
    SUBCASE("linear") {
        how = "linear";
        further = {"--prefetch", how};
    }
    const auto json = here.report("object 16MiB\nrun 0 64KiB count=256\n", further);
    const auto& ahead = json.at("prefetch").as_object();
    const auto number = [&ahead](const char* name) { return ahead.at(name).as_int64(); };
    CHECK(ahead.at("how").as_string() == how);
    CHECK(number("hits") + number("partial_hits") + number("misses") == 256);
    CHECK(number("misses") < 128);
    CHECK(number("stalls") >= number("partial_hits") + number("misses"));
    CHECK(number("stalls") <= 256);
    CHECK(ahead.at("stall_us").to_number<double>() > 0);
    CHECK(number("prefetched_bytes") > static_cast<std::int64_t>(8 * mib));
    CHECK(number("prefetched_bytes") <= static_cast<std::int64_t>(16 * mib));
}

TEST_CASE("trace --prefetch: of the policies, only the adaptive one detects scans in turn") {
    const traced here;
    here.put("object", pattern(16 * mib));
    const auto prefetched = [&here](const char* how) {
        const std::string scans =
            "object 16MiB\nloop count=64 step=64KiB\nread 0 64KiB\nread 8MiB 64KiB\nend\n";
        return here.report(scans, {"--prefetch", how}).at("prefetch").at("prefetched_bytes").as_int64();
    };
    CHECK(prefetched("linear") < static_cast<std::int64_t>(mib));
    CHECK(prefetched("adaptive") > static_cast<std::int64_t>(2 * mib));
}

TEST_CASE("trace --budget: what is fetched ahead has no more memory than the budget, and a unit") {
    const traced here;
    here.put("object", pattern(16 * mib));
    const auto peak = [&here](std::vector<std::string> further, std::int64_t& limit) {
        further.insert(further.end(), {"--prefetch", "linear"});
        const auto json = here.report("object 16MiB\nrun 0 64KiB count=256\n", further);
        limit = json.at("prefetch").at("budget_bytes").as_int64();
        return json.at("prefetch").at("peak_budget_bytes").as_int64();
    };
    std::int64_t limit = 0;
    CHECK(peak({"--budget", "1MiB"}, limit) <= static_cast<std::int64_t>(2 * mib));
    CHECK(limit == static_cast<std::int64_t>(mib));
    CHECK(peak({}, limit) > static_cast<std::int64_t>(2 * mib));
    CHECK(limit == static_cast<std::int64_t>(128 * mib));
}

TEST_CASE("trace --svg: the replay is drawn into a file, which is complete or not there") {
    traced here;
    here.put("object", pattern(16 * mib));
    here.files.write("trace", "object 16MiB\nrun 0 64KiB count=256\n");
    const auto draw = [&here](const std::string& file, std::vector<std::string> further = {}) {
        further.insert(further.begin(), {"trace", here.files / "trace", "gs://bucket/object", "--svg", file});
        return here.run(further);
    };
    SUBCASE("a file") {
        CHECK(draw(here.files / "out.svg").code == 0);
        const std::string svg = here.files.read("out.svg");
        CHECK(svg.starts_with("<svg xmlns="));
        CHECK(svg.ends_with("</svg>\n"));
        CHECK(svg.find(here.files / "trace") != std::string::npos);
        CHECK(svg.find("adaptive: ") != std::string::npos);
        CHECK(here.files.names() == std::vector<std::string>{"out.svg", "trace"});
    }
    SUBCASE("a directory") {
        CHECK(draw(here.files.path()).code == 0);
        CHECK(here.files.read("replay.svg").ends_with("</svg>\n"));
    }
    SUBCASE("standard output") {
        const outcome got = draw("-", {"--prefetch", "off"});
        CHECK(got.out.find("throughput") < got.out.find("<svg "));
        CHECK(got.out.ends_with("</svg>\n"));
        CHECK(got.out.find("nothing read ahead") != std::string::npos);
    }
    SUBCASE("a place that does not exist, which is detected before any read") {
        const outcome got = draw(here.files / "missing/out.svg");
        CHECK(got.code == 1);
        CHECK(got.out.empty());
        CHECK(got.one_line());
        CHECK(got.err.find("missing/out.svg") != std::string::npos);
        CHECK(here.ranges() == 0);
    }
    SUBCASE("more reads than a picture has room for") {
        here.files.write("trace", "object 16MiB\nrun 0 1 count=1000001\n");
        const outcome got = draw(here.files / "out.svg");
        CHECK(got.code == 1);
        CHECK(got.one_line());
        CHECK(got.err.find("1000001 reads") != std::string::npos);
        CHECK(here.files.names() == std::vector<std::string>{"trace"});
    }
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
        "object 8MiB\nread 0 8MiB\n",
        {"--json", "--prefetch", "off", "--pool-size", "2", "--concurrency", "2", "--timeout", "9s"}
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
