#include <rangeio/testing/fault_script.hpp>

#include "testing/programs/pool_program.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>

using rangeio::testing::fault_kind;
using rangeio::testing::fault_kinds;
using rangeio::testing::fault_script;
using rangeio::testing::pool_program;
using namespace std::chrono_literals;

namespace {

std::string complaint(std::string_view text) {
    try {
        fault_script::parse(text);
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "none";
}

std::string program_complaint(const char* text) {
    try {
        pool_program::parse(text);
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("fault_script: lines and semicolons separate faults, and a comment hides the rest of its line") {
    const auto script = fault_script::parse(
        "reset call=2 byte=100 status=INTERNAL; latency delay=5ms # slow; reset\n"
        "  redirect token=t-1 handle=yes range=3 times=2 chance=25%\n\n"
    );
    REQUIRE(script.faults.size() == 3);
    CHECK(script.faults[0].kind == fault_kind::reset);
    CHECK(script.faults[0].call == 2);
    CHECK(script.faults[0].byte == 100);
    CHECK(script.faults[0].status == 13);
    CHECK(script.faults[0].times == 1);
    CHECK(script.faults[1].delay == 5ms);
    CHECK(script.faults[1].times == 0);
    CHECK(script.faults[2].token == "t-1");
    CHECK(script.faults[2].handle);
    CHECK(script.faults[2].range == 3);
    CHECK(script.faults[2].percent == 25);
}

TEST_CASE("fault_script: every kind is written as it is parsed") {
    for (const fault_kind kind : fault_kinds()) {
        rangeio::testing::fault f = fault_script::parse("reset").faults[0];
        std::string line(to_string(kind));
        for (const char* with :
             {"",
              " delay=3ms",
              " bytes=7",
              " status=ABORTED call=4 times=9",
              " token=x handle=yes",
              " token=no handle=yes",
              " distinct=yes"}) {
            try {
                const auto script = fault_script::parse(line + with);
                CHECK(fault_script::parse(script.text()).faults == script.faults);
                CHECK(fault_script::parse(script.json()).faults == script.faults);
                f = script.faults[0];
            } catch (const std::invalid_argument&) {
                // A key that means nothing to this kind, or one that it lacks.
            }
        }
        CHECK(f.kind == kind);
    }
    CHECK(fault_script::parse("").text() == "");
}

TEST_CASE("fault_script: a token has any bytes, in text and in JSON") {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    fault_script script = fault_script::parse(R"(redirect token=a\x0ab\x5C handle=yes)");
    CHECK(script.faults[0].token == "a\nb\\");
    CHECK(script.text() == R"(redirect token=a\x0ab\x5c handle=yes)");
    for (const std::string& token : {all, std::string("no"), std::string(1, '\0')}) {
        script.faults[0].token = token;
        CHECK(fault_script::parse(script.text()).faults[0].token == token);
        CHECK(fault_script::parse(script.json()).faults[0].token == token);
    }
    for (const char* token : {"\\", "\\x", "\\x1", "\\xg0", "\\y00", "a\\", "\\x-1"}) {
        CAPTURE(token);
        CHECK(complaint(std::string("redirect token=") + token).ends_with("for any byte"));
    }
}

TEST_CASE("fault_script: a redirect has the default token, a named one, or none") {
    const auto script = fault_script::parse("redirect; redirect token=t; redirect token=no handle=yes");
    CHECK(script.faults[0].token == "there");
    CHECK(script.faults[1].token == "t");
    CHECK(script.faults[2].token.empty());
    CHECK(script.faults[2].handle);
    CHECK(script.text().ends_with("redirect token=no handle=yes"));
    CHECK(fault_script::parse(R"([{"kind": "redirect", "token": "no"}])").faults[0].token.empty());
    CHECK(fault_script::parse(R"([{"kind": "redirect", "token": false}])").faults[0].token.empty());
}

TEST_CASE("fault_script: a batch has any chunks, or those of distinct ranges") {
    const auto script = fault_script::parse("batch; batch bytes=3 distinct=yes; batch distinct=no");
    CHECK_FALSE(script.faults[0].distinct);
    CHECK(script.faults[1].distinct);
    CHECK_FALSE(script.faults[2].distinct);
    CHECK(script.text() == "batch bytes=2; batch bytes=3 distinct=yes; batch bytes=2");
    CHECK(fault_script::parse(R"([{"kind": "batch", "distinct": true}])").faults[0].distinct);
    CHECK(complaint("batch distinct=maybe") == "fault \"batch distinct=maybe\": distinct is not yes or no");
    CHECK(complaint("reset distinct=yes") == "fault \"reset distinct=yes\": reset takes no distinct");
}

TEST_CASE("fault_script: a mistake in text is named") {
    CHECK(complaint("rest") == "fault \"rest\": \"rest\" is not a fault kind");
    CHECK(complaint("reset byte") == "fault \"reset byte\": \"byte\" is not KEY=VALUE");
    CHECK(complaint("reset byte=-1") == "fault \"reset byte=-1\": byte=-1 is not a whole number from 0");
    CHECK(complaint("reset call=0") == "fault \"reset call=0\": call=0 is not a whole number from 1");
    CHECK(complaint("reset byte=18446744073709551615").find("not a whole number") != std::string::npos);
    CHECK(complaint("reset delay=1s") == "fault \"reset delay=1s\": reset takes no delay");
    CHECK(complaint("latency") == "fault \"latency\": delay is missing");
    CHECK(
        complaint("latency delay=5") ==
        "fault \"latency delay=5\": delay=5 is not a time like 5ms, at most a day"
    );
    CHECK(complaint("latency delay=99999999999s").find("at most a day") != std::string::npos);
    CHECK(
        complaint("reset status=FINE") ==
        "fault \"reset status=FINE\": status=FINE is not a gRPC error status"
    );
    CHECK(complaint("reset status=0").find("status=0") != std::string::npos);
    CHECK(complaint("latency delay=1ms retry-after=1s").ends_with("latency takes no retry-after"));
    CHECK(complaint("reset retry-after=0s").ends_with("retry-after=0s is not a time like 5ms, at most a day")
    );
    CHECK(
        complaint("reset chance=0%") == "fault \"reset chance=0%\": chance is not a percentage in 1%..100%"
    );
    CHECK(complaint("reset speed=1") == "fault \"reset speed=1\": \"speed\" is not a key");
    for (const char* token : {"", "\xff", "\xc3\xa4", "\x7f", "\x01"}) {
        CHECK(complaint(std::string("redirect token=") + token)
                  .ends_with("token: not printable ASCII without white space, ; and #, or \\xHH for any byte")
        );
    }
    CHECK(complaint("redirect handle=maybe") == "fault \"redirect handle=maybe\": handle is not yes or no");
}

TEST_CASE("fault_script: JSON has the keys of the text, as numbers and words") {
    const auto script = fault_script::parse(R"(
        [{"kind": "reset", "call": 2, "byte": 100, "status": "INTERNAL"},
         {"kind": "reset", "status": 13, "times": 0, "chance": "25%"},
         {"delay": "5ms", "kind": "latency"},
         {"kind": "redirect", "token": "t-1", "handle": true, "range": 3}]
    )");
    CHECK_FALSE(script.seed);
    CHECK(
        script.text() ==
        "reset call=2 byte=100 status=INTERNAL; reset times=0 chance=25% status=INTERNAL; latency delay=5ms; "
        "redirect range=3 token=t-1 handle=yes"
    );
    CHECK(fault_script::parse(script.json()).faults == script.faults);
    CHECK(
        fault_script::parse("reset byte=7").json() == R"([{"kind":"reset","byte":7,"status":"UNAVAILABLE"}])"
    );
    CHECK(fault_script::parse("[]").faults.empty());
    CHECK(fault_script::parse("").json() == "[]");
}

TEST_CASE("fault_script: JSON can set a seed") {
    const auto script =
        fault_script::parse(R"({"seed": 18446744073709551615, "faults": [{"kind": "reset"}]})");
    CHECK(script.seed == 18446744073709551615U);
    CHECK(script.faults.size() == 1);
    const auto again = fault_script::parse(script.json());
    CHECK(again.seed == script.seed);
    CHECK(again.faults == script.faults);
}

TEST_CASE("fault_script: a mistake in JSON is named with its place") {
    CHECK(complaint("[\n{\"kind\": \"reset\",}]").starts_with("line 2: invalid JSON: "));
    CHECK(complaint("[").starts_with("line 1: invalid JSON: "));
    CHECK(complaint("[] []").starts_with("line 1: invalid JSON: "));
    CHECK(complaint(std::string(100, '[')).starts_with("line 1: invalid JSON: "));
    CHECK(complaint("[7]") == "fault 1: not an object");
    CHECK(complaint("[{}]") == "fault 1: \"kind\" is missing or not a string");
    CHECK(complaint(R"([{"kind": 3}])") == "fault 1: \"kind\" is missing or not a string");
    CHECK(complaint(R"([{"kind": "reset"}, {"kind": "rest"}])") == "fault 2: \"rest\" is not a fault kind");
    CHECK(complaint(R"([{"kind": "reset", "speed": 1}])") == "fault 1: \"speed\" is not a key");
    CHECK(complaint(R"([{"kind": "reset", "byte": -1}])") == "fault 1: byte=-1 is not a whole number from 0");
    CHECK(
        complaint(R"([{"kind": "reset", "byte": 1.5}])").find("is not a whole number") != std::string::npos
    );
    CHECK(
        complaint(R"([{"kind": "reset", "byte": [1]}])") == "fault 1: byte=[1] is not a whole number from 0"
    );
    CHECK(
        complaint(R"([{"kind": "reset", "call": null}])") == "fault 1: call=null is not a whole number from 1"
    );
    CHECK(complaint(R"([{"kind": "reset", "delay": "1s"}])") == "fault 1: reset takes no delay");
    CHECK(complaint(R"([{"kind": "latency"}])") == "fault 1: delay is missing");
    CHECK(complaint(R"([{"kind": "redirect", "handle": "maybe"}])") == "fault 1: handle is not yes or no");
    CHECK(
        complaint(R"([{"kind": "redirect", "token": "a b"}])") ==
        "fault 1: token: not printable ASCII without white space, ; and #, or \\xHH for any byte"
    );
    CHECK(complaint("{}") == "\"faults\" is missing or not an array");
    CHECK(complaint(R"({"faults": 1})") == "\"faults\" is missing or not an array");
    CHECK(complaint(R"({"faults": [], "sed": 1})") == "\"sed\" is not a script field");
    CHECK(complaint(R"({"faults": [], "seed": -1})") == "\"seed\" is not a whole number from 0");
}

TEST_CASE("pool_program: a mistake is named with its line") {
    CHECK(program_complaint("object 8\n") == "the program has no task");
    CHECK(program_complaint("\nobjet 8\n") == "line 2: \"objet\" is not a directive");
    CHECK(program_complaint("pool 0\n") == "line 1: the pool's size: \"0\" is not an integer in 1..64");
    CHECK(program_complaint("task a: raed 0-1") == "line 1: \"raed\" is not an operation");
    CHECK(program_complaint("task a: read 4-1") == "line 1: \"4-1\" is not a range A-B");
    CHECK(program_complaint("task a: read 0-1 pace=2") == "line 1: read takes no \"pace=2\"");
    CHECK(program_complaint("\ntask a: cancel b") == "line 2: task a cancels b, which is not a task");
    CHECK(program_complaint("task a:") == "line 1: task a has no operation");
    CHECK(program_complaint("task a: wait 1ms\ntask a: wait 1ms") == "line 2: task a is defined twice");
    CHECK(
        program_complaint("faults reset byte=x") ==
        "line 1: fault \"reset byte=x\": byte=x is not a whole number from 0"
    );
    CHECK(program_complaint("end soon") == "line 1: the end is not close, destroy, abandon or any");
    CHECK(program_complaint("errors some") == "line 1: errors are neither allowed nor none");
    CHECK(
        program_complaint("cache idle-pools=65") == "line 1: idle-pools: \"65\" is not an integer in 0..64"
    );
    CHECK(program_complaint("cache size=1") == "line 1: a cache takes no \"size=1\"");
    CHECK(program_complaint("cache idle-timeout") == "line 1: \"\" is not a time like 5ms");
    CHECK(
        program_complaint("cache\ntask a: open object=16") ==
        "line 2: object: \"16\" is not an integer in 0..15"
    );
    CHECK(program_complaint("cache\ntask a: read 0-1 object=1") == "line 2: read takes no \"object=1\"");
    CHECK(
        program_complaint("pool 1\ntask a: open\ntask b: close-cache") ==
        "line 2: \"open\" requires a cache, and the program has none"
    );
    CHECK(program_complaint("calls many") == "line 1: calls: \"many\" is not an integer in 0..100000");
}

TEST_CASE("pool_program: a cache has the options of its line, and the library's defaults otherwise") {
    const auto plain = pool_program::parse("cache\ntask a: open; close-cache deadline=2ms");
    REQUIRE(plain.cache);
    CHECK(plain.cache->max_idle_pools() == rangeio::pool_cache_options().max_idle_pools());
    CHECK(
        plain.cache->max_idle_streams_per_key() == rangeio::pool_cache_options().max_idle_streams_per_key()
    );
    CHECK(plain.cache->idle_timeout().count() == 0);
    CHECK(plain.tasks.at(0).operations.at(1).time == std::chrono::milliseconds(2));
    const auto set =
        pool_program::parse("cache idle-pools=1 idle-streams=0 idle-timeout=5ms\ntask a: open-latest object=3"
        );
    CHECK(set.cache->max_idle_pools() == 1);
    CHECK(set.cache->max_idle_streams_per_key() == 0);
    CHECK(set.cache->idle_timeout() == std::chrono::milliseconds(5));
    CHECK(set.tasks.at(0).operations.at(0).object == 3);
}

TEST_CASE("fault_script: the wait that a status requests is read and written in both forms") {
    for (const char* kind : {"fail-open", "reset", "fail-metadata"}) {
        const auto script = fault_script::parse(std::string(kind) + " status=8 retry-after=1500ms");
        REQUIRE(script.faults.size() == 1);
        CHECK(script.faults[0].retry_after == 1500ms);
        CHECK(script.text().find("retry-after=1500ms") != std::string::npos);
        CHECK(fault_script::parse(script.text()).faults == script.faults);
        CHECK(fault_script::parse(script.json()).faults == script.faults);
    }
    CHECK(fault_script::parse("reset").text().find("retry-after") == std::string::npos);
}
