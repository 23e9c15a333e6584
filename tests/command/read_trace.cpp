#include "common/read_trace.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

std::vector<byte_range> reads_of(const read_trace& trace) {
    std::vector<byte_range> out;
    trace_cursor reads(trace);
    while (const auto next = reads.next()) out.push_back(next->range);
    return out;
}

std::string complaint(const std::string& text) {
    try {
        read_trace::parse(text, "file");
    } catch (const std::invalid_argument& wrong) {
        return wrong.what();
    }
    return {};
}

TEST_SUITE_BEGIN("read_trace");

TEST_CASE("read_trace: reads, runs and loops are enumerated in order") {
    const read_trace trace = read_trace::parse(
        "# a comment\n"
        "object 1KiB  # another\n"
        "\n"
        "\tread 1000 24\r\n"
        "run 8 4 count=3\n"
        "run 20 2 count=3 step=-10\n"
        "loop count=2 step=100\n"
        "  read 0 1\n"
        "  run 50 5 count=2 step=7\n"
        "end\n"
        "loop count=2\n"
        "read 3B 1\n"
        "end\n"
        "loop count=3 step=-50\n"
        "read 100 1\n"
        "end\n"
        "read 5 6",
        "file"
    );
    const std::vector<byte_range> expected{
        {1000, 24}, {8, 4},   {12, 4},  {16, 4}, {20, 2}, {10, 2},  {0, 2},  {0, 1}, {50, 5}, {57, 5},
        {100, 1},   {150, 5}, {157, 5}, {3, 1},  {3, 1},  {100, 1}, {50, 1}, {0, 1}, {5, 6},
    };
    CHECK((reads_of(trace) == expected));
    CHECK(trace.object_bytes() == 1024);
    CHECK(trace.reads() == expected.size());
    CHECK(trace.bytes() == 24 + 3 * 4 + 3 * 2 + 2 * (1 + 5 + 5) + 2 + 3 + 6);
    CHECK(trace.longest() == 24);
}

TEST_CASE("read_trace: think time belongs to each read of its line") {
    const read_trace trace = read_trace::parse(
        "object 100\nread 0 1\nread 1 1 think=2s\nrun 0 1 count=2 step=3 think=7ms\nrun 0 1 count=2", "file"
    );
    std::vector<std::chrono::milliseconds> thoughts;
    trace_cursor reads(trace);
    while (const auto next = reads.next()) thoughts.push_back(next->think);
    CHECK((thoughts == std::vector<std::chrono::milliseconds>{0ms, 2s, 7ms, 7ms, 0ms, 0ms}));
}

TEST_CASE("read_trace: a read may end where the object ends, and a loop may begin where it begins") {
    for (const char* text :
         {"object 10\nread 0 10",
          "object 10\nrun 0 2 count=5",
          "object 10\nrun 8 2 count=5 step=-2",
          "object 10\nloop count=3 step=-4\nread 8 2\nend",
          "object 10\nloop count=5 step=-2\nrun 0 2 count=2 step=8\nend",
          "object 9223372036854775807\nread 9223372036854775806 1",
          "object 9223372036854775807\nrun 0 1 count=2 step=9223372036854775806",
          "object 1\nloop count=10000000\nread 0 1\nend",
          "object 1\nloop count=10\nread 0 1\nend\nrun 0 1 count=9999990 step=0",
          "object 1\nloop count=5000\nrun 0 1 count=2000 step=0\nend"}) {
        CAPTURE(text);
        const std::string wrong = complaint(text);
        // In the fifth, the last pass begins before the object.
        CHECK(wrong.empty() == (std::string(text).find("run 0 2 count=2 step=8") == std::string::npos));
    }
}

TEST_CASE("read_trace: wrong text is an error with file, line and cause") {
    struct wrong_text {
        const char* text;
        const char* what;
    };
    for (const auto& [text, what] : std::vector<wrong_text>{
             {"", "file:0: the trace has no read"},
             {"# nothing\n\n", "file:2: the trace has no read"},
             {"object 5", "file:1: the trace has no read"},
             {"read 0 1", "file:1: 'object SIZE' has to precede everything else"},
             {"object 5\nobject 5", "file:2: object: there is one already"},
             {"object", "file:1: object: it is missing"},
             {"object 5 6", "file:1: object: '6' is unknown or out of place"},
             {"object 5MB", "file:1: object: '5MB' is not a size"},
             {"object 9223372036854775808", "file:1: object: '9223372036854775808' is not a size"},
             {"object 5\nfetch 0 1", "file:2: 'fetch' is not one of object, read, run, loop and end"},
             {"object 5\n\nread", "file:3: offset: it is missing"},
             {"object 5\nread 0", "file:2: length: it is missing"},
             {"object 5\nread -1 1", "file:2: offset: '-1' is not a size"},
             {"object 5\nread 0 0", "file:2: length: 0 is not in 1..4294967296"},
             {"object 5TiB\nread 0 4294967297", "file:2: length: 4294967297 is not in 1..4294967296"},
             {"object 5\nread 0 x", "file:2: length: 'x' is not a size"},
             {"object 5\nread 0 1 count=2", "file:2: read: 'count=2' is unknown or out of place"},
             {"object 5\nread 0 1 think=5", "file:2: think: '5' is not a time with ms, s, m or h"},
             {"object 5\nread 0 1 think", "file:2: think: '' is not a time"},
             {"object 5\nread 0 1 think=-1ms", "file:2: think: '-1ms' is not a time"},
             {"object 5\nrun 0 1", "file:2: count: it is missing (count=N)"},
             {"object 5\nrun 0 1 count=0", "file:2: count: '0' is not in 1..10000000"},
             {"object 5\nrun 0 1 count=10000001", "file:2: count: '10000001' is not in 1..10000000"},
             {"object 5\nrun 0 1 count=1 count=1", "file:2: run: 'count=1' is unknown or out of place"},
             {"object 5\nrun 0 1 count=2 step=--1", "file:2: step: '-1' is not a size"},
             {"object 5\nrun 0 1 count=2 step=", "file:2: step: '' is not a size"},
             {"object 5\nread 5 1", "file:2: a read ends past the object's end (5)"},
             {"object 5\nread 6 1", "file:2: a read ends past the object's end (5)"},
             {"object 5\nread 9223372036854775807 4294967296", "file:2: a read ends past the object's end (5)"
             },
             {"object 5\nrun 0 2 count=3", "file:2: a read ends past the object's end (5)"},
             {"object 5\nrun 2 1 count=4 step=-1", "file:2: a read begins 1 bytes before the object"},
             {"object 5\nrun 0 1 count=3 step=9223372036854775807", "file:2: step: the reads leave the object"
             },
             {"object 5\nrun 0 1 count=3 step=-9223372036854775807",
              "file:2: step: the reads leave the object"},
             {"object 5\nloop count=2 step=9223372036854775807\nrun 0 1 count=2 "
              "step=9223372036854775807\nend",
              "file:3: a read ends past the object's end (5)"},
             {"object 5\nloop count=2 step=-9223372036854775807\nrun 0 1 count=2 "
              "step=-9223372036854775807\nend",
              "file:3: a read begins 18446744073709551614 bytes before the object"},
             {"object 5\nloop count=3 step=2\nread 0 1\nread 1 1\nend",
              "file:4: a read ends past the object's end (5)"},
             {"object 5\nloop step=1\nend", "file:2: count: it is missing (count=N)"},
             {"object 5\nloop count=2 think=1s\nend", "file:2: loop: 'think=1s' is unknown or out of place"},
             {"object 5\nloop count=2\nend", "file:3: end: the loop has no read"},
             {"object 5\nread 0 1\nloop count=2\nend", "file:4: end: the loop has no read"},
             {"object 5\nloop count=2\nloop count=2", "file:3: loop: it is inside of another loop"},
             {"object 5\nloop count=2\nread 0 1\n", "file:3: loop: it has no 'end'"},
             {"object 5\nread 0 1\nend", "file:3: end: there is no loop"},
             {"object 5\nread 0 1\nrun 0 1 count=10000000 step=0",
              "file:3: count: too many reads in all (limit 10000000)"},
             {"object 5\nloop count=10000000\nread 0 1\nread 0 1\nend",
              "file:4: count: too many reads in all (limit 10000000)"},
             {"object 5\nloop count=5000\nrun 0 1 count=2001 step=0\nend",
              "file:3: count: too many reads in all (limit 10000000)"},
         }) {
        CAPTURE(text);
        const std::string got = complaint(text);
        CAPTURE(got);
        CHECK(got.starts_with(what));
    }
}

TEST_CASE("read_trace: a message shows the beginning of a long word only") {
    CHECK(complaint("object 5\nread 0 1 " + std::string(1'000'000, 'x')).size() < 100);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
