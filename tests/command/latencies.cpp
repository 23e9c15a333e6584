#include "common/latencies.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace rangeio::tool {
namespace {

TEST_SUITE_BEGIN("latencies");

TEST_CASE("latencies: all values are zero before the first sample") {
    const latencies none;
    CHECK(none.count() == 0);
    CHECK(none.percentile(0.5).count() == 0);
    CHECK(none.max().count() == 0);
}

TEST_CASE("latencies: percentiles are those of the sorted samples, at most 1.6 % too long") {
    std::mt19937_64 random(1);
    for (int round = 0; round < 50; ++round) {
        latencies times;
        std::vector<std::int64_t> sorted;
        for (std::size_t i = 0; i < 1 + random() % 500; ++i) {
            // Of every magnitude: from nanoseconds to centuries.
            const auto time = static_cast<std::int64_t>(random() >> (1 + random() % 63));
            times.add(std::chrono::nanoseconds(time));
            sorted.push_back(time);
        }
        std::ranges::sort(sorted);
        CHECK(times.count() == sorted.size());
        CHECK(times.max().count() == sorted.back());
        for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0}) {
            const double rank = std::max(1.0, std::ceil(share * static_cast<double>(sorted.size())));
            const std::int64_t exact = sorted[static_cast<std::size_t>(rank) - 1];
            const std::int64_t told = times.percentile(share).count();
            CHECK(told >= exact);
            CHECK(static_cast<double>(told) <= static_cast<double>(exact) * 1.016);
        }
    }
}

TEST_CASE("latencies: the samples of several recorders add up") {
    latencies all;
    latencies some;
    latencies others;
    for (std::int64_t i = 1; i < 1000; ++i) {
        all.add(std::chrono::nanoseconds(i * i));
        (i % 3 == 0 ? some : others).add(std::chrono::nanoseconds(i * i));
    }
    some.add(others);
    CHECK(some.count() == all.count());
    CHECK(some.max() == all.max());
    for (const double share : {0.1, 0.5, 0.99}) CHECK(some.percentile(share) == all.percentile(share));
}

TEST_CASE("latencies: a negative duration counts as zero") {
    latencies times;
    times.add(std::chrono::nanoseconds(-5));
    CHECK(times.count() == 1);
    CHECK(times.max().count() == 0);
}

TEST_SUITE_END();

}  // namespace
}  // namespace rangeio::tool
