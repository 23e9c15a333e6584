#include "common/command_line.hpp"

#include "common/advice.hpp"
#include "common/process.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace rangeio::tool {
namespace {

using words = std::vector<std::string>;

// What is said of these words; empty if they will do.
std::string checked(const words& line) {
    CLI::App app("", "tool");
    CLI::App& read = *app.add_subcommand("read", "");
    app.add_subcommand("ready", "");
    std::string text;
    bool flag = false;
    read.add_option("OBJECT", text, "");
    for (const char* name : {"--concurrency", "--pool-size", "--poll", "-n,--number"})
        read.add_option(name, text, "");
    read.add_flag("-r,--recursive", flag, "");
    read.add_flag("-l", flag, "");
    try {
        const CLI::App* const sub = find_command(app, line);
        check_options(sub == nullptr ? app : *sub, line);
    } catch (const usage_failed& wrong) {
        return wrong.what();
    }
    return {};
}

std::string no_option(const std::string& typed, const std::string& near = "") {
    return "there is no option '" + typed + '\'' + (near.empty() ? "" : "; the nearest is '" + near + '\'');
}

TEST_SUITE_BEGIN("command line");

TEST_CASE("check_options: options that the command has are left to CLI11") {
    for (const words& line : std::vector<words>{
             {"read"},
             {"read", "-", "gs://b/o"},
             {"read", "--concurrency", "3", "--pool-size=4", "o"},
             {"read", "--concurrency", "--wrong", "o"},  // its value
             {"read", "-n", "--wrong", "-rl", "-n5", "-rn", "--wrong"},
             {"read", "-64", "-5-"},
             {"read", "--", "--wrong", "-x"},
             {"read", "--help", "-h"},
             {"--help"},
         }) {
        CHECK(checked(line).empty());
    }
}

TEST_CASE("check_options: an unknown option is named, with the nearest known one") {
    CHECK(checked({"read", "--concurency", "3", "o"}) == no_option("--concurency", "--concurrency"));
    CHECK(checked({"read", "o", "--concurency=3"}) == no_option("--concurency", "--concurrency"));
    CHECK(checked({"read", "--conc", "3"}) == no_option("--conc", "--concurrency"));
    CHECK(checked({"read", "--pool_size", "3"}) == no_option("--pool_size", "--pool-size"));
    CHECK(checked({"read", "--Pool-Size", "3"}) == no_option("--Pool-Size", "--pool-size"));
    CHECK(checked({"read", "--plol", "3"}) == no_option("--plol", "--poll"));
    CHECK(checked({"read", "-concurrency", "3"}) == no_option("-concurrency", "--concurrency"));
    CHECK(checked({"read", "---poll", "3"}) == no_option("---poll", "--poll"));
    CHECK(checked({"read", "--frobnicate"}) == no_option("--frobnicate"));
    CHECK(checked({"read", "-R"}) == no_option("-R", "-r"));
    CHECK(checked({"read", "-rx"}) == no_option("-x"));
    CHECK(checked({"read", "-x", "3"}) == no_option("-x"));
    CHECK(checked({"read", "--poll=1s", "--pol", "3"}) == no_option("--pol", "--poll"));
    CHECK(checked({"--concurrency", "3", "read"}) == no_option("--concurrency"));
    CHECK(checked({"--hepl"}) == no_option("--hepl", "--help"));
}

TEST_CASE("find_command: an unknown command is named, with the nearest known one") {
    CHECK(checked({}) == "a command is required");
    CHECK(checked({"raed"}) == "there is no command 'raed'; the nearest is 'read'");
    CHECK(checked({"reayd"}) == "there is no command 'reayd'; the nearest is 'read'");
    CHECK(checked({"READY"}) == "there is no command 'READY'; the nearest is 'ready'");
    CHECK(checked({"frobnicate"}) == "there is no command 'frobnicate'");
    CHECK(checked({""}) == "there is no command ''");
}

TEST_CASE("advice: an object name in the form of another tool is answered with the form to type") {
    const auto say = [](const std::string& text) { return "; use '" + text + '\''; };
    CHECK(advice_on_uri("GS://data/a") == say("gs://data/a"));
    CHECK(advice_on_uri("gs:/data/a") == say("gs://data/a"));
    CHECK(advice_on_uri("data/a") == say("gs://data/a"));
    CHECK(advice_on_uri("https://storage.googleapis.com/data/a") == say("gs://data/a"));
    CHECK(advice_on_uri("https://storage.cloud.google.com/data/a") == say("gs://data/a"));
    CHECK(advice_on_uri("gs://data") == "; 'rangeio ls gs://data' lists a bucket");
    CHECK(advice_on_uri("gs://data/") == "; 'rangeio ls gs://data/' lists a bucket");
    for (const char* other : {"gs://data/a", "s3://data/a", "/data/a", "./a", "a", "", "gs://", "gs:///a"}) {
        CAPTURE(other);
        CHECK(advice_on_uri(other).empty());
    }
    CHECK(advice_on_name("data", "a#12") == say("--generation 12 gs://data/a"));
    CHECK(
        advice_on_name("data", "a/b*.txt") ==
        "; wildcards are not expanded: 'rangeio ls gs://data/a/b' lists names"
    );
    CHECK(advice_on_prefix("data", "a#12").empty());
    for (const char* other : {"a", "a#", "#1", "a#1b", "1", ""}) CHECK(advice_on_name("data", other).empty());
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
