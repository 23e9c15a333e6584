#include <rangeio/split_range.hpp>

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <random>
#include <vector>

using rangeio::byte_range;
using rangeio::errc;
using rangeio::share_concurrency;
using rangeio::split_range;
using shares = std::vector<std::size_t>;

static_assert(std::forward_iterator<rangeio::range_parts::iterator>);

namespace {

shares shares_of(std::vector<std::uint64_t> lengths, std::size_t concurrency) {
    return share_concurrency(lengths, concurrency);
}

void check_split(byte_range range, std::size_t concurrency, std::uint64_t min_chunk) {
    CAPTURE(to_string(range));
    CAPTURE(concurrency);
    CAPTURE(min_chunk);
    const auto parts = split_range(range, concurrency, min_chunk);
    REQUIRE(
        parts.size() ==
        std::max<std::uint64_t>(1, std::min<std::uint64_t>(concurrency, range.length() / min_chunk))
    );
    auto at = range.offset();
    std::size_t index = 0;
    for (const auto part : parts) {
        REQUIRE(part == parts[index]);
        REQUIRE(part.offset() == at);
        if (index + 1 < parts.size()) {
            REQUIRE(part.length() == range.length() / parts.size());
        } else {
            REQUIRE(part.length() == range.length() / parts.size() + range.length() % parts.size());
        }
        if (parts.size() > 1) REQUIRE(part.length() >= min_chunk);
        at = part.end();
        ++index;
    }
    REQUIRE(index == parts.size());
    REQUIRE(at == range.end());
}

}  // namespace

TEST_CASE("split_range: the parts are equal, and the last takes the rest") {
    const auto parts = split_range(byte_range(100, 11), 3, 1);
    CHECK(
        std::vector(parts.begin(), parts.end()) ==
        std::vector{byte_range(100, 3), byte_range(103, 3), byte_range(106, 5)}
    );
}

TEST_CASE("split_range: min_chunk limits the number of parts") {
    CHECK(split_range(byte_range(0, 100), 8, 30).size() == 3);
    CHECK(split_range(byte_range(0, 29), 8, 30).size() == 1);
    CHECK(split_range(byte_range(0, 30), 8, 30).size() == 1);
    CHECK(split_range(byte_range(0, 60), 8, 30).size() == 2);
}

TEST_CASE("split_range: an empty range is one empty part") {
    const auto parts = split_range(byte_range(7, 0), 4, 1);
    REQUIRE(parts.size() == 1);
    CHECK(parts[0] == byte_range(7, 0));
}

TEST_CASE("split_range: any range, concurrency and min_chunk give an exact partition") {
    std::mt19937_64 random(3);
    for (int round = 0; round < 2000; ++round) {
        const auto length = random() % 500;
        check_split({random() % 1000, length}, random() % 40 + 1, random() % 60 + 1);
    }
    check_split({0, byte_range::max_end}, 7, 1);
    check_split({byte_range::max_end - 10, 10}, 1000, 1);
}

TEST_CASE("split_range: zero concurrency or min_chunk is an error that names it") {
    CHECK(message_of(errc::invalid_argument, [] {
              (void)split_range(byte_range(2, 3), 0, 5);
          }) == "split of [2, 5): concurrency 0 or min_chunk 5 is less than 1");
    CHECK(message_of(errc::invalid_argument, [] {
              (void)split_range(byte_range(2, 3), 4, 0);
          }) == "split of [2, 5): concurrency 4 or min_chunk 0 is less than 1");
}

TEST_CASE("share_concurrency: shares are in proportion to length") {
    CHECK(shares_of({100, 100, 200}, 8) == shares{2, 2, 4});
    CHECK(shares_of({10, 10, 80}, 10) == shares{1, 1, 8});
    CHECK(shares_of({50}, 4) == shares{4});
}

TEST_CASE("share_concurrency: a chunk with bytes gets at least 1, an empty one 0") {
    CHECK(shares_of({1, 0, 1000000}, 4) == shares{1, 0, 3});
    CHECK(shares_of({5, 5, 0, 5}, 1) == shares{1, 1, 0, 1});
    CHECK(shares_of({5, 5, 5}, 3) == shares{1, 1, 1});
    CHECK(shares_of({0, 0}, 3) == shares{0, 0});
    CHECK(shares_of({}, 3).empty());
}

TEST_CASE("share_concurrency: fractions go to the largest remainder, then to the earlier chunk") {
    CHECK(shares_of({10, 10, 10}, 4) == shares{2, 1, 1});
    CHECK(shares_of({10, 10, 10}, 5) == shares{2, 2, 1});
    CHECK(shares_of({30, 25, 45}, 10) == shares{3, 2, 5});
}

TEST_CASE("share_concurrency: lengths near the 64-bit limit do not overflow") {
    constexpr auto huge = byte_range::max_end;
    CHECK(shares_of({huge, huge, huge, huge}, 8) == shares{2, 2, 2, 2});
    CHECK(shares_of({huge, 1, huge}, 5) == shares{2, 1, 2});
}

TEST_CASE("share_concurrency: concurrency 0 is an error") {
    CHECK(message_of(errc::invalid_argument, [] {
              (void)shares_of({1}, 0);
          }) == "concurrency: 0 is less than 1");
}

TEST_CASE("share_concurrency: any lengths are shared exactly, fairly and in order") {
    std::mt19937_64 random(4);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::uint64_t> lengths(random() % 8 + 1);
        for (auto& length : lengths) length = random() % 4 == 0 ? 0 : random() % (round % 2 ? 20 : 100000);
        const std::size_t concurrency = random() % 32 + 1;
        const auto given = shares_of(lengths, concurrency);

        // By brute force: a chunk due less than 1 gets 1, until none is left; the others divide the rest.
        std::vector<bool> fixed(lengths.size());
        double bytes = 0;
        double left = double(concurrency);
        for (const auto length : lengths) bytes += double(length);
        const auto filled = std::size_t(std::ranges::count_if(lengths, [](auto n) { return n > 0; }));
        for (bool again = concurrency > filled; again;) {
            again = false;
            for (std::size_t i = 0; i < lengths.size(); ++i) {
                if (fixed[i] || lengths[i] == 0 || left * double(lengths[i]) >= bytes) continue;
                fixed[i] = again = true;
                left -= 1;
                bytes -= double(lengths[i]);
            }
        }
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            if (lengths[i] == 0) {
                REQUIRE(given[i] == 0);
            } else if (concurrency <= filled || fixed[i]) {
                REQUIRE(given[i] == 1);
            } else {
                const auto due = left * double(lengths[i]) / bytes;
                REQUIRE(given[i] >= 1);
                REQUIRE(std::abs(double(given[i]) - due) < 1 + 1e-9);
            }
            for (std::size_t j = 0; j < lengths.size(); ++j) {
                if (lengths[i] > lengths[j] && lengths[j] > 0 && given[i] + 1 < given[j]) {
                    FAIL("a longer chunk got less");
                }
            }
        }
        const auto sum = std::accumulate(given.begin(), given.end(), std::size_t(0));
        REQUIRE(sum == (filled == 0 ? 0 : std::max(concurrency, filled)));
    }
}
