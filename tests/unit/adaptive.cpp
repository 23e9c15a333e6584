#include "fsm/adaptive.hpp"

#include "support/prefetch_link.hpp"
#include "support/prefetch_traces.hpp"
#include "support/schedules.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

// What the policy is worth, in virtual time: the throughput that it reaches, and the bytes that it wastes. All traces
// and links: tests/benchmark/prefetch_policies.cpp.

namespace {

using namespace std::chrono_literals;
using namespace support;
using rangeio::fsm::adaptive;
using rangeio::fsm::waste_account;
using order = link_shape::order;

struct named_link {
    std::string name;
    link_shape shape;

    double in_flight() const {
        return shape.bytes_per_second * std::chrono::duration<double>(shape.latency).count();
    }
};

constexpr double gib_per_second = static_cast<double>(one_gib);

std::array<named_link, 4> links(order how) {
    return {{
        {fmt::format("100M/10, order {}", static_cast<int>(how)), {1e8, 10ms, how}},
        {fmt::format("1G/1, order {}", static_cast<int>(how)), {gib_per_second, 1ms, how}},
        {fmt::format("1G/10, order {}", static_cast<int>(how)), {gib_per_second, 10ms, how}},
        {fmt::format("1G/50, order {}", static_cast<int>(how)), {gib_per_second, 50ms, how}},
    }};
}

played_trace with_adaptive(const link_shape& shape, const read_trace& trace) {
    adaptive policy({}, std::make_shared<waste_account>());
    prefetch_reader reader(&policy, simulated_link(shape), trace.size);
    return play(reader, trace);
}

played_trace without(const link_shape& shape, const read_trace& trace) {
    prefetch_reader reader(nullptr, simulated_link(shape), trace.size);
    return play(reader, trace);
}

std::uint64_t mibs(double bytes) {
    return static_cast<std::uint64_t>(bytes / static_cast<double>(one_mib));
}

/// With a sanitizer less is simulated, as fewer schedules are explored elsewhere.
bool brief() {
    return support::schedule_budget() < support::usual_schedules;
}

/// What the policy may waste, besides 5 % of what is read.
double allowance(const named_link& link) {
    return std::max(32.0 * one_mib, 2 * link.in_flight());
}

void check_waste(const named_link& link, const played_trace& played) {
    const double read = static_cast<double>(played.counts.read);
    CHECK(
        static_cast<double>(played.counts.wasted) <=
        2 * allowance(link) + 0.05 * read + 1.25 * link.in_flight()
    );
}

}  // namespace

TEST_CASE("adaptive: a scan reaches 95 % of the link within 8 MiB and two bandwidth-delay products") {
    for (const order how : {order::streams, order::shared}) {
        for (const named_link& link : links(how)) {
            for (const std::uint64_t each : {4 * one_kib, 64 * one_kib, one_mib, 16 * one_mib}) {
                if (brief() && each < 64 * one_kib) continue;
                CAPTURE(link.name);
                CAPTURE(each);
                const auto from = 8 * one_mib + static_cast<std::uint64_t>(2 * link.in_flight());
                const read_trace trace =
                    sequential((from + 320 * one_mib) / (16 * one_mib) * (16 * one_mib), each);
                const played_trace played = with_adaptive(link.shape, trace);
                CHECK(played.rate_after(from, 256 * one_mib) >= 0.95 * link.shape.bytes_per_second);
                CHECK(played.counts.wasted == 0);
            }
        }
    }
}

TEST_CASE("adaptive: a scan of a service that interleaves the ranges of a stream reaches 75 % of the link") {
    for (const named_link& link : links(order::interleaved)) {
        for (const std::uint64_t each : {64 * one_kib, one_mib}) {
            CAPTURE(link.name);
            CAPTURE(each);
            const auto from = 8 * one_mib + static_cast<std::uint64_t>(2 * link.in_flight());
            const played_trace played = with_adaptive(link.shape, sequential(from + 320 * one_mib, each));
            CHECK(played.rate_after(from, 256 * one_mib) >= 0.75 * link.shape.bytes_per_second);
        }
    }
}

TEST_CASE("adaptive: the window stays near what the link needs while a scan waits for ever") {
    for (const order how : {order::streams, order::shared}) {
        const link_shape shape{1e8, 50ms, how};
        const played_trace played = with_adaptive(shape, sequential(256 * one_mib, 64 * one_kib));
        // 1.25 x 4.8 MiB and 8 units; some of it is under way, some kept behind the reader.
        CHECK(mibs(static_cast<double>(played.counts.peak)) <= 16);
    }
}

TEST_CASE("adaptive: scans that take turns reach 90 % of the link together, each with its share") {
    for (const order how : {order::streams, order::shared}) {
        for (const named_link& link : links(how)) {
            for (const std::uint64_t scans : {2U, 4U}) {
                for (const std::uint64_t each : {64 * one_kib, one_mib}) {
                    CAPTURE(link.name);
                    CAPTURE(scans);
                    CAPTURE(each);
                    const auto n = static_cast<double>(scans);
                    const double from = std::max(32.0 * one_mib, 1.2 * n * link.in_flight());
                    const read_trace trace = interleaved(scans, (mibs(from) / 64 + 6) * 64 * one_mib, each);
                    const played_trace played = with_adaptive(link.shape, trace);
                    const auto begin = static_cast<std::uint64_t>(from);
                    CHECK(played.rate_after(begin, 192 * one_mib) >= 0.9 * link.shape.bytes_per_second);
                }
            }
        }
    }
}

TEST_CASE("adaptive: a reader slower than the link does not wait any more after a while") {
    struct pace {
        std::uint64_t each;
        std::chrono::nanoseconds think;  // about 50 MB/s together with it
    };
    for (const named_link& link : links(order::streams)) {
        for (const pace& p : {pace{4 * one_kib, 100us}, pace{64 * one_kib, 1300us}, pace{one_mib, 20ms}}) {
            CAPTURE(link.name);
            CAPTURE(p.each);
            adaptive policy({}, std::make_shared<waste_account>());
            prefetch_reader reader(&policy, simulated_link(link.shape), 128 * one_mib);
            const read_trace trace = sequential(128 * one_mib, p.each, p.think);
            const auto from = 8 * one_mib + static_cast<std::uint64_t>(2 * link.in_flight());
            std::int64_t waited = -1;
            for (const byte_range& range : trace.reads) {
                if (waited < 0 && range.offset() >= from) waited = reader.totals().waited;
                reader.read(range, trace.think);
            }
            if (waited >= 0) CHECK(reader.totals().waited == waited);
        }
    }
}

TEST_CASE("adaptive: random reads, and the headers of an archive, plan nothing") {
    for (const named_link& link : links(order::streams)) {
        for (const read_trace& trace : {random_reads(8 * one_gib, 2000, 64 * one_kib), tar_walk(2000)}) {
            const played_trace played = with_adaptive(link.shape, trace);
            CHECK(played.counts.planned == 0);
            CHECK(played.seconds() == without(link.shape, trace).seconds());
        }
    }
}

TEST_CASE("adaptive: shuffled records cost nothing if read at once, and gain if read in pieces") {
    for (const named_link& link : links(order::streams)) {
        CAPTURE(link.name);
        const read_trace whole = shuffled(256 * one_mib, one_mib, one_mib);
        const played_trace played = with_adaptive(link.shape, whole);
        CHECK(played.rate() >= 0.97 * without(link.shape, whole).rate());
        CHECK(played.waste() < 0.02);
        const read_trace pieces = shuffled(256 * one_mib, one_mib, 64 * one_kib);
        CHECK(with_adaptive(link.shape, pieces).rate() > 5 * without(link.shape, pieces).rate());
    }
}

TEST_CASE("adaptive: scans that go back again and again, and backward scans, are scans") {
    for (const named_link& link : links(order::streams)) {
        CAPTURE(link.name);
        const read_trace within = zigzag(64 * one_mib, one_mib, one_mib / 2, 64 * one_kib);
        CHECK(with_adaptive(link.shape, within).rate() > 20 * without(link.shape, within).rate());
        const read_trace beyond = zigzag(128 * one_mib, 8 * one_mib, 4 * one_mib, 64 * one_kib);
        const played_trace zigzagged = with_adaptive(link.shape, beyond);
        CHECK(zigzagged.rate() > 5 * without(link.shape, beyond).rate());
        CHECK(zigzagged.waste() < 0.01);
        const read_trace reversed = backward(128 * one_mib, 64 * one_kib);
        CHECK(with_adaptive(link.shape, reversed).rate() > 15 * without(link.shape, reversed).rate());
    }
}

TEST_CASE("adaptive: runs of equal length are learnt: the window ends where they end") {
    for (const named_link& link : links(order::streams)) {
        CAPTURE(link.name);
        if (link.in_flight() > 32.0 * one_mib) continue;  // the window is as large as the runs
        const read_trace trace = strided(2 * one_gib, 64 * one_mib, 64 * one_mib, 64 * one_kib);
        const played_trace played = with_adaptive(link.shape, trace);
        CHECK(played.waste() < 0.05);
        CHECK(played.rate_after(512 * one_mib, 448 * one_mib) > 0.8 * link.shape.bytes_per_second);
    }
}

TEST_CASE("adaptive: a far seek in mid-scan costs one demand behind what is under way") {
    for (const named_link& link : links(order::streams)) {
        CAPTURE(link.name);
        adaptive policy({}, std::make_shared<waste_account>());
        prefetch_reader reader(&policy, simulated_link(link.shape), 8 * one_gib);
        const read_trace trace = sequential(256 * one_mib, one_mib);
        play(reader, trace);
        CHECK(reader.under_way() <= policy.max_under_way() + one_mib);
        const auto queue = std::chrono::duration<double>(
            (1.25 * link.in_flight() + 9.0 * one_mib + 0.25 * one_mib) / link.shape.bytes_per_second
        );
        const std::uint64_t planned = reader.totals().planned;
        const auto before = reader.now();
        reader.read({4 * one_gib, 64 * one_kib});
        CHECK(reader.now() - before < link.shape.latency + queue);
        CHECK(reader.totals().planned == planned);
    }
}

TEST_CASE("adaptive: waste is bounded, and hardly a trace is slower for it, whatever is read") {
    int slower = 0, traces = 0;
    for (std::uint64_t seed = 0; seed < (brief() ? 24U : 240U); ++seed) {
        CAPTURE(seed);
        const auto how = static_cast<order>(seed % 3);
        const named_link link = links(how)[seed / 3 % 4];
        const read_trace trace = attack(seed, 4 * one_gib, 96 * one_mib, 3000);
        const played_trace played = with_adaptive(link.shape, trace);
        check_waste(link, played);
        const double off = without(link.shape, trace).seconds();
        CHECK(played.seconds() < 1.4 * off);
        if (played.seconds() > 1.05 * off) ++slower;
        ++traces;
    }
    CHECK(slower * 100 <= traces);
}

TEST_CASE("adaptive: readers of a client waste one allowance together") {
    const named_link link = links(order::streams)[2];
    const auto account = std::make_shared<waste_account>();
    std::uint64_t read = 0, wasted = 0;
    for (int i = 0; i < 30; ++i) {
        adaptive policy({}, account);
        prefetch_reader reader(&policy, simulated_link(link.shape), one_gib);
        // Runs that end, each somewhere else, until all their windows have been dropped.
        for (std::uint64_t run = 0; run < 12; ++run) {
            const std::uint64_t bytes = (3 + run * 5 % 7) * one_mib;
            for (std::uint64_t at = 0; at < bytes; at += 64 * one_kib)
                reader.read({run * 64 * one_mib + at, 64 * one_kib});
        }
        reader.advise(rangeio::fsm::access_pattern::random);
        read += reader.totals().read;
        wasted += reader.totals().wasted;
    }
    CHECK(static_cast<double>(wasted) <= 2 * allowance(link) + 0.05 * static_cast<double>(read));
}

TEST_CASE("adaptive: the latency of a scan that never pauses is measured anew, and its window does not creep"
) {
    for (const order how : {order::streams, order::shared}) {
        if (brief() && how == order::shared) continue;
        const link_shape shape{gib_per_second, 10ms, how};
        adaptive policy({}, std::make_shared<waste_account>());
        prefetch_reader reader(&policy, simulated_link(shape), 200 * one_gib);
        std::uint64_t at = 0, largest = 0;
        const auto scan = [&](std::chrono::nanoseconds time) {
            const std::uint64_t from = at;
            const auto begin = reader.now();
            largest = 0;
            for (; reader.now() < begin + time; at += one_mib) {
                reader.read({at, one_mib});
                largest = std::max(largest, policy.window());
            }
            const std::chrono::duration<double> took = reader.now() - begin;
            return static_cast<double>(at - from) / took.count() / shape.bytes_per_second;
        };
        scan(1s);
        CHECK(scan(40s) > 0.99);
        CHECK(mibs(static_cast<double>(largest)) <= 32);
        reader.link().latency(20ms);
        scan(12s);
        CHECK(scan(5s) > 0.95);
        CHECK(policy.link().latency() > 19ms);
    }
}
