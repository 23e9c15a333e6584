#include <rangeio/byte_range.hpp>

#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <type_traits>

using rangeio::byte_range;
using rangeio::errc;

static_assert(!std::is_aggregate_v<byte_range>);
static_assert(byte_range(3, 4).end() == 7);
static_assert(byte_range::from_to(3, 7) == byte_range(3, 4));

namespace {
constexpr auto max = byte_range::max_end;
}

TEST_CASE("byte_range: the default is empty at offset 0") {
    const byte_range range;
    CHECK(range.empty());
    CHECK(range == byte_range(0, 0));
    CHECK(to_string(range) == "[0, 0)");
}

TEST_CASE("byte_range: an end above the largest signed 64-bit number is an error") {
    CHECK(byte_range(max - 5, 5).end() == max);
    CHECK(byte_range(max, 0).empty());
    CHECK(byte_range(0, max).length() == 9223372036854775807u);

    const auto beyond = [](std::uint64_t offset, std::uint64_t length) {
        return message_of(errc::invalid_argument, [&] { (void)byte_range(offset, length); });
    };
    CHECK(beyond(max, 1) == "range: 1 bytes at 9223372036854775807 end above 9223372036854775807");
    CHECK(beyond(max + 1, 0) == "range: 0 bytes at 9223372036854775808 end above 9223372036854775807");
    // Both sums wrap around to a small number.
    CHECK(
        beyond(std::numeric_limits<std::uint64_t>::max(), 2) ==
        "range: 2 bytes at 18446744073709551615 end above 9223372036854775807"
    );
    CHECK(
        beyond(2, std::numeric_limits<std::uint64_t>::max()) ==
        "range: 18446744073709551615 bytes at 2 end above 9223372036854775807"
    );
}

TEST_CASE("byte_range: from_to() rejects an end before the begin, and names both") {
    CHECK(message_of(errc::invalid_argument, [] {
              (void)byte_range::from_to(8, 7);
          }) == "range: end 7 is before begin 8");
    CHECK_THROWS_AS(byte_range::from_to(0, max + 1), rangeio::error);
}

TEST_CASE("byte_range: relations of two ranges are those of their sets of bytes") {
    constexpr std::uint64_t n = 6;
    const auto has = [](const byte_range& r, std::uint64_t i) { return i >= r.offset() && i < r.end(); };
    for (std::uint64_t a = 0; a <= n; ++a)
        for (std::uint64_t b = a; b <= n; ++b)
            for (std::uint64_t c = 0; c <= n; ++c)
                for (std::uint64_t d = c; d <= n; ++d) {
                    const auto x = byte_range::from_to(a, b);
                    const auto y = byte_range::from_to(c, d);
                    const auto both = x.intersect(y);
                    const auto cut = x.clamp_to(c);
                    bool common = false;
                    bool outside = false;
                    for (std::uint64_t i = 0; i <= n; ++i) {
                        REQUIRE(x.contains(i) == has(x, i));
                        REQUIRE(both.contains(i) == (has(x, i) && has(y, i)));
                        REQUIRE(cut.contains(i) == (has(x, i) && i < c));
                        common = common || (has(x, i) && has(y, i));
                        outside = outside || (has(y, i) && !has(x, i));
                    }
                    REQUIRE(x.overlaps(y) == common);
                    REQUIRE(y.overlaps(x) == common);
                    if (!y.empty()) REQUIRE(x.contains(y) == !outside);
                    if (!common) REQUIRE(both == byte_range(std::max(a, c), 0));
                    REQUIRE(cut.offset() == a);
                }
}

TEST_CASE("byte_range: a range contains an empty range at its ends, and none beyond") {
    CHECK(byte_range(3, 4).contains(byte_range(3, 0)));
    CHECK(byte_range(3, 4).contains(byte_range(7, 0)));
    CHECK_FALSE(byte_range(3, 4).contains(byte_range(8, 0)));
    CHECK_FALSE(byte_range(3, 4).contains(byte_range(2, 0)));
}

TEST_CASE("byte_range: clamp_to() accepts any size") {
    CHECK(byte_range(3, 4).clamp_to(std::numeric_limits<std::uint64_t>::max()) == byte_range(3, 4));
    CHECK(byte_range(3, 4).clamp_to(5) == byte_range(3, 2));
    CHECK(byte_range(3, 4).clamp_to(0) == byte_range(3, 0));
}
