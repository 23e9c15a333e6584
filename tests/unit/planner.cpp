#include "bytes/planner.hpp"

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using rangeio::byte_range;
using rangeio::errc;
using rangeio::bytes::plan_reads;
using rangeio::bytes::planner_options;
using rangeio::bytes::read_plan;
using ranges = std::vector<byte_range>;

namespace {

planner_options options(
    std::optional<std::uint64_t> gap, std::uint64_t cap = 1000, std::uint64_t unit = 1000
) {
    planner_options made;
    made.max_gap = gap;
    made.max_merged_bytes = cap;
    made.unit_bytes = unit;
    return made;
}

ranges reads_of(const read_plan& plan) {
    ranges made;
    for (const auto& read : plan.reads) made.push_back(read.range);
    return made;
}

unsigned char object_byte(std::uint64_t at) {
    return static_cast<unsigned char>(at * 31 + (at >> 8) * 7 + 1);
}

// Performs the plan on an object of which byte `at` is `object_byte(at)`, and checks what each caller gets,
// and that no byte of a destination is written twice.
void check_plan(const ranges& asked, const planner_options& how) {
    const auto plan = plan_reads(asked, how);
    std::vector<std::vector<int>> destinations;
    for (const auto& range : asked) destinations.emplace_back(range.length(), -1);
    std::size_t next_piece = 0;
    for (const auto& read : plan.reads) {
        REQUIRE(read.range.length() >= 1);
        REQUIRE(read.range.length() <= how.unit_bytes);
        REQUIRE(read.piece_count >= 1);
        REQUIRE(read.first_piece == next_piece);
        next_piece += read.piece_count;
        for (const auto& piece : plan.pieces_of(read)) {
            REQUIRE(piece.length >= 1);
            REQUIRE(piece.read_offset + piece.length <= read.range.length());
            for (std::uint64_t i = 0; i < piece.length; ++i) {
                int& byte = destinations.at(piece.index).at(piece.destination_offset + i);
                REQUIRE(byte == -1);
                byte = object_byte(read.range.offset() + piece.read_offset + i);
            }
        }
        const auto pieces = plan.pieces_of(read);
        const bool whole =
            pieces.size() == 1 && pieces[0].read_offset == 0 && pieces[0].length == read.range.length();
        REQUIRE((plan.sole_piece(read) != nullptr) == whole);
    }
    REQUIRE(next_piece == plan.pieces.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
        for (std::uint64_t k = 0; k < asked[i].length(); ++k) {
            REQUIRE(destinations[i][k] == object_byte(asked[i].offset() + k));
        }
    }
    if (!how.max_gap) return;

    std::uint64_t read_to = 0;
    for (const auto& read : plan.reads) {
        REQUIRE(read.range.offset() >= read_to);
        read_to = read.range.end();
    }
    // A byte that nobody wants is read only in a gap between wanted ones that is small enough.
    const auto wanted = [&](std::uint64_t at) {
        return std::ranges::any_of(asked, [&](const auto& range) { return range.contains(at); });
    };
    for (const auto& read : plan.reads) {
        for (auto at = read.range.offset(); at < read.range.end(); ++at) {
            if (wanted(at)) continue;
            auto begin = at;
            auto end = at;
            while (begin > 0 && !wanted(begin - 1)) --begin;
            while (end - begin <= *how.max_gap && !wanted(end)) ++end;
            REQUIRE(end - begin <= *how.max_gap);
        }
    }
}

}  // namespace

TEST_CASE("planner: with coalescing off each range is its own read, in the callers' order") {
    const auto plan = plan_reads(ranges{{50, 10}, {0, 10}, {7, 0}, {50, 10}, {5, 10}}, options(std::nullopt));
    CHECK(reads_of(plan) == ranges{{50, 10}, {0, 10}, {50, 10}, {5, 10}});
    for (const auto& read : plan.reads) CHECK(plan.sole_piece(read) != nullptr);
}

TEST_CASE("planner: ranges within the gap become one read, others do not") {
    const ranges asked{{20, 10}, {0, 10}, {41, 9}};
    CHECK(reads_of(plan_reads(asked, options(10))) == ranges{{0, 30}, {41, 9}});
    CHECK(reads_of(plan_reads(asked, options(11))) == ranges{{0, 50}});
    CHECK(reads_of(plan_reads(asked, options(9))) == ranges{{0, 10}, {20, 10}, {41, 9}});
}

TEST_CASE("planner: a gap of 0 merges what touches or overlaps, and a repeated range is read once") {
    const auto plan = plan_reads(ranges{{10, 10}, {0, 10}, {0, 10}, {15, 10}, {26, 1}}, options(0));
    CHECK(reads_of(plan) == ranges{{0, 25}, {26, 1}});
    CHECK(plan.sole_piece(plan.reads[0]) == nullptr);
    const auto* sole = plan.sole_piece(plan.reads[1]);
    REQUIRE(sole != nullptr);
    CHECK(sole->index == 4);
}

TEST_CASE("planner: merging stops at the cap, and then no byte is read twice") {
    CHECK(
        reads_of(plan_reads(ranges{{0, 10}, {10, 10}, {20, 10}}, options(0, 20))) == ranges{{0, 20}, {20, 10}}
    );
    const auto plan = plan_reads(ranges{{0, 15}, {5, 20}}, options(0, 20));
    CHECK(reads_of(plan) == ranges{{0, 15}, {15, 10}});
    CHECK(plan.pieces_of(plan.reads[0]).size() == 2);
    CHECK(plan.sole_piece(plan.reads[1]) != nullptr);
}

TEST_CASE("planner: one range longer than the cap stays whole, and what it contains joins it") {
    CHECK(reads_of(plan_reads(ranges{{0, 100}, {40, 10}}, options(0, 20))) == ranges{{0, 100}});
}

TEST_CASE("planner: reads are split to the unit, and a part that is all gap is not read") {
    CHECK(
        reads_of(plan_reads(ranges{{3, 25}}, options(std::nullopt, 1000, 10))) ==
        ranges{{3, 10}, {13, 10}, {23, 5}}
    );
    CHECK(reads_of(plan_reads(ranges{{0, 5}, {38, 2}}, options(40, 1000, 10))) == ranges{{0, 10}, {30, 10}});
}

TEST_CASE("planner: nothing to read gives no read") {
    CHECK(plan_reads({}, options(0)).reads.empty());
    CHECK(plan_reads(ranges{{5, 0}, {9, 0}}, options(0)).reads.empty());
    CHECK(plan_reads(ranges{{5, 0}}, options(std::nullopt)).reads.empty());
}

TEST_CASE("planner: ranges at the 64-bit limit do not overflow") {
    constexpr auto max = byte_range::max_end;
    const ranges asked{{max - 10, 10}, {0, 1}};
    CHECK(reads_of(plan_reads(asked, options(5))) == ranges{{0, 1}, {max - 10, 10}});
    CHECK(plan_reads(asked, options(~std::uint64_t(0), ~std::uint64_t(0), max)).reads.size() == 1);
}

TEST_CASE("planner: an option of zero is an error that says the numbers") {
    CHECK(message_of(errc::invalid_argument, [] {
              (void)plan_reads({}, options(0, 7, 0));
          }) == "planning reads: unit_bytes 0 and max_merged_bytes 7 must be at least 1");
    CHECK(message_of(errc::invalid_argument, [] {
              (void)plan_reads({}, options(0, 0, 7));
          }) == "planning reads: unit_bytes 7 and max_merged_bytes 0 must be at least 1");
    CHECK_NOTHROW((void)plan_reads({}, options(std::nullopt, 0, 7)));
}

TEST_CASE("planner: whatever the ranges and options, each caller gets its own bytes") {
    std::mt19937_64 random(9);
    for (int round = 0; round < 3000; ++round) {
        const auto span = random() % 300 + 1;
        ranges asked(random() % 12);
        for (auto& range : asked) {
            range = byte_range(random() % span, random() % 5 == 0 ? 0 : random() % (span / 4 + 2));
            if (random() % 6 == 0) range = asked[random() % asked.size()];
        }
        auto how = options(random() % 20, random() % 80 + 1, random() % 40 + 1);
        if (random() % 4 == 0) how.max_gap.reset();
        check_plan(asked, how);
    }
}
