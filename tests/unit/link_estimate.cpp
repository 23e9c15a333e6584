#include "fsm/link_estimate.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

namespace {

using namespace std::chrono_literals;
using rangeio::fsm::link_estimate;
using rangeio::fsm::prefetch_time;
using std::chrono::nanoseconds;

/// Reports arrivals of 1 MB; times count from an hour after the clock's beginning.
class estimated {
public:
    explicit estimated(std::size_t streams = 2) : link(streams) {}

    void arrive(std::uint64_t stream, nanoseconds sent, nanoseconds now) {
        link.arrived({{0, 1'000'000}, stream, at(sent), at(now), at(now)});
    }
    static prefetch_time at(nanoseconds time) { return prefetch_time(1h + time); }
    double megabytes(nanoseconds now) const { return link.bandwidth(at(now)) / 1e6; }

    link_estimate link;
};

}  // namespace

TEST_CASE(
    "link_estimate: the latency is the least time to first bytes, whatever the queue was before or after"
) {
    estimated e;
    CHECK(e.link.latency() == 0ns);
    e.arrive(1, 0ms, 30ms);
    CHECK(e.link.latency() == 30ms);
    e.arrive(1, 100ms, 110ms);
    e.arrive(2, 100ms, 400ms);
    CHECK(e.link.latency() == 10ms);
}

TEST_CASE("link_estimate: a stream is measured while the next request is at the service before an answer ends"
) {
    estimated e;
    e.arrive(1, 0ms, 10ms);
    e.arrive(1, 5ms, 20ms);  // at the service at 15 ms, later than the bytes before
    CHECK(e.megabytes(20ms) == 0);
    e.arrive(1, 5ms, 30ms);
    CHECK(e.megabytes(30ms) == doctest::Approx(100));
    CHECK(e.link.bytes_in_flight(e.at(30ms)) == doctest::Approx(1'000'000));
}

TEST_CASE("link_estimate: streams add up, and one that others leave idle still counts") {
    estimated e;
    for (const std::uint64_t stream : {1U, 2U}) {
        e.arrive(stream, 0ms, 10ms);
        e.arrive(stream, 0ms, 20ms);
    }
    CHECK(e.megabytes(20ms) == doctest::Approx(200));
    for (auto t = 30ms; t <= 1000ms; t += 10ms) e.arrive(1, t - 30ms, t);
    CHECK(e.megabytes(1000ms) == doctest::Approx(200));
    for (auto t = 1010ms; t <= 10'030ms; t += 10ms) e.arrive(1, t - 30ms, t);
    CHECK(e.megabytes(10'030ms) == doctest::Approx(100));
}

TEST_CASE("link_estimate: the bandwidth is not known any more when no stream has been measured for a while") {
    estimated e;
    e.arrive(1, 0ms, 10ms);
    e.arrive(1, 0ms, 20ms);
    CHECK(e.megabytes(270ms) == doctest::Approx(100));
    CHECK(e.megabytes(271ms) == 0);
}

TEST_CASE("link_estimate: ranges that end in bunches are measured by the time that they took, not one by one"
) {
    estimated e(1);
    e.arrive(1, 0ms, 10ms);
    for (auto t = 50ms; t < 2s; t += 40ms) {
        for (const auto later : {0us, 1300us, 2600us, 3900us}) e.arrive(1, 0ms, t + later);
    }
    // 4 MB in 40 ms; one by one, 770 MB/s.
    CHECK(e.megabytes(2s) > 60);
    CHECK(e.megabytes(2s) < 200);
}

TEST_CASE("link_estimate: bytes that are reported in parts are not faster than others") {
    estimated e;
    e.arrive(1, 0ms, 10ms);
    for (int part = 0; part < 100; ++part) e.arrive(1, 5ms, 20ms);
    e.arrive(1, 5ms, 30ms);
    CHECK(e.megabytes(30ms) == doctest::Approx(100));
}

TEST_CASE("link_estimate: more streams than expected replace those not heard of for longest") {
    estimated e(2);
    for (const std::uint64_t stream : {1U, 2U, 3U}) e.arrive(stream, 0ms, 10ms + stream * 1us);
    e.arrive(2, 0ms, 20ms);
    e.arrive(3, 0ms, 20ms);
    CHECK(e.megabytes(20ms) == doctest::Approx(200).epsilon(0.01));
}

TEST_CASE("link_estimate: bytes that were in memory are no arrivals") {
    estimated e;
    e.arrive(0, 0ms, 0ms);
    CHECK(e.link.latency() == 0ns);
}

TEST_CASE("link_estimate: an old latency is replaced by one that is measured after a pause of the sender") {
    estimated e;
    e.arrive(1, 0ms, 10ms);
    e.arrive(1, 9s, 9s + 25ms);
    CHECK_FALSE(e.link.probing());
    e.arrive(1, 11s, 11s + 25ms);
    CHECK(e.link.probing());
    CHECK(e.link.latency() == 10ms);
    e.arrive(1, 11s + 30ms, 11s + 60ms);  // sent too soon
    CHECK(e.link.probing());
    e.arrive(1, 11s + 35ms, 11s + 55ms);
    CHECK_FALSE(e.link.probing());
    CHECK(e.link.latency() == 20ms);
}

TEST_CASE("link_estimate: a sample near the latency confirms it") {
    estimated e;
    for (auto t = 0s; t <= 30s; t += 5s) {
        e.arrive(1, t, t + 10ms + (t > 0s ? 1ms : 0ms));
        e.arrive(1, t, t + 100ms);
    }
    CHECK_FALSE(e.link.probing());
    CHECK(e.link.latency() == 10ms);
}
