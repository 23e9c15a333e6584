#include "engine/scatter.hpp"

#include "support/mib.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

using rangeio::byte_range;
using rangeio::range_request;
using rangeio::engine::scatter;
using support::mib;

namespace {

using requests = std::vector<range_request>;
using share = std::tuple<std::byte*, std::uint64_t, std::uint64_t>;

constexpr auto ignore = [](std::byte*, std::uint64_t, std::uint64_t) {};

void add(requests& to, std::uint64_t offset, std::uint64_t length, std::byte* memory) {
    to.emplace_back(byte_range(offset, length), std::span(memory, length));
}

/// For tests that only count: the ranges share their memory.
void add(requests& to, std::uint64_t offset, std::uint64_t length) {
    static std::vector<std::byte> memory(8 * mib);
    add(to, offset, length, memory.data());
}

std::vector<share> found(const scatter& in, std::uint64_t begin, std::uint64_t end) {
    std::vector<share> out;
    in.for_each_shared(begin, end, [&](std::byte* memory, std::uint64_t from, std::uint64_t to) {
        out.emplace_back(memory, from, to);
    });
    return out;
}

std::vector<share> expected(const requests& in, std::uint64_t begin, std::uint64_t end) {
    std::vector<share> out;
    for (const range_request& r : in) {
        const std::uint64_t from = std::max(begin, r.range.offset());
        const std::uint64_t to = std::min(end, r.range.end());
        if (from < to) out.emplace_back(r.destination.data() + (from - r.range.offset()), from, to);
    }
    return out;
}

std::size_t looks_in(const scatter& in, std::uint64_t size, std::uint64_t slice) {
    std::size_t looks = 0;
    for (std::uint64_t at = 0; at < size; at += slice) looks += in.for_each_shared(at, at + slice, ignore);
    return looks;
}

// On the way down to the first range of a slice, and to the last: blocks of 20 levels, and the ranges in them.
constexpr std::size_t detour = 2 * 20 * (1 + scatter::block);

}  // namespace

TEST_CASE(
    "scatter: the parts of a slice are found for ranges that touch, nest, overlap, repeat and leave gaps"
) {
    std::minstd_rand random(7);
    std::vector<std::byte> memory(2000);
    for (int round = 0; round < 300; ++round) {
        requests asked;
        const std::size_t count = random() % 40;
        for (std::size_t i = 0; i < count; ++i) {
            add(asked,
                random() % 100,
                random() % (random() % 5 == 0 ? 200 : 9),
                memory.data() + random() % 1000);
        }
        std::ranges::stable_sort(asked, {}, [](const range_request& r) { return r.range.offset(); });
        const scatter in(asked);
        for (std::uint64_t begin = 0; begin < 120; ++begin) {
            const std::uint64_t end = begin + 1 + random() % 30;
            CHECK(found(in, begin, end) == expected(asked, begin, end));
        }
    }
}

TEST_CASE("scatter: a slice takes about one step for each range that shares bytes with it") {
    const std::uint64_t size = 8 * mib;
    const std::uint64_t slice = 8192;
    requests asked;
    for (std::uint64_t at = 0; at < size; at += 16) add(asked, at, 8);
    const std::size_t shares =
        asked.size() * (scatter::block + 1) / scatter::block;  // and the blocks themselves
    CHECK(looks_in(scatter(std::move(asked)), size, slice) <= shares + size / slice * detour);
}

TEST_CASE("scatter: long ranges over short ones do not make a slice visit distant ranges") {
    const std::uint64_t size = 8 * mib;
    const std::uint64_t slice = 8192;
    requests asked;
    add(asked, 0, size);
    add(asked, 0, size);
    for (std::uint64_t at = 0; at < size; at += 16) add(asked, at, 8);
    const std::size_t shares = asked.size() * (scatter::block + 1) / scatter::block;
    CHECK(looks_in(scatter(std::move(asked)), size, slice) <= shares + size / slice * detour);
}

TEST_CASE("scatter: a byte among ranges of 4 KiB is found without a visit of all of them") {
    requests asked;
    for (std::uint64_t at = 0; at < 512 * mib; at += 4096) add(asked, at, 4096);
    const scatter in(std::move(asked));
    std::size_t count = 0;
    const auto looks = in.for_each_shared(
        300 * mib + 5, 300 * mib + 6, [&](std::byte*, std::uint64_t, std::uint64_t) { ++count; }
    );
    CHECK(count == 1);
    CHECK(looks <= detour);
}

TEST_CASE("scatter: memory for a reader in place belongs to one range, up to the next byte of another") {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::byte> memory(4000);
        requests asked;
        for (int i = 0; i < 12; ++i) add(asked, random() % 2000, 1 + random() % 700, memory.data() + 300 * i);
        std::ranges::stable_sort(asked, {}, [](const range_request& r) { return r.range.offset(); });
        const scatter in(asked);
        for (int i = 0; i < 50; ++i) {
            const std::uint64_t begin = random() % 2800;
            const std::uint64_t most = 1 + random() % 900;
            const auto piece = in.sole_piece(begin, most);
            // As long as it can be, byte by byte.
            std::uint64_t length = 0;
            const auto owner = expected(asked, begin, begin + 1);
            const auto wanted = [&](std::uint64_t at) { return expected(asked, at, at + 1); };
            if (owner.size() == 1) {
                while (length < most) {
                    const auto there = wanted(begin + length);
                    if (there.size() != 1 || std::get<0>(there[0]) != std::get<0>(owner[0]) + length) break;
                    ++length;
                }
                CHECK(piece.data() == std::get<0>(owner[0]));
            }
            CHECK(piece.size() == length);
        }
    }
}

TEST_CASE("scatter: memory for a reader in place is found without a visit of all later ranges") {
    requests asked;
    for (std::uint64_t at = 0; at < 4 * mib; at += 16) add(asked, at, 16);
    const scatter in(std::move(asked));
    CHECK(in.sole_piece(2 * mib + 4, 2 * mib - 4).size() == 12);
}
