#include <rangeio/error.hpp>

#include "emulator/faulty.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <thread>

using namespace support;
using rangeio::emulator::server_options;

// Faults that are done to connections.

namespace {

/// A client with a connection of its own, and a call on it that has been answered.
struct connected {
    explicit connected(const fixture& f)
        : client(f.server.address()), call(client.start(bidi_read_object, bucket_params)) {
        call.write(bidi_request("o", {}).SerializeAsString());
        got.read(call, 1);
    }
    std::string read(std::int64_t id, std::int64_t length) {
        call.write(bidi_request("", {{0, length, id}}).SerializeAsString());
        while (got.bytes(id).size() < static_cast<std::size_t>(length)) {
            const auto message = call.read();
            if (!message) return "(" + std::to_string(call.finish().code) + ")";
            got.take(*message);
        }
        return got.bytes(id);
    }

    raw_client client;
    raw_call call;
    seen got;
};

std::string complaint(const server_options& options) {
    try {
        const fixture f(options);
    } catch (const rangeio::error& e) {
        return e.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("fault silent-connection: its calls get no byte and no end, and other connections are served") {
    faulty_fixture f("silent-connection call=2 byte=500");
    connected other(f);
    connected silent(f);
    silent.call.write(bidi_request("", {{0, 1000, 1}}).SerializeAsString());
    while (f.server.stats().faults_struck[0] == 0) std::this_thread::yield();
    CHECK(other.read(1, 1000) == f.content);
    // A call on it does not reach the emulator, and is not answered.
    raw_call late = silent.client.start(bidi_read_object, bucket_params);
    late.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    CHECK(connected(f).read(1, 1000) == f.content);
    CHECK(f.server.stats().bidi_read_object.calls == 3);
    late.cancel();
    CHECK(late.finish().code == code::cancelled);
    while (silent.got.bytes(1).size() < 500) silent.got.read(silent.call, 1);
    silent.call.cancel();
    CHECK(silent.got.read_all(silent.call).code == code::cancelled);
    CHECK(silent.got.bytes(1) == f.content.substr(0, 500));
    // The emulator has not heard of that, and ends all the same.
    CHECK(f.server.stats().bidi_read_object.open >= 1);
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}

TEST_CASE("fault slow-link: all calls of all connections share the rate and are served in full") {
    faulty_fixture f("slow-link bytes=100000", 20'000);
    const auto begun = std::chrono::steady_clock::now();
    connected a(f);
    connected b(f);
    a.call.write(bidi_request("", {{0, 20'000, 1}}).SerializeAsString());
    CHECK(b.read(1, 20'000) == f.content);
    while (a.got.bytes(1).size() < 20'000) a.got.read(a.call, 1);
    CHECK(a.got.bytes(1) == f.content);
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(390));
    CHECK(f.server.stats().faults_struck[0] == 1);
}

TEST_CASE("fault max-streams: a call beyond the limit of its connection waits until another call ends") {
    faulty_fixture f("max-streams bytes=1");
    connected first(f);
    // gRPC holds the call back, and blocks the thread that starts it.
    auto second = std::async(std::launch::async, [&] {
        raw_call call = first.client.start(bidi_read_object, bucket_params);
        call.write(bidi_request("o", {{0, 1000, 1}}).SerializeAsString());
        seen got;
        while (got.bytes(1).size() < 1000) got.read(call, 1);
        return got.bytes(1);
    });
    CHECK(connected(f).read(1, 1000) == f.content);
    CHECK(f.server.stats().bidi_read_object.calls == 2);
    first.call.cancel();
    CHECK(first.call.finish().code == code::cancelled);
    CHECK(second.get() == f.content);
    CHECK(f.server.stats().faults_struck[0] == 1);
}

TEST_CASE("fault too-many-pings: the calls of one connection end with it, other connections are served") {
    faulty_fixture f("too-many-pings call=3 byte=500");
    connected other(f);
    connected struck(f);
    raw_call call = struck.client.start(bidi_read_object, bucket_params);
    call.write(bidi_request("o", {{0, 1000, 1}}).SerializeAsString());
    seen got;
    CHECK(got.read_all(call).code == code::unavailable);
    CHECK(got.bytes(1).size() <= 500);
    CHECK(struck.got.read_all(struck.call).code == code::unavailable);
    CHECK(other.read(1, 1000) == f.content);
    CHECK(connected(f).read(1, 1000) == f.content);
}

TEST_CASE("fault outage: all connections end, new ones are refused, then clients are served again") {
    faulty_fixture f("outage call=2 byte=500 delay=300ms");
    connected other(f);
    connected struck(f);
    struck.call.write(bidi_request("", {{0, 1000, 1}}).SerializeAsString());
    CHECK(struck.got.read_all(struck.call).code == code::unavailable);
    CHECK(other.got.read_all(other.call).code == code::unavailable);
    const auto status = [&] {
        raw_client client(f.server.address());
        return client.unary(get_bucket, "", bucket_params).code;
    };
    CHECK(status() == code::unavailable);
    while (status() == code::unavailable) std::this_thread::yield();
    CHECK(connected(f).read(1, 1000) == f.content);
}

TEST_CASE("fault outage: shutdown during the outage ends the emulator") {
    faulty_fixture f("outage delay=86400s");
    CHECK(seen_stream(f, {{0, 10, 1}}).outcome.code == code::unavailable);
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}

TEST_CASE("faults of connections: any other address than a free loopback port is rejected") {
    const fixture taken;
    for (const char* kind : {"silent-connection", "slow-link bytes=1", "too-many-pings", "outage delay=1s"}) {
        CAPTURE(kind);
        server_options options;
        options.faults(rangeio::testing::fault_script::parse(kind));
        CHECK(complaint(options).find("none") == 0);
        CHECK(
            complaint(server_options(options).listen("unix:/tmp/x"))
                .find("requires a port, and unix:/tmp/x has none") != std::string::npos
        );
        CHECK(
            complaint(server_options(options).listen("0.0.0.0:0")) ==
            "0.0.0.0:0 is not an address of the loopback interface"
        );
        CHECK(complaint(server_options(options).listen(taken.server.address()))
                  .starts_with("cannot listen on " + taken.server.address()));
    }
}

TEST_CASE("fault goaway: beside faults of connections, a client that reconnects is served") {
    faulty_fixture f("goaway call=1 byte=500; silent-connection call=100");
    CHECK(seen_stream(f, {{0, 1000, 1}}).outcome.code == code::unavailable);
    for (;;) {
        raw_client client(f.server.address());
        raw_call call = client.start(bidi_read_object, bucket_params);
        call.write(bidi_request("o", {{0, 1000, 1}}).SerializeAsString());
        call.half_close();
        seen got;
        if (got.read_all(call).code != code::ok) continue;
        CHECK(got.bytes(1) == f.content);
        break;
    }
}
