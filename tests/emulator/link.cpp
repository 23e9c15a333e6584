#include "emulator/calls/shaped_link.hpp"
#include "emulator/fixture.hpp"
#include "support/mib.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <vector>

// The simulated network: when bytes arrive at a client that only reads. No byte may be early, in any try. A machine
// with other work is late, so for the upper bounds the best of a few tries counts.

using namespace support;
using namespace std::chrono_literals;
using rangeio::emulator::server_options;
using rangeio::emulator::shaped_link;
using rangeio::testing::link_options;

namespace {

using clock_type = std::chrono::steady_clock;
using time_point = clock_type::time_point;
using seconds = std::chrono::duration<double>;

constexpr auto endless = 1h;

server_options linked(link_options how) {
    return server_options().link(how);
}

std::int64_t payload_of(const std::string& message) {
    storage::BidiReadObjectResponse response;
    REQUIRE(response.ParseFromString(message));
    std::int64_t bytes = 0;
    for (const auto& data : response.object_data_ranges()) {
        bytes += static_cast<std::int64_t>(data.checksummed_data().content().size());
    }
    return bytes;
}

/// The bytes that have arrived, and when.
struct arrivals {
    std::int64_t bytes = 0;
    time_point last;
    double earliest = 1e9;  // by how many seconds the earliest message was late

    /// Reads `wanted` bytes of a stream. `began`: when the link is free for the first of them.
    void read(raw_call& call, std::int64_t wanted, time_point began, double bytes_per_second) {
        while (bytes < wanted) {
            const auto message = call.read();
            last = clock_type::now();
            REQUIRE(message);
            bytes += payload_of(*message);
            const double due = static_cast<double>(bytes) / bytes_per_second;
            earliest = std::min(earliest, seconds(last - began).count() - due);
        }
    }
};

/// The least of up to three results of `measure`; the first that is at most `enough`.
template <class Measure>
double best_of(double enough, Measure measure) {
    double best = measure();
    for (int i = 1; i < 3 && best > enough; ++i) best = std::min(best, measure());
    return best;
}

/// How long `action` takes.
template <class Action>
double duration_of(Action action) {
    const time_point began = clock_type::now();
    action();
    return seconds(clock_type::now() - began).count();
}

/// Whether `condition` holds before the deadline of a call.
template <class Condition>
bool becomes_true(Condition condition) {
    const time_point give_up = clock_type::now() + raw_client::deadline / 2;
    while (!condition()) {
        if (clock_type::now() >= give_up) return false;
        std::this_thread::yield();
    }
    return true;
}

storage::ReadObjectRequest read_request(const std::string& object) {
    storage::ReadObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object(object);
    return request;
}

storage::GetObjectRequest get_request(const std::string& object) {
    storage::GetObjectRequest request;
    request.set_bucket(bucket_name);
    request.set_object(object);
    return request;
}

}  // namespace

TEST_CASE(
    "link: a call that asks for N bytes at once has them after latency + N / bandwidth, and none earlier"
) {
    constexpr auto latency = 200ms;
    constexpr std::int64_t size = 64 * mib;
    constexpr auto per_second = static_cast<double>(64 * mib);
    constexpr double expected = 0.2 + static_cast<double>(size) / per_second;
    // Messages of 2 ms: if the delay of a thread delayed all that follow, this would be far from the limit.
    const auto how =
        server_options().link(link_options().latency(latency).bandwidth(64 * mib)).max_chunk_bytes(mib / 8);
    fixture f(how);
    f.files.write("b/o", std::string(static_cast<std::size_t>(size), 'x'));
    f.stat("o");  // has its checksum computed, which the first call would wait for
    const auto bidi = [&] {
        raw_call call = f.open_stream();
        const time_point began = clock_type::now();
        REQUIRE(call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString()));
        arrivals got;
        got.read(call, size, began + latency, per_second);
        CHECK(got.earliest >= 0);
        return seconds(got.last - began).count();
    };
    const auto read = [&] {
        raw_call call = f.client.start(read_object, bucket_params);
        const time_point began = clock_type::now();
        REQUIRE(call.write(read_request("o").SerializeAsString()));
        std::int64_t bytes = 0;
        while (bytes < size) {
            storage::ReadObjectResponse response;
            REQUIRE(response.ParseFromString(call.read().value()));
            bytes += static_cast<std::int64_t>(response.checksummed_data().content().size());
            const double due = 0.2 + static_cast<double>(bytes) / per_second;
            CHECK(seconds(clock_type::now() - began).count() >= due);
        }
        return seconds(clock_type::now() - began).count();
    };
    CHECK(best_of(expected * 1.05, bidi) <= expected * 1.05);
    CHECK(best_of(expected * 1.05, read) <= expected * 1.05);
}

TEST_CASE("link: two calls on two connections share the bandwidth in turn") {
    constexpr auto latency = 100ms;
    constexpr std::int64_t size = 32 * mib;
    constexpr auto per_second = static_cast<double>(64 * mib);
    constexpr double expected = 0.1 + 2 * static_cast<double>(size) / per_second;
    fixture f(linked(link_options().latency(latency).bandwidth(64 * mib)));
    f.files.write("b/o", std::string(static_cast<std::size_t>(size), 'x'));
    f.stat("o");
    raw_client second(f.server.address());
    const auto measure = [&] {
        raw_call calls[] = {f.open_stream(), second.start(bidi_read_object, bucket_params)};
        const time_point began = clock_type::now();
        arrivals got[2];
        for (raw_call& call : calls) {
            REQUIRE(call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString()));
        }
        auto other =
            std::async(std::launch::async, [&] { got[1].read(calls[1], size, began + latency, per_second); });
        got[0].read(calls[0], size, began + latency, per_second);
        other.get();
        for (const arrivals& one : got) CHECK(one.earliest >= 0);
        const auto [first, last] = std::minmax(got[0].last, got[1].last);
        CHECK(seconds(last - began).count() >= expected);
        // Neither waited for the end of the other.
        const bool in_turn = seconds(last - first).count() < 0.2 * expected;
        return in_turn ? seconds(last - began).count() : 1e9;
    };
    CHECK(best_of(expected * 1.05, measure) <= expected * 1.05);
}

TEST_CASE(
    "link: ranges that are asked for one after another are served one latency later each, not one after "
    "another"
) {
    constexpr auto latency = 400ms;
    constexpr std::int64_t count = 100;
    fixture f(linked(link_options().latency(latency)));
    f.files.write("b/o", pattern(1000));
    const auto measure = [&] {
        raw_call call = f.open_stream();
        std::vector<time_point> sent;
        for (std::int64_t id = 0; id < count; ++id) {
            sent.push_back(clock_type::now());
            REQUIRE(call.write(bidi_request(id == 0 ? "o" : "", {{id, 1, id}}).SerializeAsString()));
        }
        received got;
        for (std::size_t i = 0; i < sent.size(); ++i) {
            got.read(call, i + 1);
            CHECK(clock_type::now() - sent[i] >= latency);
            CHECK(got.order.back() == static_cast<std::int64_t>(i));
        }
        const seconds after_last = clock_type::now() - sent.back();
        CHECK(call.half_close());
        CHECK(got.read_all(call).code == code::ok);
        return after_last.count();
    };
    CHECK(best_of(0.42, measure) <= 0.42);
}

TEST_CASE("link: faults cause delays in addition to those of the link") {
    std::string script;
    double seconds_each = 0;
    SUBCASE("none that delays") {
        script = "chunk bytes=10000";
        seconds_each = 0.010;
    }
    SUBCASE("a delay before each response") {
        script = "chunk bytes=10000; latency delay=5ms";
        seconds_each = 0.015;
    }
    const auto how = link_options().latency(20ms).bandwidth(1'000'000);
    fixture f(server_options().link(how).faults(rangeio::testing::fault_script::parse(script)));
    f.files.write("b/o", pattern(100'000));
    raw_call call = f.open_stream();
    const time_point began = clock_type::now();
    REQUIRE(call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString()));
    arrivals got;
    got.read(call, 100'000, began + 20ms, 10'000 / seconds_each);
    CHECK(got.earliest >= 0);
}

TEST_CASE("link: a small message does not wait for the turn of the message after it") {
    fixture f(linked(link_options().bandwidth(1000)));
    f.files.write("b/o", pattern(2 * mib));
    raw_call call = f.open_stream();
    REQUIRE(call.write(bidi_request("o", {{0, 1, 1}, {0, 1, 2}, {0, 0, 3}}).SerializeAsString()));
    received got;
    got.read(call, 2);  // the third takes half an hour
    CHECK(got.order == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("link: the half-close takes as long as the messages before it") {
    fixture f(linked(link_options().latency(100ms)));
    f.files.write("b/o", "content");
    stream_result result;
    const double took = duration_of([&] { result = read_ranges(f, bidi_request("o", {{0, 7, 1}})); });
    CHECK(took >= 0.1);
    CHECK(result.got.bytes[1] == "content");
    CHECK(result.outcome.code == code::ok);
}

TEST_CASE("link: unary calls and errors have the latency") {
    fixture f(linked(link_options().latency(200ms)));
    f.files.write("b/o", "content");
    const auto measure = [&](auto action) {
        const double best = best_of(0.21, [&] {
            const double took = duration_of(action);
            CHECK(took >= 0.2);
            return took;
        });
        CHECK(best <= 0.21);
    };
    measure([&] { CHECK(f.stat("o").size() == 7); });
    measure([&] { CHECK(f.refused(get_object, get_request("none")).code == code::not_found); });
    measure([&] { CHECK(f.refused(read_object, read_request("none")).code == code::not_found); });
    measure([&] { CHECK(read_ranges(f, bidi_request("none", {})).outcome.code == code::not_found); });
}

TEST_CASE("link: neither a client that cancels nor a shutdown waits for the link") {
    link_options how;
    SUBCASE("a request that is on its way") {
        how.latency(endless);
    }
    SUBCASE("data that waits for its turn") {
        how.bandwidth(1);
    }
    fixture f(linked(how));
    f.files.write("b/o", pattern(100'000));
    std::vector<raw_call> cancelled;
    std::vector<raw_call> left;
    for (std::vector<raw_call>* calls : {&cancelled, &left}) {
        calls->push_back(f.open_stream());
        REQUIRE(calls->back().write(bidi_request("o", {{0, 0, 1}}).SerializeAsString()));
        calls->push_back(f.client.start(read_object, bucket_params));
        REQUIRE(calls->back().write(read_request("o").SerializeAsString()));
        // Answered at once on a link that has only a bandwidth.
        calls->push_back(f.client.start(get_object, bucket_params));
        REQUIRE(calls->back().write(get_request("o").SerializeAsString()));
    }
    CHECK(becomes_true([&] {
        const auto seen = f.server.stats();
        return seen.bidi_read_object.requests == 2 && seen.read_object.requests == 2 &&
               seen.get_object.requests == 2;
    }));
    for (raw_call& call : cancelled) call.cancel();
    CHECK(becomes_true([&] {
        const auto seen = f.server.stats();
        return seen.bidi_read_object.open == 1 && seen.read_object.open == 1 && seen.get_object.open <= 1;
    }));
    f.server.shutdown();
    const auto seen = f.server.stats();
    CHECK(seen.bidi_read_object.open + seen.read_object.open + seen.get_object.open == 0);
    CHECK(seen.bytes_sent == 0);
}

TEST_CASE("link: a stream whose data waits for its turn ends when the server goes away") {
    fixture f(
        linked(link_options().bandwidth(1)).faults(rangeio::testing::fault_script::parse("goaway call=2"))
    );
    f.files.write("b/o", pattern(100'000));
    raw_call waits = f.open_stream();
    REQUIRE(waits.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString()));
    CHECK(becomes_true([&] { return f.server.stats().bidi_read_object.requests == 1; }));
    CHECK(read_ranges(f, bidi_request("o", {})).outcome.code == code::unavailable);
    CHECK_FALSE(waits.read());
    CHECK(waits.finish().code == code::unavailable);
}

TEST_CASE("link: a client that sends more than the link holds is slowed down") {
    fixture f(linked(link_options().latency(endless)));
    f.files.write("b/o", "content");
    raw_call call = f.open_stream();
    storage::BidiReadObjectRequest large = bidi_request("o", {});
    large.mutable_read_object_spec()->set_routing_token(std::string(64 << 10, 'x'));
    auto writer = std::async(std::launch::async, [&] {
        while (call.write(large.SerializeAsString())) {
        }
    });
    // Together they have 1 MiB: the link holds no more.
    const auto held = [&] { return f.server.stats().bidi_read_object.requests; };
    CHECK(becomes_true([&] { return held() == 16; }));
    // What the client has sent by now arrives before these calls on the same connection.
    for (int i = 0; i < 100; ++i) CHECK(f.client.unary("/no/Method", "", "").code == code::unimplemented);
    CHECK(held() == 16);
    f.server.shutdown();
    writer.get();
}

TEST_CASE("link: options out of range are refused by name") {
    const auto message_of = [](link_options how) -> std::string {
        try {
            const fixture never(linked(how));
        } catch (const rangeio::error& e) {
            return e.what();
        }
        return "(no error)";
    };
    CHECK(
        message_of(link_options().latency(-1ns)).find("link: latency: -1 ns is not in 0..") !=
        std::string::npos
    );
    CHECK(
        message_of(link_options().latency(1h + 1ns)).find("link: latency: 3600000000001 ns") !=
        std::string::npos
    );
    CHECK(message_of(link_options().latency(1h)) == "(no error)");
    CHECK(
        message_of(link_options().bandwidth((1ULL << 40) + 1)).find("link: bandwidth: 1099511627777 ") !=
        std::string::npos
    );
    CHECK(message_of(link_options().bandwidth(1ULL << 40)) == "(no error)");
}

TEST_CASE("shaped_link: messages pass one after the other, each ready or not") {
    const time_point start{1h};
    shaped_link link(link_options().latency(5ms).bandwidth(1000));
    CHECK(link.due(start) == start + 5ms);
    CHECK(link.reserve(start, start, 100) == start + 100ms);
    CHECK(link.reserve(start, start, 50) == start + 150ms);
    // Ready when the link has been idle.
    CHECK(link.reserve(start + 200ms, start + 200ms, 10) == start + 210ms);
    // No payload: no cost, and no wait.
    CHECK(link.reserve(start + 201ms, start + 201ms, 0) == start + 201ms);
    CHECK(link.reserve(start + 210ms, start + 210ms, 1) == start + 211ms);
}

TEST_CASE("shaped_link: a call makes up for a short delay, and not for a long one") {
    const time_point start{1h};
    shaped_link link(link_options().bandwidth(1000));
    CHECK(link.reserve(start, start + shaped_link::max_lateness, 5) == start + 5ms);
    CHECK(link.reserve(start + 5ms, start + 1s, 5) == start + 1s - shaped_link::max_lateness + 5ms);
}

TEST_CASE("shaped_link: times are rounded up, and rounding does not add up") {
    const time_point start{1h};
    shaped_link link(link_options().bandwidth(3));
    CHECK(link.reserve(start, start, 1) == start + 333'333'334ns);
    CHECK(link.reserve(start, start, 1) == start + 666'666'667ns);
    CHECK(link.reserve(start, start, 1) == start + 1s);
}

TEST_CASE("shaped_link: without a bandwidth nothing waits, and a backlog of centuries does not overflow") {
    const time_point start{1h};
    shaped_link unlimited(link_options().latency(1s));
    CHECK(unlimited.reserve(start, start, std::uint64_t{64} << 20) == start);
    shaped_link slow(link_options().bandwidth(1));
    for (int i = 0; i < 1000; ++i) {
        const time_point at = slow.reserve(start, start, std::uint64_t{64} << 20);
        CHECK(at > start);
        CHECK(at <= start + std::chrono::hours(24 * 366));
    }
}
