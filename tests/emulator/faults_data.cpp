#include "emulator/faulty.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <set>
#include <vector>

using namespace support;

// Faults that change what is sent. Each test sees the whole stream.

TEST_CASE("fault bad-checksum: one chunk carries a checksum that does not match its bytes") {
    faulty_fixture f("bad-checksum byte=400");
    const seen_stream got(f, {{0, 1000, 1}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 400));
    CHECK(got.chunks[0].good_checksum);
    CHECK(got.chunks[1].bytes == f.content.substr(400));
    CHECK_FALSE(got.chunks[1].good_checksum);
    CHECK(got.chunks[1].end);
    CHECK(got.outcome.code == code::ok);
}

TEST_CASE("fault wrong-offset: a chunk reports another offset than that of its bytes") {
    faulty_fixture f("wrong-offset bytes=3");
    const seen_stream got(f, {{10, 20, 1}});
    REQUIRE(got.chunks.size() == 1);
    CHECK(got.chunks[0].offset == 13);
    CHECK(got.chunks[0].bytes == f.content.substr(10, 20));
    CHECK(got.chunks[0].good_checksum);
}

TEST_CASE("fault wrong-offset: an offset beyond the 64-bit range is clamped to it") {
    faulty_fixture f("wrong-offset bytes=9223372036854775807");
    const seen_stream got(f, {{10, 20, 1}});
    REQUIRE(got.chunks.size() == 1);
    CHECK(got.chunks[0].offset == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("fault surplus: zeros follow the bytes of a range, and the checksum covers all of them") {
    faulty_fixture f("surplus range=2 bytes=5");
    const seen_stream got(f, {{0, 10, 1}, {10, 10, 2}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 10));
    CHECK(got.chunks[1].bytes == f.content.substr(10, 10) + std::string(5, '\0'));
    CHECK(got.chunks[1].good_checksum);
    CHECK(got.chunks[1].end);
}

TEST_CASE("fault short-end: a range ends before its last bytes") {
    faulty_fixture f("short-end bytes=3");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 1);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 7));
    CHECK(got.chunks[0].good_checksum);
    CHECK(got.chunks[0].end);
    CHECK(got.outcome.code == code::ok);
}

TEST_CASE("fault unknown-id: a copy of the chunk is sent under an id that was never used") {
    faulty_fixture f("unknown-id");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].id != 1);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 10));
    CHECK(got.chunks[1].id == 1);
    CHECK(got.chunks[1].bytes == f.content.substr(0, 10));
    CHECK(got.responses.size() == 1);
}

TEST_CASE("fault repeat: a chunk is sent twice") {
    faulty_fixture f("repeat byte=4");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 3);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 4));
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        CHECK(got.chunks[i].offset == 4);
        CHECK(got.chunks[i].bytes == f.content.substr(4, 6));
        CHECK(got.chunks[i].end);
    }
}

TEST_CASE("fault late-id: an empty chunk follows a completed range, in a message of its own") {
    faulty_fixture f("late-id");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].end);
    CHECK(got.chunks[1].message == 1);
    CHECK(got.chunks[1].id == 1);
    CHECK(got.chunks[1].offset == 10);
    CHECK(got.chunks[1].bytes.empty());
    CHECK(got.chunks[1].good_checksum);
    CHECK_FALSE(got.chunks[1].end);
}

TEST_CASE("fault no-range-end: all bytes arrive, and no chunk carries range_end") {
    faulty_fixture f("no-range-end range=1");
    const seen_stream got(f, {{0, 10, 1}, {0, 10, 2}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 10));
    CHECK_FALSE(got.chunks[0].end);
    CHECK(got.chunks[1].end);
    CHECK(got.outcome.code == code::ok);
}

TEST_CASE("fault double-range-end: range_end is repeated in an empty chunk") {
    faulty_fixture f("double-range-end");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].end);
    CHECK(got.chunks[1].message == 1);
    CHECK(got.chunks[1].offset == 10);
    CHECK(got.chunks[1].bytes.empty());
    CHECK(got.chunks[1].end);
}

TEST_CASE("fault empty-range-end: range_end arrives in an empty chunk only") {
    faulty_fixture f("empty-range-end");
    const seen_stream got(f, {{0, 10, 1}});
    REQUIRE(got.chunks.size() == 2);
    CHECK(got.chunks[0].bytes == f.content.substr(0, 10));
    CHECK_FALSE(got.chunks[0].end);
    CHECK(got.chunks[1].message == 1);
    CHECK(got.chunks[1].bytes.empty());
    CHECK(got.chunks[1].good_checksum);
    CHECK(got.chunks[1].end);
}

TEST_CASE("fault empty-range-end: a reset behind the last byte breaks the stream before the empty chunk") {
    faulty_fixture f("empty-range-end; reset byte=10");
    const seen_stream got(f, {{0, 10, 1}});
    CHECK(got.bytes(1) == f.content.substr(0, 10));
    CHECK(got.chunks.size() == 1);
    CHECK_FALSE(got.chunks[0].end);
    CHECK(got.outcome.code == code::unavailable);
}

TEST_CASE("fault no-metadata: a stream opened with a handle gets no metadata, any other stream does") {
    faulty_fixture f("no-metadata");
    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 10, 1}});
    const seen_stream first(f, request);
    REQUIRE(first.responses.size() == 1);
    CHECK(first.responses[0].has_metadata());
    *request.mutable_read_object_spec()->mutable_read_handle() = first.responses[0].read_handle();
    const seen_stream second(f, request);
    REQUIRE(second.responses.size() == 1);
    CHECK_FALSE(second.responses[0].has_metadata());
    CHECK(second.responses[0].has_read_handle());
    CHECK(second.bytes(1) == f.content.substr(0, 10));
    CHECK(seen_stream(f, request).responses[0].has_metadata());
}

TEST_CASE("fault new-handle: another handle is sent in mid-stream, and opens the object as the first does") {
    faulty_fixture f("new-handle byte=500");
    storage::BidiReadObjectRequest request = bidi_request("o", {{0, 1000, 1}});
    const seen_stream got(f, request);
    REQUIRE(got.responses.size() == 2);
    REQUIRE(got.responses[1].has_read_handle());
    CHECK(got.responses[1].read_handle().handle() != got.responses[0].read_handle().handle());
    CHECK(got.bytes(1) == f.content);
    for (const auto& response : got.responses) {
        *request.mutable_read_object_spec()->mutable_read_handle() = response.read_handle();
        CHECK(seen_stream(f, request).bytes(1) == f.content);
    }
}

TEST_CASE("fault batch: one message carries chunks of several ranges") {
    faulty_fixture f("batch bytes=3; chunk bytes=5");
    const seen_stream got(f, {{0, 5, 1}, {5, 10, 2}, {20, 5, 3}, {30, 5, 4}});
    CHECK(got.responses.size() == 2);
    REQUIRE(got.chunks.size() == 5);
    CHECK(got.responses[0].object_data_ranges_size() == 3);
    CHECK(got.responses[0].has_metadata());
    CHECK(got.responses[1].object_data_ranges_size() == 2);
    for (const seen_chunk& chunk : got.chunks) CHECK(chunk.good_checksum);
    CHECK(got.bytes(1) == f.content.substr(0, 5));
    CHECK(got.bytes(2) == f.content.substr(5, 10));
    CHECK(got.bytes(3) == f.content.substr(20, 5));
    CHECK(got.bytes(4) == f.content.substr(30, 5));
}

TEST_CASE("fault batch: one message carries several chunks of one range, unless distinct ranges are required"
) {
    for (const bool distinct : {false, true}) {
        faulty_fixture f(
            distinct ? "batch bytes=4 distinct=yes; chunk bytes=5" : "batch bytes=4; chunk bytes=5"
        );
        const seen_stream got(f, {{0, 15, 1}, {20, 20, 2}});
        std::vector<int> pieces;
        bool twice = false;
        for (const auto& response : got.responses) {
            std::set<std::int64_t> ids;
            for (const auto& data : response.object_data_ranges()) {
                twice = !ids.insert(data.read_range().read_id()).second || twice;
            }
            pieces.push_back(response.object_data_ranges_size());
        }
        CHECK(twice == !distinct);
        CHECK(pieces == (distinct ? std::vector<int>{2, 2, 2, 1} : std::vector<int>{4, 3}));
        CHECK(got.bytes(1) == f.content.substr(0, 15));
        CHECK(got.bytes(2) == f.content.substr(20, 20));
    }
}

TEST_CASE("fault chunk: each message carries one byte") {
    faulty_fixture f("chunk bytes=1 call=1");
    const seen_stream got(f, {{0, 100, 1}});
    REQUIRE(got.chunks.size() == 100);
    for (std::size_t i = 0; i < got.chunks.size(); ++i) {
        CHECK(got.chunks[i].message == i);
        CHECK(got.chunks[i].bytes == f.content.substr(i, 1));
        CHECK(got.chunks[i].end == (i == 99));
    }
    CHECK(seen_stream(f, {{0, 100, 1}}).chunks.size() == 1);
}
