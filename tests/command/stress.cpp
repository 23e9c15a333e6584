#include "command/fixture.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>

namespace support {
namespace {

// A service that refuses every open, and a program that allows no error: wrong in every schedule.
constexpr const char* hopeless =
    "object 8\n"
    "pool 1\n"
    "errors none\n"
    "faults fail-open times=0 status=NOT_FOUND\n"
    "task reader: read 0-8\n";

outcome stress(const std::vector<std::string>& arguments) {
    return run(arguments, stress_settings());
}

TEST_SUITE_BEGIN("stress");

TEST_CASE("stress: the shipped programs hold under each strategy") {
    const auto names = stress({"--list"});
    CHECK(names.code == 0);
    CHECK(names.out.find("cancelled-reads\n") != std::string::npos);
    for (const char* how : {"dfs", "pct", "random"}) {
        const auto got = stress({"--explore", how, "--schedules", "50"});
        CAPTURE(got.err);
        CHECK(got.code == 0);
        CHECK(got.out.find("transport-faults: 50 schedules, ") != std::string::npos);
    }
}

TEST_CASE("stress: a violation is printed, gives exit status 1 and is replayed by its name") {
    const scratch here;
    here.write("hopeless", hopeless);
    const auto got = stress({"--program", here / "hopeless", "--seed", "7"});
    CHECK(got.code == 1);
    CHECK(got.err == "rangeio-stress: 1 of 1 programs violated\n");
    CHECK(got.out.find("violated: task reader: read 0-8: unexpected: ") != std::string::npos);
    CHECK(got.out.find("found as random:7 ") != std::string::npos);
    const auto shown = stress({"--program", here / "hopeless", "--replay", "random:7"});
    CHECK(shown.code == 1);
    CHECK(shown.out.find("ends the call") == std::string::npos);
    CHECK(shown.out.find("read 0-8") != std::string::npos);
    CHECK(shown.out == stress({"--program", here / "hopeless", "--replay", "random:7"}).out);
}

TEST_CASE("stress: the name of a run in --json is accepted by --replay") {
    const scratch here;
    here.write("hopeless", hopeless);
    for (const char* how : {"dfs", "pct", "random"}) {
        CAPTURE(how);
        const auto got = stress({"--program", here / "hopeless", "--json", "--explore", how});
        CHECK(got.code == 1);
        const auto found = boost::json::parse(got.out).as_object();
        CHECK(found.at("explore") == how);
        CHECK(found.contains("seed") == (found.at("explore") != "dfs"));
        CHECK(found.contains("depth") == (found.at("explore") == "pct"));
        CHECK(found.contains("deviations") == (found.at("explore") == "dfs"));
        for (const char* name : {"found_as", "shrunk_to"}) {
            const std::string run(found.at(name).as_string());
            const auto again = stress({"--program", here / "hopeless", "--json", "--replay", run});
            CHECK(again.code == 1);
            const auto shown = boost::json::parse(again.out).as_object();
            CHECK(shown.at("violation") == found.at("violation"));
            CHECK(shown.at("found_as").as_string() == run);
            CHECK(shown.at("trace").as_string().find("read 0-8") != std::string::npos);
            if (name == std::string("found_as")) CHECK(shown.at("decisions") == found.at("decisions"));
        }
    }
    const auto clean = stress({"--program", "abandoned", "--replay", "random:3"});
    CHECK(clean.code == 0);
    CHECK(clean.out.starts_with("nothing was violated\n"));
    const auto good = stress({"--program", "abandoned", "--json", "--replay", "random:3"});
    CHECK(good.code == 0);
    CHECK(boost::json::parse(good.out).at("violation").is_null());
    CHECK(stress({"--program", "abandoned", "--list", "--json"}).out == "{\"program\":\"abandoned\"}\n");
}

TEST_CASE("stress: a program that cannot be parsed or read is named") {
    const scratch here;
    here.write("typo", "object 8\ntask a: raed 0-8\n");
    const auto typo = stress({"--program", here / "typo"});
    CHECK(typo.code == 2);
    CHECK(typo.err.find("typo: line 2: \"raed\" is not an operation") != std::string::npos);
    const auto missing = stress({"--program", here / "missing"});
    CHECK(missing.code == 1);
    CHECK(missing.err.find("missing: cannot be read") != std::string::npos);
    const auto name = stress({"--program", "abandoned", "--replay", "dfs"});
    CHECK(name.code == 2);
    CHECK(name.err.find("run \"dfs\": not random:SEED") != std::string::npos);
    CHECK(stress({"--explore", "all"}).code == 2);
}

TEST_CASE("stress: an option without effect is rejected by name") {
    struct row {
        std::vector<std::string> arguments;
        const char* complaint;
    };
    const row rows[] = {
        {{"--explore", "dfs", "--seed", "7"}, "--seed is for pct and random, not for dfs"},
        {{"--explore", "dfs", "--depth", "4"}, "--depth is for --explore pct, not for dfs"},
        {{"--depth", "4"}, "--depth is for --explore pct, not for random"},
        {{"--explore", "pct", "--deviations", "1"}, "--deviations is for --explore dfs, not for pct"},
        {{"--program", "abandoned", "--replay", "random:1", "--seed", "7"}, "--seed excludes --replay"},
        {{"--list", "--depth", "4"}, "--depth excludes --list"},
    };
    for (const row& r : rows) {
        const auto got = stress(r.arguments);
        CAPTURE(got.err);
        CHECK(got.code == 2);
        CHECK(got.err.find(r.complaint) != std::string::npos);
    }
}

TEST_CASE("stress: progress within a program is printed on request") {
    process::settings errors_first = stress_settings();
    errors_first.shell = "exec 3>&1 1>&2 2>&3";
    process running({"--program", "abandoned", "--schedules", "1000000000000", "--progress"}, errors_first);
    const std::string line = running.read_line();
    CAPTURE(line);
    CHECK(line.starts_with("abandoned: "));
    CHECK(line.ends_with(" of at most 1000000000000 schedules"));
    running.signal(SIGINT);
    CHECK(running.wait().code == 128 + SIGINT);
}

TEST_CASE("stress: depth first reports whether other schedules exist") {
    const auto all = stress({"--explore", "dfs", "--program", "first-opens", "--deviations", "1"});
    CHECK(all.out.find("; there are no others with so few deviations") != std::string::npos);
    const std::vector<std::string> some{"--explore", "dfs", "--program", "first-opens", "--schedules", "9"};
    CHECK(stress(some).out.find("; there are others with so few deviations") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace
}  // namespace support
