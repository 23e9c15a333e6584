#include <rangeio/error.hpp>

#include "emulator/faulty.hpp"

#include <doctest/doctest.h>

#include <fstream>

using namespace support;
using rangeio::emulator::server_options;

// Where faults strike, when, and how often; and what they do to objects.

namespace {

/// Which of so many calls fail.
std::string failing_calls(faulty_fixture& f, int calls) {
    std::string out;
    for (int i = 0; i < calls; ++i) out += seen_stream(f, {{0, 10, 1}}).outcome.code == code::ok ? '.' : 'x';
    return out;
}

std::string failing_calls(std::string_view script, int calls, std::uint64_t seed) {
    faulty_fixture f(script, 1000, server_options().fault_seed(seed));
    return failing_calls(f, calls);
}

std::string refusal(std::string_view script, const server_options& options = {}) {
    try {
        const faulty_fixture f(script, 10, options);
    } catch (const rangeio::error& e) {
        return e.what();
    }
    return "accepted";
}

std::string complement(std::string text) {
    for (char& c : text) c = static_cast<char>(~c);
    return text;
}

}  // namespace

TEST_CASE("faults: calls are counted from 1, and each fault strikes as often as its script states") {
    faulty_fixture f("fail-open call=2; fail-open call=5 times=0; reset call=7 times=3");
    CHECK(failing_calls(f, 8) == ".x..x.x.");
    CHECK(f.server.stats().faults_struck == std::vector<std::uint64_t>{1, 1, 1});
    faulty_fixture g("fail-open times=3");
    CHECK(failing_calls(g, 5) == "xxx..");
    CHECK(g.server.stats().faults_struck == std::vector<std::uint64_t>{3});
    faulty_fixture h("fail-open times=0");
    CHECK(failing_calls(h, 5) == "xxxxx");
}

TEST_CASE("faults: equal seeds strike at the same places, another seed at others") {
    const std::string once = failing_calls("fail-open times=0 chance=50%", 40, 1);
    CHECK(once.find('x') != std::string::npos);
    CHECK(once.find('.') != std::string::npos);
    CHECK(failing_calls("fail-open times=0 chance=50%", 40, 1) == once);
    CHECK(failing_calls("fail-open times=0 chance=50%", 40, 2) != once);
    // A script may bring its seed, and the option overrules it.
    const char* script = R"({"seed": 1, "faults": [{"kind": "fail-open", "times": 0, "chance": "50%"}]})";
    faulty_fixture f(script);
    CHECK(failing_calls(f, 40) == once);
    CHECK(failing_calls(script, 40, 2) != once);
}

TEST_CASE("faults: several faults strike on one call, each at its place") {
    faulty_fixture f("bad-checksum range=1 byte=10; repeat range=2; new-handle byte=70; chunk bytes=50");
    const seen_stream got(f, {{0, 60, 1}, {100, 60, 2}});
    std::string shape;
    for (const seen_chunk& c : got.chunks) {
        shape += std::to_string(c.id) + ':' + std::to_string(c.offset) + '+' + std::to_string(c.bytes.size());
        shape += c.good_checksum ? c.end ? "e " : " " : "! ";
    }
    // Ranges take turns; chunks end where something could strike.
    CHECK(shape == "1:0+10 2:100+50 2:100+50 1:10+10! 2:150+10e 1:20+40e ");
}

TEST_CASE("fault latency: each response is delayed, and its bytes are right") {
    faulty_fixture f("latency delay=10ms; chunk bytes=250");
    const auto start = std::chrono::steady_clock::now();
    const seen_stream got(f, {{0, 1000, 1}});
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(40));
    CHECK(got.chunks.size() == 4);
    CHECK(got.bytes(1) == f.content);
    CHECK(got.outcome.code == code::ok);
}

TEST_CASE("fault latency: messages of the client are accepted while a response is delayed") {
    faulty_fixture f("latency delay=30ms times=1");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    call.write(bidi_request("", {{10, 10, 2}}).SerializeAsString());
    call.half_close();
    seen got;
    CHECK(got.read_all(call).code == code::ok);
    CHECK(got.bytes(1) == f.content.substr(0, 10));
    CHECK(got.bytes(2) == f.content.substr(10, 10));
}

TEST_CASE("fault latency: neither a client that cancels nor a shutdown waits for the delayed response") {
    faulty_fixture f("latency delay=3600s");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    raw_call other = f.open_stream();
    other.write(bidi_request("o", {{0, 10, 1}}).SerializeAsString());
    call.cancel();
    CHECK(call.finish().code == code::cancelled);
    f.server.shutdown();
    CHECK(f.server.stats().bidi_read_object.open == 0);
}

TEST_CASE("fault bandwidth: a call sends at most the given number of bytes in a second") {
    faulty_fixture f("bandwidth bytes=20000; chunk bytes=200");
    const auto start = std::chrono::steady_clock::now();
    const seen_stream got(f, {{0, 1000, 1}});
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(50));
    CHECK(got.bytes(1) == f.content);
}

TEST_CASE("fault slow-open: the first response is delayed, the following ones are not") {
    faulty_fixture f("slow-open delay=20ms");
    raw_call call = f.open_stream();
    const auto start = std::chrono::steady_clock::now();
    call.write(bidi_request("o", {}).SerializeAsString());
    seen got;
    got.read(call, 1);
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(20));
    CHECK(got.responses[0].has_metadata());
    call.write(bidi_request("", {{0, 10, 1}}).SerializeAsString());
    got.read(call, 1);
    CHECK(got.bytes(1) == f.content.substr(0, 10));
}

TEST_CASE("fault new-generation: open calls continue, later calls get the complement of each byte") {
    faulty_fixture f("new-generation byte=500");
    const seen_stream got(f, {{0, 1000, 1}});
    CHECK(got.bytes(1) == f.content);
    CHECK(got.outcome.code == code::ok);
    const std::int64_t before = got.responses.at(0).metadata().generation();
    const seen_stream after(f, {{0, 1000, 1}});
    CHECK(after.bytes(1) == complement(f.content));
    const storage::Object& now = after.responses.at(0).metadata();
    CHECK(now.generation() > before);
    CHECK(now.size() == 1000);
    CHECK(now.checksums().crc32c() != got.responses.at(0).metadata().checksums().crc32c());
    CHECK(f.stat("o").generation() == now.generation());

    storage::BidiReadObjectRequest pinned = bidi_request("o", {{0, 10, 1}});
    pinned.mutable_read_object_spec()->set_generation(before);
    CHECK(seen_stream(f, pinned).outcome.code == code::not_found);
    // The file was left alone; what becomes of it is a generation more.
    std::ifstream file(f.files.path() / "b/o", std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == f.content);
    f.files.write("b/o", "text");
    CHECK(seen_stream(f, {{0, 0, 1}}).bytes(1) == "text");
    CHECK(f.stat("o").generation() > now.generation());
}

TEST_CASE("fault grow: an unfinalized object has more bytes for later requests, on the same call too") {
    faulty_fixture f("grow byte=500 bytes=300", 1000, server_options().unfinalized("b/o"));
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString());
    seen got;
    got.read(call, 2);
    CHECK(got.bytes(1) == f.content);
    call.write(bidi_request("", {{1000, 0, 2}}).SerializeAsString());
    call.half_close();
    CHECK(got.read_all(call).code == code::ok);
    std::string grown;
    for (int i = 1000; i < 1300; ++i) grown += static_cast<char>(i % 251);
    CHECK(got.bytes(2) == grown);
    const storage::Object now = f.stat("o");
    CHECK(now.size() == 1300);
    CHECK(now.generation() == got.responses.at(0).metadata().generation());
    CHECK_FALSE(now.has_finalize_time());
}

TEST_CASE("fault grow: a finalized object does not grow") {
    faulty_fixture f("grow bytes=300");
    CHECK(seen_stream(f, {{0, 0, 1}}).bytes(1) == f.content);
    CHECK(f.stat("o").size() == 1000);
}

TEST_CASE("fault old-size: a call is served from an earlier, smaller state of an unfinalized object") {
    faulty_fixture f("old-size call=1 bytes=300", 1000, server_options().unfinalized("b/o"));
    const std::string before = f.content.substr(0, 700);
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {{0, 0, 1}}).SerializeAsString());
    seen got;
    got.read(call, 1);
    const storage::Object& told = got.responses.at(0).metadata();
    CHECK(told.size() == 700);
    CHECK(told.checksums().crc32c() == rangeio::crc32c(std::as_bytes(std::span(before))));
    CHECK(told.generation() == f.stat("o").generation());
    CHECK(got.bytes(1) == before);
    call.write(bidi_request("", {{-50, 0, 2}, {700, 0, 3}}).SerializeAsString());
    got.read(call, 2);
    CHECK(got.bytes(2) == before.substr(650));
    CHECK(got.bytes(3).empty());
    call.write(bidi_request("", {{701, 0, 4}}).SerializeAsString());
    CHECK(got.read_all(call).code == code::out_of_range);
    CHECK(seen_stream(f, {{0, 0, 1}}).bytes(1) == f.content);
}

TEST_CASE("fault old-size: an object smaller than the given size is served as empty") {
    faulty_fixture f("old-size bytes=1001", 1000, server_options().unfinalized("b/o"));
    const seen_stream got(f, {{0, 0, 1}});
    CHECK(got.outcome.code == code::ok);
    CHECK(got.responses.at(0).metadata().size() == 0);
    CHECK(got.bytes(1).empty());
}

TEST_CASE("fault old-size: on a finalized object the fault does not strike") {
    faulty_fixture f("old-size");
    CHECK(seen_stream(f, {{0, 0, 1}}).bytes(1) == f.content);
    CHECK(f.server.stats().faults_struck.at(0) == 0);
}

TEST_CASE("faults: a value that would need all memory is rejected by its name") {
    CHECK(refusal("grow bytes=1073741825") == "fault grow: bytes: 1073741825 is not in 0..1073741824");
    CHECK(refusal("surplus bytes=1048577") == "fault surplus: bytes: 1048577 is not in 0..1048576");
}
