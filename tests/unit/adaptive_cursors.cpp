#include "fsm/adaptive.hpp"
#include "support/prefetch_traces.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

// What the policy plans, event by event; what that is worth: adaptive.cpp.

namespace {

using namespace std::chrono_literals;
using rangeio::byte_range;
using rangeio::fsm::access_pattern;
using rangeio::fsm::adaptive;
using rangeio::fsm::prefetch_plan;
using rangeio::fsm::prefetch_time;
using rangeio::fsm::scan_cursor;
using rangeio::fsm::waste_account;
using support::one_kib, support::one_mib, support::one_gib;
using phase = scan_cursor::phase;

/// A policy on an object of 16 GiB, whose reads wait for all their bytes unless told otherwise.
class planned {
public:
    planned() : account(std::make_shared<waste_account>()), policy({}, account) {
        policy.resize(16 * one_gib);
    }

    /// A read from its beginning to its end.
    prefetch_plan read(std::uint64_t offset, std::uint64_t bytes, bool waits = true) {
        prefetch_plan plan = begin(offset, bytes, waits);
        end(offset, bytes);
        return plan;
    }
    prefetch_plan begin(std::uint64_t offset, std::uint64_t bytes, bool waits = true) {
        now += 1ms;
        prefetch_plan plan;
        const auto at = waits ? std::optional(offset) : std::nullopt;
        policy.read_begins({{offset, bytes}, at, waits ? bytes : 0, now}, plan);
        return plan;
    }
    void end(std::uint64_t offset, std::uint64_t bytes) {
        prefetch_plan plan;
        policy.read_ended({offset, bytes}, true, now, plan);
    }
    prefetch_plan scan(std::uint64_t from, std::uint64_t to, std::uint64_t each = 64 * one_kib) {
        prefetch_plan all;
        for (; from < to; from += each) {
            const prefetch_plan plan = read(from, each);
            for (const auto& unit : plan.fetch) all.fetch.push_back(unit);
            for (const auto& range : plan.park) all.park.push_back(range);
            for (const auto& range : plan.drop) all.drop.push_back(range);
        }
        return all;
    }
    std::ptrdiff_t count(phase is) const {
        return std::ranges::count(policy.cursors(), is, &scan_cursor::is);
    }

    prefetch_time now{1h};
    std::shared_ptr<waste_account> account;
    adaptive policy;
};

constexpr std::uint64_t far = 8 * one_gib;

/// All bytes of the units, which have to be in order and side by side.
byte_range whole(const prefetch_plan& plan) {
    if (plan.fetch.empty()) return {};
    for (std::size_t i = 1; i < plan.fetch.size(); ++i) {
        CHECK(plan.fetch[i - 1].range.end() == plan.fetch[i].range.offset());
    }
    return byte_range::from_to(plan.fetch.front().range.offset(), plan.fetch.back().range.end());
}

}  // namespace

TEST_CASE("adaptive: the second read in a row is a scan, and earns what follows it in small units") {
    planned p;
    CHECK(p.read(one_gib, 64 * one_kib).fetch.empty());
    const prefetch_plan plan = p.read(one_gib + 64 * one_kib, 64 * one_kib);
    CHECK(whole(plan) == byte_range(one_gib + 128 * one_kib, 384 * one_kib));
    for (const auto& unit : plan.fetch) CHECK(unit.range.length() == 128 * one_kib);
}

TEST_CASE("adaptive: a random read makes no plan and allocates nothing") {
    planned p;
    prefetch_plan plan;
    for (std::uint64_t i = 0; i < 200; ++i) {
        p.now += 1ms;
        const std::uint64_t at = i * 7919 % 997 * 16 * one_mib;
        p.policy.read_begins({{at, 64 * one_kib}, at, 64 * one_kib, p.now}, plan);
        p.policy.read_ended({at, 64 * one_kib}, true, p.now, plan);
    }
    CHECK(plan.fetch.capacity() + plan.drop.capacity() + plan.park.capacity() == 0);
    CHECK(p.count(phase::running) == 0);
}

TEST_CASE("adaptive: a required chunk and its read-ahead, requested at once, are one step") {
    planned p;
    for (std::uint64_t at = far; at < far + one_gib; at += 64 * one_mib) {
        p.begin(at, 64 * one_kib);
        CHECK(p.begin(at + 64 * one_kib, 128 * one_kib).fetch.empty());
        p.end(at, 64 * one_kib);
        p.end(at + 64 * one_kib, 128 * one_kib);
    }
    // A scan of such reads has steps, too.
    p.begin(one_gib, 64 * one_kib);
    p.begin(one_gib + 64 * one_kib, 64 * one_kib);
    p.end(one_gib, 64 * one_kib);
    CHECK_FALSE(p.begin(one_gib + 128 * one_kib, 64 * one_kib).fetch.empty());
}

TEST_CASE("adaptive: the window grows once for reads that wait at the same time") {
    planned p;
    p.read(far, 64 * one_kib);
    const std::uint64_t front = whole(p.read(far + 64 * one_kib, 64 * one_kib)).end();
    const auto wait_at_front = [&](std::uint64_t offset) {
        prefetch_plan plan;
        p.policy.read_begins({byte_range::from_to(offset, front + one_mib), front, 0, p.now += 1ms}, plan);
        return std::ranges::find(p.policy.cursors(), phase::running, &scan_cursor::is)->window;
    };
    p.begin(far + 128 * one_kib, 64 * one_kib);
    const std::uint64_t grown = wait_at_front(far + 192 * one_kib);
    CHECK(wait_at_front(far + 192 * one_kib) == grown);
    p.end(far + 128 * one_kib, 64 * one_kib);
    CHECK(wait_at_front(far + 192 * one_kib) == 4 * grown);
}

TEST_CASE("adaptive: growth needs a wait for bytes that were planned after the last growth") {
    planned p;
    p.read(far, 64 * one_kib);
    const std::uint64_t front = whole(p.read(far + 64 * one_kib, 64 * one_kib)).end();
    const auto window = [&] {
        return std::ranges::find(p.policy.cursors(), phase::running, &scan_cursor::is)->window;
    };
    const std::uint64_t first = window();
    p.read(far + 128 * one_kib, 64 * one_kib);
    const std::uint64_t second = window();
    CHECK(second == 4 * first);
    // Up to the front of that time, nothing can have arrived earlier for it.
    for (std::uint64_t at = far + 192 * one_kib; at < front; at += 64 * one_kib) p.read(at, 64 * one_kib);
    CHECK(window() == second);
    p.read(front, 64 * one_kib);
    CHECK(window() == 4 * second);
}

TEST_CASE("adaptive: a first read of a header or a footer begins no scan") {
    planned header;
    header.read(0, 4 * one_kib);
    CHECK(header.count(phase::candidate) == 0);
    planned footer;
    footer.read(16 * one_gib - one_mib, 64 * one_kib);
    CHECK(footer.count(phase::candidate) == 0);
    planned other;
    other.read(0, 64 * one_kib);
    CHECK(other.count(phase::candidate) == 1);
}

TEST_CASE("adaptive: skipped bytes cost confidence, and a scan that skips more than it uses ends") {
    planned p;
    std::uint64_t at = far;
    for (int i = 0; i < 3; ++i, at += 64 * one_kib) p.read(at, 64 * one_kib);
    CHECK(p.count(phase::running) == 1);
    for (int i = 0; i < 3; ++i, at += 128 * one_kib) p.read(at + 64 * one_kib, 64 * one_kib);
    CHECK(p.count(phase::running) == 0);
    for (int i = 0; i < 50; ++i, at += 128 * one_kib)
        CHECK(p.read(at + 64 * one_kib, 64 * one_kib).fetch.empty());
}

TEST_CASE("adaptive: a scan backwards is planned backwards, nearest bytes first") {
    planned p;
    p.read(far, 64 * one_kib);
    const prefetch_plan plan = p.read(far - 64 * one_kib, 64 * one_kib);
    REQUIRE(plan.fetch.size() == 3);
    CHECK(plan.fetch[0].range == byte_range(far - 192 * one_kib, 128 * one_kib));
    CHECK(plan.fetch[2].range == byte_range(far - 448 * one_kib, 128 * one_kib));
}

TEST_CASE("adaptive: what is behind the ring is dropped, in steps") {
    planned p;
    const prefetch_plan plan = p.scan(far, far + 4 * one_mib);
    REQUIRE_FALSE(plan.drop.empty());
    CHECK(plan.drop.front().offset() == far);
    CHECK(plan.drop.back().end() > far + 4 * one_mib - one_mib - 256 * one_kib);
    CHECK(plan.drop.back().end() <= far + 4 * one_mib - one_mib);
    CHECK(plan.drop.size() <= 12);
}

TEST_CASE("adaptive: a scan that rests is parked, and continues from its position when it is read again") {
    planned p;
    const std::uint64_t front = whole(p.scan(far, far + 4 * one_mib)).end();
    p.read(one_gib, 64 * one_kib);
    const prefetch_plan plan = p.read(4 * one_gib, 64 * one_kib);
    REQUIRE(plan.park.size() == 1);
    CHECK(plan.park[0].end() == front);
    CHECK(p.account->debt() == front - far - 4 * one_mib);
    const prefetch_plan back = p.read(far + 4 * one_mib, 64 * one_kib, false);
    CHECK(p.account->debt() == 0);
    CHECK(p.count(phase::running) == 1);
    // What had not been requested was given up when it was parked.
    REQUIRE_FALSE(back.fetch.empty());
    CHECK(back.fetch.front().range.offset() == far + 4 * one_mib);
    CHECK(back.drop.empty());
}

TEST_CASE("adaptive: the fifth scan takes the place of the one that was read longest ago") {
    planned p;
    for (std::uint64_t scan = 0; scan < 4; ++scan)
        p.scan(far + scan * one_gib, far + scan * one_gib + one_mib);
    CHECK(p.count(phase::parked) == 3);
    const prefetch_plan plan = p.scan(one_gib, one_gib + one_mib);
    REQUIRE_FALSE(plan.drop.empty());
    CHECK(byte_range(far, one_gib).contains(plan.drop.front()));
    CHECK(p.count(phase::parked) + p.count(phase::running) == 4);
}

TEST_CASE("adaptive: random reads do not evict a scan that they interrupt") {
    planned p;
    p.scan(far, far + 4 * one_mib);
    for (std::uint64_t i = 0; i < 40; ++i)
        CHECK(p.read((i * 37 + 5) % 400 * 16 * one_mib, one_kib).drop.empty());
    CHECK(p.count(phase::parked) == 1);
}

TEST_CASE("adaptive: a scan that reaches what another has left takes it over") {
    planned p;
    const std::uint64_t front = whole(p.scan(far, far + 8 * one_mib)).end();
    // Back by more than the ring.
    p.read(far + 4 * one_mib, 64 * one_kib);
    p.read(far + 4 * one_mib + 64 * one_kib, 64 * one_kib);
    const prefetch_plan rest = p.scan(far + 4 * one_mib + 128 * one_kib, far + 8 * one_mib);
    CHECK(p.count(phase::parked) == 0);
    CHECK(p.count(phase::running) == 1);
    for (const byte_range& range : rest.drop) CHECK(range.end() <= far + 8 * one_mib);
    const auto& c = *std::ranges::find(p.policy.cursors(), phase::running, &scan_cursor::is);
    CHECK(c.territory().end >= static_cast<std::int64_t>(front));
    CHECK(p.account->debt() == 0);
}

TEST_CASE("adaptive: after runs of equal length the next one is expected to end there, and is fetched at once"
) {
    planned p;
    for (std::uint64_t run = 0; run < 4; ++run)
        p.scan(far + run * one_gib, far + run * one_gib + 2 * one_mib);
    const prefetch_plan first = p.read(one_gib, 64 * one_kib);
    CHECK_FALSE(first.fetch.empty());
    p.read(one_gib + 64 * one_kib, 64 * one_kib);
    p.scan(one_gib + 128 * one_kib, one_gib + 2 * one_mib);
    const auto& c = *std::ranges::find(p.policy.cursors(), phase::running, &scan_cursor::is);
    CHECK(c.territory().end == static_cast<std::int64_t>(one_gib + 2 * one_mib));
    // It is longer, after all.
    CHECK_FALSE(p.scan(one_gib + 2 * one_mib, one_gib + 3 * one_mib).fetch.empty());
}

TEST_CASE("adaptive: a plan ends with the object") {
    planned p;
    p.policy.resize(far + one_mib);
    const prefetch_plan plan = p.scan(far, far + one_mib);
    CHECK(whole(plan).end() == far + one_mib);
}

TEST_CASE("adaptive: what the caller says about its reads decides") {
    planned random;
    random.scan(far, far + one_mib);
    prefetch_plan plan;
    random.policy.advise(access_pattern::random, plan);
    CHECK_FALSE(plan.drop.empty());
    CHECK(random.scan(far + one_mib, far + 2 * one_mib).fetch.empty());
    random.policy.advise(access_pattern::unknown, plan);
    CHECK_FALSE(random.scan(far + 2 * one_mib, far + 3 * one_mib).fetch.empty());
    planned sequential;
    sequential.policy.advise(access_pattern::sequential, plan);
    CHECK_FALSE(sequential.read(0, 4 * one_kib).fetch.empty());
}

TEST_CASE("adaptive: a loss at the far end shortens the window, and is not planned again at once") {
    planned p;
    const std::uint64_t front = whole(p.scan(far, far + 4 * one_mib)).end();
    const auto& c = *std::ranges::find(p.policy.cursors(), phase::running, &scan_cursor::is);
    const std::uint64_t window = c.window;
    prefetch_plan plan;
    p.policy.lost(byte_range::from_to(front - one_mib, front), plan);
    CHECK(plan.fetch.empty());
    CHECK(c.territory().end == static_cast<std::int64_t>(front - one_mib));
    CHECK(c.window == window / 2);
    // A hole is left to the read that reaches it.
    p.policy.lost({far + 4 * one_mib, 64 * one_kib}, plan);
    CHECK(c.territory().end == static_cast<std::int64_t>(front - one_mib));
}

TEST_CASE("adaptive: a failed read clears all scans") {
    planned p;
    p.scan(far, far + 4 * one_mib);
    p.policy.reset();
    CHECK(p.count(phase::free) == 8);
    CHECK(p.read(far + 4 * one_mib, 64 * one_kib).fetch.empty());
}

TEST_CASE("adaptive: waste that was charged when a scan was parked is not charged again when it is dropped") {
    planned p;
    const std::uint64_t unread = whole(p.scan(far, far + 4 * one_mib)).end() - far - 4 * one_mib;
    p.read(one_gib, one_kib);
    p.read(2 * one_gib, one_kib);
    CHECK(p.account->debt() == unread);
    prefetch_plan plan;
    p.policy.advise(access_pattern::random, plan);
    p.policy.wasted(unread / 2);
    CHECK(p.account->debt() == unread);
    p.read(one_gib, one_kib);  // the other half had not been requested
    CHECK(p.account->debt() == unread - unread / 2 - one_kib / 20);
}

TEST_CASE("adaptive: without an allowance a scan still earns 5 % of what it has used, and no more") {
    planned p;
    p.account->wasted(one_gib);
    const prefetch_plan plan = p.scan(far, far + 64 * one_mib);
    REQUIRE_FALSE(plan.fetch.empty());
    const std::uint64_t front = plan.fetch.back().range.end();
    CHECK(front > far + 64 * one_mib);
    CHECK(front <= far + 64 * one_mib + 64 * one_mib / 20);
}
