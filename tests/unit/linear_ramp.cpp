#include "fsm/linear_ramp.hpp"

#include "support/mib.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>

namespace {

using rangeio::byte_range;
using rangeio::fsm::access_pattern;
using rangeio::fsm::linear_ramp;
using rangeio::fsm::prefetch_plan;
using support::mib;

/// A policy whose events return their plans as one line. Offsets and lengths are in units of `unit` bytes.
class ramp {
public:
    explicit ramp(
        std::uint64_t size,
        std::uint64_t unit = 1,
        std::optional<std::uint64_t> max_prefetch = std::nullopt,
        std::uint32_t concurrency = 4
    )
        : unit_(unit), policy_(options(unit, max_prefetch, concurrency)) {
        resize(size);
    }

    std::string begin(std::uint64_t offset, std::uint64_t length) {
        return feed([&](prefetch_plan& out) { policy_.read_begins({range(offset, length), {}, 0, {}}, out); }
        );
    }
    std::string arrive(std::uint64_t offset, std::uint64_t length) {
        return feed([&](prefetch_plan& out) { policy_.arrived({range(offset, length), 1, {}, {}, {}}, out); }
        );
    }
    std::string end(std::uint64_t offset, std::uint64_t length, bool ok = true) {
        return feed([&](prefetch_plan& out) { policy_.read_ended(range(offset, length), ok, {}, out); });
    }
    std::string lose(std::uint64_t offset, std::uint64_t length) {
        return feed([&](prefetch_plan& out) { policy_.lost(range(offset, length), out); });
    }
    std::string advise(access_pattern pattern) {
        return feed([&](prefetch_plan& out) { policy_.advise(pattern, out); });
    }
    void resize(std::uint64_t size) { policy_.resize(size * unit_); }
    void reset() { policy_.reset(); }
    std::uint64_t window() const { return policy_.window() / unit_; }

    /// A read of one block: the plan of its begin, then that of the arrival of its bytes.
    std::string read(std::uint64_t offset, std::uint64_t length) {
        const std::string plan = begin(offset, length);
        return plan + " | " + arrive(offset, length) + end(offset, length);
    }
    /// The same for each of several in a row; the last plans.
    std::string scan(std::uint64_t count, std::uint64_t length, std::uint64_t from = 0) {
        std::string plans;
        for (std::uint64_t i = 0; i < count; ++i) plans = read(from + i * length, length);
        return plans;
    }

private:
    static linear_ramp::options options(
        std::uint64_t unit, std::optional<std::uint64_t> max_prefetch, std::uint32_t concurrency
    ) {
        linear_ramp::options out;
        out.concurrency = concurrency;
        if (max_prefetch) out.max_prefetch_bytes = *max_prefetch * unit;
        return out;
    }
    byte_range range(std::uint64_t offset, std::uint64_t length) const {
        return {offset * unit_, length * unit_};
    }
    template <class Event>
    std::string feed(Event&& event) {
        prefetch_plan plan;
        event(plan);
        CHECK(plan.park.empty());
        std::string out;
        const auto add = [&](const char* what, byte_range r) {
            CHECK(r.offset() % unit_ == 0);
            CHECK(r.length() % unit_ == 0);
            if (!out.empty()) out += ", ";
            out += fmt::format("{} {}+{}", what, r.offset() / unit_, r.length() / unit_);
        };
        for (const byte_range& r : plan.drop) add("drop", r);
        for (const auto& u : plan.fetch) {
            add("fetch", u.range);
            if (u.parts != 1) out += fmt::format("/{}", u.parts);
        }
        return out;
    }

    std::uint64_t unit_;
    linear_ramp policy_;
};

}  // namespace

TEST_CASE("linear_ramp: read-ahead starts with the third block, and grows by a read with each one after it") {
    ramp r(10'000);
    CHECK(r.window() == 0);
    CHECK(r.read(0, 100) == "fetch 0+100/4 | ");
    CHECK(r.read(100, 100) == "fetch 100+100/4 | drop 0+100");
    CHECK(r.window() == 0);
    CHECK(r.read(200, 100) == "fetch 200+100/4 | drop 100+100, fetch 300+100/4");
    CHECK(r.window() == 100);
    CHECK(r.read(300, 100) == " | drop 200+100, fetch 400+100/2, fetch 500+100/2");
    CHECK(r.window() == 200);
    CHECK(r.read(400, 100) == " | drop 300+100, fetch 600+100, fetch 700+100");
    CHECK(r.window() == 300);
}

TEST_CASE("linear_ramp: blocks have 5 MiB once the window has, and there is room for one") {
    ramp r(1'000, mib);
    CHECK(r.scan(3, 2) == "fetch 4+2/4 | drop 2+2, fetch 6+2/4");
    CHECK(r.read(6, 2) == " | drop 4+2, fetch 8+2/2, fetch 10+2/2");  // window 4
    CHECK(r.read(8, 2) == " | drop 6+2");                             // window 6, 2 of it planned
    CHECK(r.read(10, 2) == " | drop 8+2, fetch 12+5/2");              // window 8
    CHECK(r.begin(12, 2) == "");
    CHECK(r.arrive(12, 5) == "drop 10+2, fetch 17+5/2");  // window 10, 3 of it planned; 7 are free
    CHECK(r.end(12, 2) == "");
    CHECK(r.begin(14, 2) == "");  // of the block that the reader has
    CHECK(r.begin(16, 2) == "");
    CHECK(
        r.arrive(17, 5) == "drop 12+5, fetch 22+5"
    );  // window 12, 4 of it planned; 8 are free, 20 / 12 parts
    ramp differing(1'000, mib);
    differing.scan(4, 2);
    CHECK(differing.begin(8, 1) == "");
    CHECK(differing.arrive(8, 2) == "drop 6+2");  // window 3 * 1.8, 3 of it planned
}

TEST_CASE("linear_ramp: the window is at most 128 MiB, or two reads") {
    ramp r(100'000, mib);
    r.scan(5, 60);
    CHECK(r.window() == 128);  // 3 * 60
    ramp large(100'000, mib);
    large.scan(4, 100);
    CHECK(large.window() == 200);
    CHECK(large.read(400, 100) == " | drop 300+100, fetch 600+100/2");
    CHECK(large.window() == 200);
}

TEST_CASE("linear_ramp: the user's limit is one of the window, and reads above it have none") {
    ramp r(10'000, 1, 250);
    r.scan(4, 100);
    CHECK(r.window() == 200);
    CHECK(r.read(400, 100) == " | drop 300+100, fetch 600+100/2");  // 250, in whole blocks 200
    CHECK(r.window() == 250);
    ramp equal(10'000, 1, 100);
    CHECK(equal.scan(3, 100) == "fetch 200+100/4 | drop 100+100, fetch 300+100/4");
    CHECK(equal.window() == 100);
    ramp above(10'000, 1, 99);
    CHECK(above.scan(5, 100) == "fetch 400+100/4 | drop 300+100");
    CHECK(above.window() == 0);
}

TEST_CASE("linear_ramp: reads that differ, of more than 64 MiB on average, end read-ahead") {
    ramp r(100'000, mib);
    r.scan(4, 64);
    CHECK(r.window() == 128);
    CHECK(r.begin(256, 65) == "");
    CHECK(r.window() == 0);
    CHECK(r.arrive(256, 64) == "drop 192+64");
    CHECK(r.arrive(320, 64) == "drop 256+64");  // planned before
    CHECK(r.end(256, 65) == "");
    CHECK(r.begin(321, 64) == "fetch 384+64/4");
    CHECK(r.arrive(384, 64) == "drop 320+64");
    // An average of 64: read-ahead continues.
    ramp at_limit(100'000, mib);
    at_limit.scan(2, 64);
    CHECK(at_limit.read(128, 63) == "fetch 128+63/4 | drop 64+64, fetch 191+63/4");
    CHECK(at_limit.begin(191, 65) == "");
    CHECK(at_limit.arrive(191, 63) == "drop 128+63, fetch 254+65/2, fetch 319+63");
    CHECK(at_limit.window() == 128);
}

TEST_CASE("linear_ramp: the last ten reads make the average") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.window() == 3 * 100);
    for (int i = 0; i < 9; ++i) CHECK(r.begin(450, 10) == "");  // in the current block, so the streak remains
    CHECK(r.window() == 3 * 19);
    CHECK(r.begin(450, 10) == "");
    CHECK(r.window() == 3 * 10);
}

TEST_CASE("linear_ramp: one plan is made for a read of several blocks that have arrived, at its end") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.arrive(500, 300) == "");
    CHECK(
        r.begin(500, 250) ==
        "drop 400+100, drop 500+100, drop 600+100, fetch 800+250, fetch 1050+250, fetch 1300+250, fetch "
        "1550+250, "
        "fetch 1800+250, fetch 2050+200"  // window 6 * 250 from 750 on: the queue is empty, so by the last read
    );
    CHECK(r.window() == 6 * 125);
}

TEST_CASE("linear_ramp: it is made earlier if the reader has to wait for a block") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.arrive(500, 100) == "");
    // Window 4 * 116 from 600 on: blocks of the average size, for one block is left in the queue.
    CHECK(r.begin(500, 200) == "drop 400+100, fetch 800+116, fetch 916+116, fetch 1032+32");
    CHECK(
        r.arrive(600, 100) == "drop 500+100, fetch 1064+116, fetch 1180+100"
    );  // window 5 * 116 from 700 on
    // The block that the reader waits for is no longer in the queue, which is empty then: window 5 * 250 from 700 on.
    ramp last(10'000);
    last.scan(5, 100);
    last.arrive(500, 200);
    CHECK(
        last.begin(500, 250) ==
        "drop 400+100, drop 500+100, fetch 800+250, fetch 1050+250, fetch 1300+250, "
        "fetch 1550+250, fetch 1800+150"
    );
}

TEST_CASE("linear_ramp: forward within what is planned, the reader skips blocks, and waits for each") {
    ramp r(10'000);
    r.scan(5, 100);  // 500 to 800 is planned
    CHECK(r.begin(650, 100) == "");
    CHECK(r.arrive(600, 200) == "");
    CHECK(
        r.arrive(500, 100) ==
        "drop 400+100, drop 500+100, drop 600+100, fetch 800+100, fetch 900+100, "
        "fetch 1000+100, fetch 1100+100, fetch 1200+100"
    );  // window 6 * 100 from 750 on
    CHECK(r.begin(1'300, 100) == "");
    ramp past(10'000);
    past.scan(5, 100);
    CHECK(past.begin(801, 50) == "drop 400+400, fetch 801+50/4");
    CHECK(past.arrive(801, 50) == "");
    CHECK(past.window() == 0);
    CHECK(past.read(851, 50) == "fetch 851+50/4 | drop 801+50");  // counted anew
    CHECK(past.read(901, 50) == "fetch 901+50/4 | drop 851+50, fetch 951+50/4");
    CHECK(past.window() == 50);
}

TEST_CASE("linear_ramp: backward within the current block costs nothing, before it the reader starts anew") {
    ramp r(10'000);
    r.read(0, 100);
    r.read(100, 100);
    CHECK(r.begin(150, 20) == "");
    CHECK(r.begin(100, 30) == "");
    CHECK(r.begin(190, 40) == "fetch 200+40/4");
    CHECK(r.arrive(200, 40) == "drop 100+100, fetch 240+30/3");
    CHECK(r.begin(199, 1) == "drop 200+70, fetch 199+1/4");
}

TEST_CASE("linear_ramp: nothing is planned past the end, until the object grows") {
    ramp r(350);
    CHECK(r.scan(3, 100) == "fetch 200+100/4 | drop 100+100, fetch 300+50/2");
    CHECK(r.read(300, 50) == " | drop 200+100");
    r.resize(10'000);
    CHECK(r.begin(350, 100) == "fetch 350+100/2, fetch 450+100/2");  // window 2 * 100
    ramp small(150);
    small.read(0, 100);
    CHECK(small.begin(50, 100) == "fetch 100+50/4");  // all parts, though the window is 100
}

TEST_CASE("linear_ramp: reads that overlap in time are processed one after the other") {
    ramp r(10'000);
    CHECK(r.begin(0, 100) == "fetch 0+100/4");
    CHECK(r.begin(100, 100) == "");
    CHECK(r.begin(200, 100) == "");
    CHECK(r.arrive(0, 100) == "fetch 100+100/4");
    CHECK(r.arrive(100, 100) == "drop 0+100, fetch 200+100/4");
    // What the end of this one plans is dropped by the next one at once, so nothing of it is fetched.
    CHECK(r.begin(5'000, 100) == "");
    CHECK(r.arrive(200, 100) == "drop 100+100, drop 200+200, fetch 5000+100/4");
}

TEST_CASE("linear_ramp: bytes arrive in pieces that are no blocks") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.begin(500, 250) == "");
    CHECK(r.arrive(550, 100) == "");
    CHECK(r.arrive(500, 49) == "");
    CHECK(r.arrive(549, 1) == "drop 400+100, fetch 800+125, fetch 925+125, fetch 1050+50");  // window 4 * 125
    CHECK(r.arrive(0, 100) == "");                                                           // of no block
    CHECK(r.arrive(700, 100) == "");
    CHECK(r.arrive(650, 50) != "");
}

TEST_CASE("linear_ramp: a read whose bytes were delivered does not wait for the rest of the block") {
    ramp r(10'000);
    r.scan(3, 100);
    CHECK(r.begin(300, 50) == "");
    CHECK(r.arrive(300, 50) == "");
    CHECK(r.end(300, 50) == "drop 200+100, fetch 400+50/2");  // window 2 * 50 from 350 on
    CHECK(r.begin(350, 150) == "");
    CHECK(r.arrive(350, 50) == "");
    // The rest of the read, too: it has not been planned yet. Window 3 * 150 from 450 on.
    CHECK(r.end(350, 150) == "drop 300+100, drop 400+50, fetch 450+150, fetch 600+150, fetch 750+150");
}

TEST_CASE("linear_ramp: the delivery of one read is no delivery of the next") {
    ramp r(10'000);
    r.scan(3, 100);
    r.begin(300, 50);
    r.end(300, 50);
    CHECK(r.begin(350, 100) == "");
    CHECK(r.begin(450, 10) == "");
    CHECK(r.arrive(400, 25) == "");
}

TEST_CASE("linear_ramp: a block of which bytes are lost is waited for by no later read") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.begin(500, 100) == "");
    CHECK(r.lose(520, 10) == "");  // the read fails, or has these bytes requested
    CHECK(r.end(500, 100) == "drop 400+100, fetch 800+100, fetch 900+100");
    CHECK(r.lose(650, 100) == "");
    CHECK(r.begin(600, 150) != "");
}

TEST_CASE("linear_ramp: after a failed read the next one starts anew") {
    ramp r(10'000);
    r.scan(5, 100);
    CHECK(r.begin(500, 100) == "");
    SUBCASE("cancelled") {
        CHECK(r.end(500, 100, false) == "drop 400+400");
    }
    SUBCASE("reset") {
        r.reset();
        CHECK(r.end(500, 100, false) == "");
    }
    CHECK(r.window() == 0);
    CHECK(r.arrive(500, 100) == "");
    CHECK(r.scan(3, 100, 500) == "fetch 700+100/4 | drop 600+100, fetch 800+100/4");
}

TEST_CASE("linear_ramp: a read that waits for a failed one starts anew when that one ends") {
    ramp r(10'000);
    r.scan(5, 100);
    r.begin(500, 100);
    CHECK(r.begin(600, 100) == "");
    SUBCASE("cancelled") {
        CHECK(r.end(500, 100, false) == "drop 400+400, fetch 600+100/4");
    }
    SUBCASE("reset") {
        r.reset();
        CHECK(r.end(500, 100, false) == "fetch 600+100/4");
    }
}

TEST_CASE("linear_ramp: nothing is planned while the caller reads at random") {
    ramp r(10'000);
    r.scan(5, 100);
    r.begin(500, 100);
    r.begin(600, 100);
    CHECK(r.advise(access_pattern::random) == "drop 400+400");
    CHECK(r.window() == 0);
    CHECK(r.begin(800, 100) == "");
    CHECK(r.arrive(500, 300) == "");
    CHECK(r.end(800, 100) == "");
    CHECK(r.advise(access_pattern::sequential) == "");
    CHECK(r.scan(3, 100, 900) == "fetch 1100+100/4 | drop 1000+100, fetch 1200+100/4");
    CHECK(r.advise(access_pattern::unknown) == "");
    CHECK(r.window() == 100);
}
