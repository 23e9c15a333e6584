#include "emulator/fixture.hpp"

#include <doctest/doctest.h>

#include <fstream>

using namespace support;

namespace {

storage::BidiReadObjectRequest open_request(const std::string& object = "o") {
    return bidi_request(object, {{0, 0, 1}});
}

}  // namespace

TEST_CASE("generations: a replaced file is a newer generation, and open streams continue with the old one") {
    fixture f;
    const std::string old_content = pattern(1000, 1);
    const std::string new_content = pattern(1000, 2);
    f.files.write("b/o", old_content);
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {}).SerializeAsString());
    received got;
    got.take(call.read().value());
    const storage::Object before = got.responses.front().metadata();
    const std::string handle = got.responses.front().read_handle().handle();

    f.files.write("b/o", new_content);
    const storage::Object after = f.stat("o");
    CHECK(after.generation() > before.generation());
    CHECK(after.checksums().crc32c() != before.checksums().crc32c());
    CHECK(after.etag() != before.etag());

    call.write(bidi_request("", {{0, 0, 1}}).SerializeAsString());
    got.read(call, 1);
    CHECK(got.bytes[1] == old_content);

    SUBCASE("a new stream reads the new generation") {
        CHECK(read_ranges(f, open_request()).got.bytes[1] == new_content);
    }
    SUBCASE("a new stream for the old generation is rejected") {
        storage::BidiReadObjectRequest request = open_request();
        request.mutable_read_object_spec()->set_generation(before.generation());
        const call_outcome outcome = read_ranges(f, request).outcome;
        CHECK(outcome.code == code::not_found);
        CHECK(outcome.message.find(std::to_string(before.generation())) != std::string::npos);
        request.mutable_read_object_spec()->set_generation(after.generation());
        CHECK(read_ranges(f, request).outcome.code == code::ok);
    }
    SUBCASE("a handle pins its generation") {
        storage::BidiReadObjectRequest request = open_request();
        request.mutable_read_object_spec()->mutable_read_handle()->set_handle(handle);
        CHECK(read_ranges(f, request).outcome.code == code::not_found);
    }
}

TEST_CASE("generations: numbers increase with every replacement, however fast") {
    fixture f;
    std::int64_t last = 0;
    for (unsigned i = 0; i < 50; ++i) {
        f.files.write("b/o", pattern(10, i));
        const std::int64_t now = f.stat("o").generation();
        CHECK(now > last);
        last = now;
    }
}

TEST_CASE("generations: a file modified in place ends the streams that read it") {
    fixture f;
    f.files.write("b/o", pattern(1000));
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {}).SerializeAsString());
    REQUIRE(call.read());
    SUBCASE("truncated") {
        std::filesystem::resize_file(f.files.path() / "b/o", 10);
    }
    SUBCASE("truncated to zero bytes") {
        std::filesystem::resize_file(f.files.path() / "b/o", 0);
    }
    SUBCASE("extended") {
        std::ofstream(f.files.path() / "b/o", std::ios::app) << "more";
    }
    call.write(bidi_request("", {{0, 0, 1}}).SerializeAsString());
    received got;
    const call_outcome outcome = got.read_all(call);
    CHECK(outcome.code == code::not_found);
    CHECK(outcome.message.find("modified in place") != std::string::npos);
    CHECK(got.responses.empty());
}

TEST_CASE("generations: a deleted object stays readable on open streams only") {
    fixture f;
    f.files.write("b/o", "text");
    raw_call call = f.open_stream();
    call.write(bidi_request("o", {}).SerializeAsString());
    REQUIRE(call.read());
    std::filesystem::remove(f.files.path() / "b/o");
    call.write(bidi_request("", {{0, 0, 1}}).SerializeAsString());
    received got;
    got.read(call, 1);
    CHECK(got.bytes[1] == "text");
    CHECK(read_ranges(f, open_request()).outcome.code == code::not_found);
}

TEST_CASE("generations: an unfinalized object grows and keeps its generation, also on an open stream") {
    fixture f(rangeio::emulator::server_options().unfinalized("b/log"));
    f.files.write("b/log", "one");
    f.files.write("b/o", "done");
    raw_call call = f.open_stream();
    call.write(bidi_request("log", {{0, 0, 1}}).SerializeAsString());
    received got;
    got.read(call, 1);
    const storage::Object before = got.responses.front().metadata();
    CHECK_FALSE(before.has_finalize_time());
    CHECK(f.stat("o").has_finalize_time());

    std::ofstream(f.files.path() / "b/log", std::ios::app) << "two";
    const storage::Object after = f.stat("log");
    CHECK(after.size() == 6);
    CHECK(after.generation() == before.generation());
    call.write(bidi_request("", {{3, 0, 2}, {-2, 0, 3}, {6, 0, 4}}).SerializeAsString());
    got.read(call, 4);
    CHECK(got.bytes[2] == "two");
    CHECK(got.bytes[3] == "wo");
    CHECK(got.bytes[4].empty());
    CHECK(got.first_offset[4] == 6);

    f.files.write("b/log", "a new log");
    CHECK(f.stat("log").generation() > before.generation());
    call.write(bidi_request("", {{0, 0, 5}}).SerializeAsString());
    CHECK(got.read_all(call).code == code::not_found);
}

TEST_CASE("read handles: a handle is accepted for its own object and rejected otherwise") {
    fixture f;
    f.files.write("b/o", "text");
    f.files.write("b/p", "other");
    storage::BidiReadObjectRequest request = open_request();
    const std::string handle = read_ranges(f, request).got.responses.front().read_handle().handle();
    const auto with_handle = [&](const std::string& object, const std::string& text) {
        storage::BidiReadObjectRequest with = open_request(object);
        with.mutable_read_object_spec()->mutable_read_handle()->set_handle(text);
        return read_ranges(f, with);
    };
    const stream_result again = with_handle("o", handle);
    CHECK(again.outcome.code == code::ok);
    CHECK(again.got.responses.front().has_metadata());
    for (std::size_t at = 0; at < handle.size(); ++at) {
        std::string damaged = handle;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        CHECK(with_handle("o", damaged).outcome.code == code::invalid_argument);
        CHECK(with_handle("o", handle.substr(0, at)).outcome.code == code::invalid_argument);
    }
    const call_outcome other = with_handle("p", handle).outcome;
    CHECK(other.code == code::invalid_argument);
    CHECK(other.message.find("belongs to another object") != std::string::npos);
}

TEST_CASE("preconditions: match fails as FAILED_PRECONDITION, not_match as ABORTED without detail") {
    fixture f;
    f.files.write("b/o", "text");
    const std::int64_t generation = f.stat("o").generation();
    storage::BidiReadObjectRequest request = open_request();
    storage::BidiReadObjectSpec& spec = *request.mutable_read_object_spec();
    int expected = code::ok;
    SUBCASE("if_generation_match holds") {
        spec.set_if_generation_match(generation);
    }
    SUBCASE("if_generation_match fails") {
        spec.set_if_generation_match(generation + 1);
        expected = code::failed_precondition;
    }
    SUBCASE("if_generation_match zero: rejected for an existing object") {
        spec.set_if_generation_match(0);
        expected = code::failed_precondition;
    }
    SUBCASE("if_generation_not_match holds") {
        spec.set_if_generation_not_match(0);
    }
    SUBCASE("if_generation_not_match fails") {
        spec.set_if_generation_not_match(generation);
        expected = code::aborted;
    }
    SUBCASE("if_metageneration_match holds") {
        spec.set_if_metageneration_match(1);
    }
    SUBCASE("if_metageneration_match fails") {
        spec.set_if_metageneration_match(2);
        expected = code::failed_precondition;
    }
    SUBCASE("if_metageneration_not_match holds") {
        spec.set_if_metageneration_not_match(2);
    }
    SUBCASE("if_metageneration_not_match fails") {
        spec.set_if_metageneration_not_match(1);
        expected = code::aborted;
    }
    const call_outcome outcome = read_ranges(f, request).outcome;
    CHECK(outcome.code == expected);
    CHECK(outcome.details.empty());
}
