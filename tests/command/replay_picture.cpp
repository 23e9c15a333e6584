#include "replay_picture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t object_bytes = 1000;
// The frame of the offsets: x is 86 at the beginning and 976 at the end, y 410 at offset 0 and 84 at the end.
constexpr const char* read_color = "#1f4e79";
constexpr const char* ahead_color = "#a8cdee";
constexpr const char* stall_color = "#d1342f";

// The data of the paths with this color, in their order.
std::vector<std::string> paths(const std::string& svg, const std::string& color) {
    std::vector<std::string> out;
    const std::string before = "<path fill=\"" + color + "\"";
    for (std::size_t at = svg.find(before); at != std::string::npos; at = svg.find(before, at + 1)) {
        const std::size_t begin = svg.find(" d=\"", at) + 4;
        out.push_back(svg.substr(begin, svg.find('"', begin) - begin));
    }
    return out;
}

std::string drawn(const std::vector<replayed_read>& reads) {
    trace_result result;
    result.object = "gs://b/o";
    result.trace = "t";
    return replay_picture(result, object_bytes, reads);
}

TEST_SUITE_BEGIN("replay picture");

TEST_CASE("replay picture: a read is a bar from its request to its end, over its bytes") {
    const std::vector<replayed_read> reads{
        {.range = {0, 500}, .asked = 0s, .done = 1s},
        {.range = {500, 500}, .asked = 1s, .done = 2s},
    };
    CHECK(
        (paths(drawn(reads), read_color) ==
         std::vector<std::string>{"M86.0 410.0H531.0V247.0H86.0zM531.0 247.0H976.0V84.0H531.0z"})
    );
}

TEST_CASE("replay picture: neighbors that are too close become one bar, and no bar is too small to be seen") {
    std::vector<replayed_read> reads;
    for (std::uint64_t i = 0; i < 100; ++i) {
        reads.push_back({.range = {i, 1}, .asked = i * 1us, .done = i * 1us});
    }
    // Elsewhere at the same time, and much later.
    reads.push_back({.range = {900, 1}, .asked = 100us, .done = 100us});
    reads.push_back({.range = {100, 1}, .asked = 1s, .done = 1s});
    const auto bars = paths(drawn(reads), read_color);
    REQUIRE(bars.size() == 1);
    CHECK(std::ranges::count(bars.front(), 'M') == 3);
    CHECK(bars.front().starts_with("M86.0 410.0H88.0V377.4H86.0z"));
}

TEST_CASE("replay picture: what is ahead of a read is drawn above it until the next one, within the object") {
    const std::vector<replayed_read> reads{
        {.range = {0, 500}, .asked = 0s, .done = 1s, .memory_bytes = 250, .prefetched = true},
        {.range = {500, 250}, .asked = 1s, .done = 2s, .memory_bytes = 500, .prefetched = true},
        // Something is in memory that has nothing to do with this read.
        {.range = {0, 500}, .asked = 3s, .done = 4s, .memory_bytes = 500, .prefetched = false},
    };
    const auto ahead = paths(drawn(reads), ahead_color);
    REQUIRE(ahead.size() == 2);
    CHECK(ahead[0] == "M308.5 247.0H531.0V165.5H308.5zM531.0 165.5H976.0V84.0H531.0z");
    // The memory, at its own scale.
    CHECK(
        ahead[1] ==
        "M308.5 560.0H531.0V530.0H308.5zM531.0 560.0H976.0V500.0H531.0zM976.0 560.0H976.5V500.0H976.0z"
    );
}

TEST_CASE("replay picture: only reads that waited are stalls, as high as their wait is long") {
    const std::vector<replayed_read> reads{
        {.range = {0, 10}, .asked = 0s, .done = 1s, .stalled = true},
        {.range = {10, 10}, .asked = 1s, .done = 2s},
        {.range = {20, 10}, .asked = 2s, .done = 4s, .stalled = true},
    };
    const std::string svg = drawn(reads);
    CHECK(
        (paths(svg, stall_color) ==
         std::vector<std::string>{"M86.0 480.0H308.5V455.0H86.0zM531.0 480.0H976.0V430.0H531.0z"})
    );
    CHECK(svg.find(">2.00 s<") != std::string::npos);
}

TEST_CASE("replay picture: names are escaped, and the numbers of the replay are there") {
    trace_result result;
    result.object = "gs://b/<&\">";
    result.trace = "a\x1b";
    result.bytes = 3 << 20;
    result.seconds = 1.5;
    const std::vector<replayed_read> reads{{.range = {0, 1}, .asked = 0s, .done = 1500ms}};
    const std::string off = replay_picture(result, object_bytes, reads);
    CHECK(off.find("<title>gs://b/&lt;&amp;&quot;&gt;: a\\x1b</title>") != std::string::npos);
    CHECK(off.find(">2 MiB/s, nothing read ahead<") != std::string::npos);
    result.prefetch.emplace();
    result.prefetch->how = "linear";
    result.prefetch->counts.stalls = 4;
    result.prefetch->counts.stall_time = 12ms;
    result.prefetch->counts.prefetched_bytes = 2048;
    result.prefetch->counts.wasted_bytes = 1024;
    const std::string on = replay_picture(result, object_bytes, reads);
    for (const char* text : {">2 MiB/s ", "linear: 4 stalls (12.0 ms)", "prefetched 2 KiB, wasted 1 KiB"}) {
        CAPTURE(text);
        CHECK(on.find(text) != std::string::npos);
    }
}

TEST_CASE("replay picture: the axes have round numbers, whatever the times and sizes") {
    const auto has = [](const std::string& svg, std::string_view text) {
        return svg.find('>' + std::string(text) + '<') != std::string::npos;
    };
    trace_result result;
    const std::vector<replayed_read> one{{.range = {0, 1}, .asked = 0s, .done = 30ms}};
    const std::string small = replay_picture(result, 1000, one);
    CHECK(has(small, "15 ms"));
    CHECK(has(small, "896 B"));
    const std::vector<replayed_read> two{{.range = {0, 1}, .asked = 0s, .done = 90s}};
    const std::string large = replay_picture(result, std::uint64_t{1} << 40, two);
    CHECK(has(large, "80 s"));
    CHECK(has(large, "512 GiB"));
    CHECK(has(large, "1 TiB"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
