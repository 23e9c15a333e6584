#include "emulator/fixture.hpp"
#include "support/mib.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace support;

TEST_CASE("BidiReadObject: each kind of range is served with the bytes that it denotes") {
    fixture f;
    const std::string content = pattern(100'000);
    f.files.write("b/o", content);
    const std::int64_t size = static_cast<std::int64_t>(content.size());
    struct row {
        const char* what;
        std::int64_t offset;
        std::int64_t length;
        std::int64_t begin;
        std::int64_t end;
    };
    constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t min = std::numeric_limits<std::int64_t>::min();
    const std::vector<row> rows{
        {"a piece", 10, 20, 10, 30},
        {"one byte", size - 1, 1, size - 1, size},
        {"length zero is to the end", 99'000, 0, 99'000, size},
        {"the whole object", 0, 0, 0, size},
        {"past the end is cut", 99'990, 100, 99'990, size},
        {"far past the end is cut", 1, max, 1, size},
        {"at the end is empty", size, 0, size, size},
        {"at the end, with a length, is empty", size, 5, size, size},
        {"a tail", -100, 0, size - 100, size},
        {"a piece of a tail", -100, 30, size - 100, size - 70},
        {"a tail longer than the object is all of it", -size - 5, 0, 0, size},
        {"the longest tail there is", min, 0, 0, size},
    };
    for (const row& r : rows) {
        CAPTURE(r.what);
        const auto [got, outcome] = read_ranges(f, bidi_request("o", {{r.offset, r.length, 7}}));
        CHECK(outcome.code == code::ok);
        REQUIRE(got.ended.size() == 1);
        CHECK(got.ended.at(7));
        CHECK(got.first_offset.at(7) == r.begin);
        CHECK(
            got.bytes.at(7) ==
            content.substr(static_cast<std::size_t>(r.begin), static_cast<std::size_t>(r.end - r.begin))
        );
        // The metadata rides with the data: one response, no extra round.
        CHECK(got.responses.size() == 1);
    }
}

TEST_CASE("BidiReadObject: several ranges are served in turn, in chunks of at most 2 MiB") {
    fixture f;
    const std::string content = pattern(5 * mib + 17);
    f.files.write("b/o", content);
    const auto [got, outcome] =
        read_ranges(f, bidi_request("o", {{0, 0, 0}, {mib, 3 * mib, 1LL << 40}, {5, 10, -3}}));
    CHECK(outcome.code == code::ok);
    CHECK(got.order == std::vector<std::int64_t>{0, 1LL << 40, -3, 0, 1LL << 40, 0});
    CHECK(got.bytes.at(0) == content);
    CHECK(got.bytes.at(1LL << 40) == content.substr(mib, 3 * mib));
    CHECK(got.bytes.at(-3) == content.substr(5, 10));
}
