#include "bytes/planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using rangeio::byte_range;
using rangeio::bytes::planner_options;
using rangeio::bytes::read_planner;
using ranges = std::vector<byte_range>;

namespace {

planner_options options(std::uint64_t gap, std::uint64_t cap = 1000, std::uint64_t unit = 1000) {
    planner_options made;
    made.max_gap = gap;
    made.max_merged_bytes = cap;
    made.unit_bytes = unit;
    return made;
}

ranges plan(ranges asked, const planner_options& how) {
    std::ranges::stable_sort(asked, {}, &byte_range::offset);
    read_planner planner(how);
    for (const byte_range& range : asked) planner.add(range);
    return planner.take();
}

void check_plan(const ranges& asked, const planner_options& how) {
    const auto reads = plan(asked, how);
    const auto wanted = [&](std::uint64_t at) {
        return std::ranges::any_of(asked, [&](const auto& range) { return range.contains(at); });
    };
    std::uint64_t read_to = 0;
    for (const byte_range& read : reads) {
        REQUIRE(read.length() >= 1);
        REQUIRE(read.length() <= how.unit_bytes);
        REQUIRE(read.offset() >= read_to);
        read_to = read.end();
        bool any = false;
        for (auto at = read.offset(); at < read.end(); ++at) {
            if (wanted(at)) {
                any = true;
                continue;
            }
            // An unwanted byte is read only in a gap between wanted ones that is small enough.
            auto begin = at;
            auto end = at;
            while (begin > 0 && !wanted(begin - 1)) --begin;
            while (end - begin <= how.max_gap && !wanted(end)) ++end;
            REQUIRE(end - begin <= how.max_gap);
        }
        REQUIRE(any);
    }
    for (const byte_range& range : asked) {
        for (auto at = range.offset(); at < range.end(); ++at) {
            REQUIRE(std::ranges::any_of(reads, [&](const auto& read) { return read.contains(at); }));
        }
    }
}

}  // namespace

TEST_CASE("planner: ranges within the gap become one read, others do not") {
    const ranges asked{{20, 10}, {0, 10}, {41, 9}};
    CHECK(plan(asked, options(10)) == ranges{{0, 30}, {41, 9}});
    CHECK(plan(asked, options(11)) == ranges{{0, 50}});
    CHECK(plan(asked, options(9)) == ranges{{0, 10}, {20, 10}, {41, 9}});
}

TEST_CASE("planner: a gap of 0 merges adjacent and overlapping ranges, and a repeated range is read once") {
    const ranges asked{{10, 10}, {0, 10}, {0, 10}, {15, 10}, {26, 1}};
    CHECK(plan(asked, options(0)) == ranges{{0, 25}, {26, 1}});
}

TEST_CASE("planner: merging stops at the cap, and no byte is read twice") {
    CHECK(plan(ranges{{0, 10}, {10, 10}, {20, 10}}, options(0, 20)) == ranges{{0, 20}, {20, 10}});
    CHECK(plan(ranges{{0, 15}, {5, 20}}, options(0, 20)) == ranges{{0, 15}, {15, 10}});
}

TEST_CASE("planner: a range longer than the cap stays whole, and ranges inside of it join it") {
    CHECK(plan(ranges{{0, 100}, {40, 10}}, options(0, 20)) == ranges{{0, 100}});
}

TEST_CASE("planner: reads are split at the unit, and a part without wanted bytes is not read") {
    CHECK(plan(ranges{{3, 25}}, options(0, 1000, 10)) == ranges{{3, 10}, {13, 10}, {23, 5}});
    CHECK(plan(ranges{{0, 5}, {38, 2}}, options(40, 1000, 10)) == ranges{{0, 10}, {30, 10}});
    CHECK(plan(ranges{{0, 5}, {7, 10}}, options(2, 1000, 10)) == ranges{{0, 10}, {10, 7}});
}

TEST_CASE("planner: empty ranges give no read") {
    CHECK(plan({}, options(0)).empty());
    CHECK(plan(ranges{{5, 0}, {9, 0}}, options(0)).empty());
}

TEST_CASE("planner: ranges at the 64-bit limit do not overflow") {
    constexpr auto max = byte_range::max_end;
    const ranges asked{{max - 10, 10}, {0, 1}};
    CHECK(plan(asked, options(5)) == ranges{{0, 1}, {max - 10, 10}});
    CHECK(plan(asked, options(~std::uint64_t(0), ~std::uint64_t(0), max)).size() == 1);
    CHECK(plan(ranges{{max - 10, 5}, {max - 5, 5}}, options(5, 1000, ~std::uint64_t(0))).size() == 1);
}

TEST_CASE("planner: for any ranges and options, each wanted byte is read once, and no part is only a gap") {
    std::mt19937_64 random(9);
    for (int round = 0; round < 3000; ++round) {
        const auto span = random() % 300 + 1;
        ranges asked(random() % 12);
        for (auto& range : asked) {
            range = byte_range(random() % span, random() % 5 == 0 ? 0 : random() % (span / 4 + 2));
            if (random() % 6 == 0) range = asked[random() % asked.size()];
        }
        check_plan(asked, options(random() % 20, random() % 80 + 1, random() % 40 + 1));
    }
}
