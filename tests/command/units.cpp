#include "common/units.hpp"

#include <doctest/doctest.h>

#include <cstdint>

namespace rangeio::tool {
namespace {

using namespace std::chrono_literals;

TEST_SUITE_BEGIN("units");

TEST_CASE("units: sizes are parsed, and printed in a form that is parsed again") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("17") == 17);
    CHECK(parse_size("17B") == 17);
    CHECK(parse_size("64KiB") == 65536);
    CHECK(parse_size("8388607TiB") == std::uint64_t{8388607} << 40);
    for (const char* wrong : {"", "KiB", "-1", "+1", "1.5MiB", "1 MiB", "1mib", "1MB", "8388608TiB"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_size(wrong));
    }
    for (const char* text : {"0", "17", "64KiB", "1025KiB", "4GiB", "3TiB"}) {
        CHECK(size_option_text(parse_size(text).value()) == text);
    }
}

TEST_CASE("units: times are parsed, and printed in a form that is parsed again") {
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("24h") == 24h);
    for (const char* wrong : {"", "5", "s", "-1s", "1.5s", "1 s", "1d", "1us", "9223372036854775807h"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_duration(wrong));
    }
    for (const char* text : {"0", "500ms", "90s", "2m", "24h"}) {
        CHECK(duration_option_text(parse_duration(text).value()) == text);
    }
}

TEST_CASE("units: values printed for people have few digits") {
    CHECK(size_text(0) == "0 B");
    CHECK(size_text(1023) == "1023 B");
    CHECK(size_text(1024) == "1 KiB");
    CHECK(size_text(1536) == "1.50 KiB");
    CHECK(size_text(100.0 * (1 << 20) + 1) == "100.0 MiB");
    CHECK(latency_text(1234ns) == "1.23 us");
    CHECK(latency_text(45600us) == "45.6 ms");
    CHECK(latency_text(123s) == "123 s");
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
