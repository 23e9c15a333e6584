#include "bench_patterns.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace rangeio::tool {
namespace {

// The numbers of the blocks of 10 bytes that a pass reads.
std::vector<std::uint64_t> blocks_read(std::string_view pattern, std::uint64_t blocks) {
    const read_trace pass = pattern_pass(pattern, 10, blocks);
    CHECK(pass.object_bytes() == 10 * blocks);
    std::vector<std::uint64_t> out;
    trace_cursor reads(pass);
    while (const auto next = reads.next()) {
        CHECK(next->range.length() == 10);
        CHECK(next->range.offset() % 10 == 0);
        out.push_back(next->range.offset() / 10);
    }
    return out;
}

using numbers = std::vector<std::uint64_t>;

TEST_SUITE_BEGIN("bench patterns");

TEST_CASE("bench patterns: seq reads one block after the other") {
    CHECK((blocks_read("seq", 5) == numbers{0, 1, 2, 3, 4}));
}

TEST_CASE("bench patterns: strided reads every 16th block") {
    CHECK((blocks_read("strided", 48) == numbers{0, 16, 32}));
    CHECK((blocks_read("strided", 49) == numbers{0, 16, 32, 48}));
}

TEST_CASE("bench patterns: interleaved reads a block of each quarter in turn") {
    CHECK((blocks_read("interleaved", 12) == numbers{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
    // What four does not divide is not read.
    CHECK((blocks_read("interleaved", 11) == numbers{0, 2, 4, 6, 1, 3, 5, 7}));
    CHECK((blocks_read("interleaved", 3) == numbers{0, 1, 2}));
}

TEST_CASE("bench patterns: zigzag reads 16 blocks and goes back by 8") {
    numbers expected;
    for (const std::uint64_t first : {0U, 8U, 16U}) {
        for (std::uint64_t i = 0; i < 16; ++i) expected.push_back(first + i);
    }
    CHECK((blocks_read("zigzag", 32) == expected));
    CHECK((blocks_read("zigzag", 39) == expected));
    CHECK((blocks_read("zigzag", 3) == numbers{0, 1, 2}));
}

TEST_CASE("bench patterns: parquet reads the last block, then three column chunks of each row group") {
    numbers expected{50};
    for (const std::uint64_t group : {0U, 24U}) {
        for (const std::uint64_t chunk : {2U, 8U, 18U}) {
            expected.insert(expected.end(), {group + chunk, group + chunk + 1});
        }
    }
    CHECK((blocks_read("parquet", 51) == expected));
    // Neither has a second row group.
    CHECK(blocks_read("parquet", 48).size() == 7);
    CHECK((blocks_read("parquet", 24) == numbers{23}));
}

TEST_CASE("bench patterns: each reads the only block of a small object") {
    for (const std::string_view name : regular_patterns()) {
        CAPTURE(name);
        CHECK((blocks_read(name, 1) == numbers{0}));
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
