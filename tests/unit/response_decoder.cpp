#include "grpc/response_decoder.hpp"

#include <rangeio/proto/storage.pb.h>

#include "unit/wire_message.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

using namespace rangeio::test;
using rangeio::wire::decode_status;
using rangeio::wire::read_response;
using rangeio::wire::slice;
namespace storage = rangeio::proto::storage::v2;

namespace {

// The numbers of the fields, as in protocol: response {metadata, ranges, handle}, range {data, read_range,
// end}.
std::string data(const std::string& fields) {
    return bytes_field(1, fields);
}

std::string read_range(const std::string& fields) {
    return bytes_field(2, fields);
}

std::string range(const std::string& fields) {
    return bytes_field(6, fields);
}

std::string nested_groups(int depth, const std::string& inside = "") {
    return depth == 0 ? inside : group_field(15, nested_groups(depth - 1, inside));
}

// Decodes `message`, in slices of `size`, after a comparison with protobuf's result.
struct decoded {
    explicit decoded(const std::string& message, std::size_t size = 3) : input(message, size) {
        CHECK(disagreement(message, input) == "");
        CHECK(disagreement(message, sliced(message, 1)) == "");
        CHECK(disagreement(message, sliced(message)) == "");
        result = rangeio::wire::decode_read_response(input.slices(), out);
    }

    std::string text(rangeio::wire::extent where) const { return copy_of(input.slices(), where); }

    sliced input;
    read_response out;
    rangeio::wire::decode_result result;
};

void check_malformed(const std::string& message, std::string_view what) {
    const decoded d(message);
    CHECK(d.result.status == decode_status::malformed);
    CHECK(d.result.what == what);
    CHECK(d.out.chunks.empty());
}

storage::BidiReadObjectResponse full_response() {
    storage::BidiReadObjectResponse response;
    response.mutable_metadata()->set_name("object");
    response.mutable_metadata()->set_size(1 << 20);
    response.mutable_read_handle()->set_handle("handle");
    for (int i = 0; i < 2; ++i) {
        auto& chunk = *response.add_object_data_ranges();
        chunk.mutable_checksummed_data()->set_content(i == 0 ? "payload of the first" : "and of the second");
        chunk.mutable_checksummed_data()->set_crc32c(0xfedcba98U + static_cast<std::uint32_t>(i));
        chunk.mutable_read_range()->set_read_id(-1 - i);
        chunk.mutable_read_range()->set_read_offset(std::int64_t{1} << 40);
        chunk.mutable_read_range()->set_read_length(20);
        chunk.set_range_end(i == 1);
    }
    return response;
}

}  // namespace

TEST_SUITE_BEGIN("response_decoder");

TEST_CASE("response_decoder: every field of a response is found") {
    const decoded d(full_response().SerializeAsString());
    REQUIRE(d.result);
    REQUIRE(d.out.chunks.size() == 2);
    const auto& chunk = d.out.chunks[0];
    CHECK(chunk.has_read_range);
    CHECK(chunk.read_id == -1);
    CHECK(chunk.read_offset == std::int64_t{1} << 40);
    CHECK(chunk.read_length == 20);
    CHECK_FALSE(chunk.range_end);
    CHECK(chunk.has_data);
    CHECK(chunk.crc32c == 0xfedcba98U);
    CHECK(d.text(chunk.payload) == "payload of the first");
    CHECK(d.text(d.out.chunks[1].payload) == "and of the second");
    CHECK(d.out.chunks[1].range_end);
    CHECK(d.text(d.out.read_handle.value()) == "handle");
    REQUIRE(d.out.metadata.size() == 1);
    storage::Object object;
    CHECK(object.ParseFromString(d.text(d.out.metadata[0])));
    CHECK(object.name() == "object");
}

TEST_CASE("response_decoder: the runs of a payload refer to the slices' own memory") {
    const std::string message = range(data(bytes_field(1, "abcdefgh")));
    const sliced input(message, 5);  // 2 + 2 + 2 bytes of tags and lengths, then the payload
    read_response out;
    REQUIRE(decode_read_response(input.slices(), out));
    std::vector<slice> runs;
    for_each_run(input.slices(), out.chunks.at(0).payload, [&](slice run) { runs.push_back(run); });
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].data() == input.slices()[1].data() + 1);
    CHECK(runs[0].size() == 4);
    CHECK(runs[1].data() == input.slices()[2].data());
    CHECK(runs[1].size() == 4);
}

TEST_CASE("response_decoder: empty slices do not end the message") {
    const std::string message = full_response().SerializeAsString();
    for (const std::size_t size : {1U, 2U, 7U}) {
        bool empty = false;
        const sliced input(message, [&] { return (empty = !empty) ? 0 : size; });
        CHECK(disagreement(message, input) == "");
    }
}

TEST_CASE("response_decoder: a message without bytes is an empty response") {
    read_response out;
    CHECK(decode_read_response({}, out));
    const std::vector<slice> empty_slices(3);
    CHECK(decode_read_response(empty_slices, out));
    CHECK(out.chunks.empty());
    CHECK(out.metadata.empty());
    CHECK_FALSE(out.read_handle);
}

TEST_CASE("response_decoder: absence differs from emptiness") {
    const decoded absent(range(""));
    CHECK_FALSE(absent.out.chunks.at(0).has_data);
    CHECK_FALSE(absent.out.chunks.at(0).has_read_range);
    CHECK_FALSE(absent.out.chunks.at(0).crc32c);

    const decoded empty(
        range(data(bytes_field(1, "") + fixed32_field(2, 0)) + read_range("")) + bytes_field(4, "") +
        bytes_field(7, "")
    );
    CHECK(empty.out.chunks.at(0).has_data);
    CHECK(empty.out.chunks.at(0).has_read_range);
    CHECK(empty.out.chunks.at(0).crc32c == 0U);
    CHECK(empty.out.metadata.size() == 1);
    CHECK(empty.out.read_handle.has_value());
}

TEST_CASE("response_decoder: fields may arrive in any order") {
    const decoded d(
        bytes_field(7, bytes_field(1, "h")) +
        range(
            varint_field(3, 1) + read_range(varint_field(3, 5) + varint_field(1, 6)) +
            data(fixed32_field(2, 7) + bytes_field(1, "x"))
        ) +
        bytes_field(4, bytes_field(1, "n"))
    );
    REQUIRE(d.result);
    CHECK(d.out.chunks.at(0).read_id == 5);
    CHECK(d.out.chunks.at(0).crc32c == 7U);
    CHECK(d.text(d.out.chunks.at(0).payload) == "x");
}

TEST_CASE("response_decoder: the last value of a scalar counts, zero included") {
    const decoded d(range(
        varint_field(3, 1) + varint_field(3, 0) + read_range(varint_field(3, 5) + varint_field(3, 6)) +
        data(bytes_field(1, "first") + bytes_field(1, ""))
    ));
    CHECK_FALSE(d.out.chunks.at(0).range_end);
    CHECK(d.out.chunks.at(0).read_id == 6);
    CHECK(d.text(d.out.chunks.at(0).payload) == "");
}

TEST_CASE("response_decoder: a repeated sub-message is merged") {
    SUBCASE("checksummed_data: new content with the old checksum") {
        const decoded d(range(data(bytes_field(1, "old") + fixed32_field(2, 7)) + data(bytes_field(1, "new")))
        );
        CHECK(d.text(d.out.chunks.at(0).payload) == "new");
        CHECK(d.out.chunks.at(0).crc32c == 7U);
    }
    SUBCASE("read_range") {
        const decoded d(range(read_range(varint_field(3, 5)) + read_range(varint_field(1, 9))));
        CHECK(d.out.chunks.at(0).read_id == 5);
        CHECK(d.out.chunks.at(0).read_offset == 9);
    }
    SUBCASE("read_handle: an empty message keeps the previous handle") {
        const decoded d(bytes_field(7, bytes_field(1, "h")) + bytes_field(7, ""));
        CHECK(d.text(d.out.read_handle.value()) == "h");
    }
    SUBCASE("metadata: all parts are passed on") {
        const decoded d(bytes_field(4, bytes_field(1, "name")) + bytes_field(4, varint_field(6, 8)));
        REQUIRE(d.out.metadata.size() == 2);
        CHECK(d.text(d.out.metadata[0]) == bytes_field(1, "name"));
        CHECK(d.text(d.out.metadata[1]) == varint_field(6, 8));
    }
    SUBCASE("object_data_ranges: a list, so nothing is merged") {
        const decoded d(range(varint_field(3, 1)) + range(""));
        REQUIRE(d.out.chunks.size() == 2);
        CHECK_FALSE(d.out.chunks[1].range_end);
    }
}

TEST_CASE("response_decoder: unknown fields of every wire type are skipped, at every level") {
    const std::string unknown = varint_field(99, std::numeric_limits<std::uint64_t>::max()) +
                                fixed64_field(100, 1) + bytes_field(101, "??????") +
                                group_field(102, varint_field(1, 1) + group_field(3, bytes_field(4, "..."))) +
                                fixed32_field(103, 1) + varint_field((1U << 29) - 1, 0);
    const decoded d(
        unknown +
        range(
            unknown + data(unknown + bytes_field(1, "x") + unknown) +
            read_range(unknown + varint_field(3, 5) + unknown) + unknown
        ) +
        bytes_field(7, unknown + bytes_field(1, "h") + unknown) + unknown
    );
    REQUIRE(d.result);
    CHECK(d.out.chunks.at(0).read_id == 5);
    CHECK(d.text(d.out.chunks.at(0).payload) == "x");
    CHECK(d.text(d.out.read_handle.value()) == "h");
}

TEST_CASE("response_decoder: a known number with another wire type is an unknown field") {
    const decoded d(
        varint_field(6, 1) + fixed32_field(4, 1) + group_field(7, "") +
        range(
            varint_field(1, 1) + fixed64_field(2, 1) + bytes_field(3, "x") +
            data(varint_field(1, 5) + varint_field(2, 5)) +
            read_range(fixed64_field(3, 5) + bytes_field(1, "x"))
        )
    );
    REQUIRE(d.result);
    CHECK(d.out.metadata.empty());
    CHECK_FALSE(d.out.read_handle);
    REQUIRE(d.out.chunks.size() == 1);
    CHECK_FALSE(d.out.chunks[0].range_end);
    CHECK_FALSE(d.out.chunks[0].crc32c);
    CHECK(d.out.chunks[0].read_id == 0);
}

TEST_CASE("response_decoder: padded varints are legal up to their limit") {
    const auto tag_of = [](std::size_t bytes) { return varint(6 << 3 | 2, bytes) + varint(0); };
    const auto length_of = [](std::size_t bytes) { return varint(6 << 3 | 2) + varint(0, bytes); };
    const auto value_of = [](std::size_t bytes) { return range(varint(3 << 3) + varint(1, bytes)); };
    CHECK(decoded(tag_of(5)).out.chunks.size() == 1);
    CHECK(decoded(length_of(5)).out.chunks.size() == 1);
    CHECK(decoded(value_of(10)).out.chunks.at(0).range_end);
    check_malformed(tag_of(6), "varint of too many bytes");
    check_malformed(length_of(6), "varint of too many bytes");
    check_malformed(value_of(11), "varint of too many bytes");
}

TEST_CASE("response_decoder: bits beyond the width of the type are dropped") {
    const std::string ten_bytes(9, '\xff');
    CHECK(decoded(range(read_range(varint(3 << 3) + ten_bytes + '\x7f'))).out.chunks.at(0).read_id == -1);
    // A boolean is a 64-bit varint: any bit makes it true.
    CHECK(decoded(range(varint(3 << 3) + varint(std::uint64_t{1} << 63))).out.chunks.at(0).range_end);
    // Tag 0x32 with bits 32 to 34 set.
    CHECK(decoded(std::string("\xb2\x80\x80\x80\x70\x00", 6)).out.chunks.size() == 1);
}

TEST_CASE("response_decoder: groups nest as deep as protobuf allows") {
    CHECK(decoded(nested_groups(100)).result);
    CHECK(decoded(range(nested_groups(99))).result);
    CHECK(decoded(range(data(nested_groups(98)))).result);
    check_malformed(nested_groups(101), "groups nested too deep");
    check_malformed(range(nested_groups(100)), "groups nested too deep");
    check_malformed(range(data(nested_groups(99))), "groups nested too deep");
}

TEST_CASE("response_decoder: malformed fields are rejected") {
    check_malformed(varint(7 << 3 | 6), "unknown wire type");
    check_malformed(varint(7 << 3 | 7), "unknown wire type");
    check_malformed(varint(0) + varint(0), "field number zero");
    check_malformed(bytes_field(0, "x"), "field number zero");
    check_malformed(varint(9 << 3 | 4), "end of a group that was not opened");
    check_malformed(range(varint(6 << 3 | 4)), "end of a group that was not opened");
    check_malformed(varint(9 << 3 | 3) + varint(8 << 3 | 4), "group without its end");
    check_malformed(varint(9 << 3 | 3) + varint_field(1, 1), "group without its end");
    check_malformed(range(varint(9 << 3 | 3)) + varint(9 << 3 | 4), "group without its end");
    check_malformed(varint(15 << 3 | 1) + "1234567", "truncated");
    check_malformed(range(data(varint(2 << 3 | 5) + "123")), "truncated");
}

TEST_CASE("response_decoder: a length or field never extends beyond its message") {
    const std::string more(64, '\x08');
    // Always enough bytes for the inner length, but not before the end of the outer message.
    check_malformed(range(varint(1 << 3 | 2) + varint(2)) + more, "length beyond the end of the message");
    check_malformed(
        range(data(varint(1 << 3 | 2) + varint(9) + "12345678")) + more,
        "length beyond the end of the message"
    );
    check_malformed(range(varint(3 << 3)) + more, "truncated");
    check_malformed(range(data(varint(2 << 3 | 5) + "123")) + more, "truncated");
    check_malformed(varint(6 << 3 | 2) + varint(0x7fffffff), "length beyond the end of the message");
    check_malformed(varint(6 << 3 | 2) + varint(0xffffffff), "length beyond the end of the message");
}

TEST_CASE("response_decoder: every truncated message is judged as by protobuf") {
    const std::string message = full_response().SerializeAsString();
    int rejected = 0;
    for (std::size_t size = 0; size < message.size(); ++size) {
        bool accepted = false;
        CAPTURE(size);
        const std::string part = message.substr(0, size);
        CHECK(disagreement(part, sliced(part, 1), &accepted) == "");
        rejected += accepted ? 0 : 1;
    }
    CHECK(rejected > 100);
}

TEST_CASE("response_decoder: a reused response has no traces of the previous message") {
    const decoded full(full_response().SerializeAsString());
    read_response out = full.out;
    const sliced other(range(varint_field(3, 1)));
    REQUIRE(decode_read_response(other.slices(), out));
    CHECK(out.chunks.size() == 1);
    CHECK_FALSE(out.chunks[0].crc32c);
    CHECK(out.metadata.empty());
    CHECK_FALSE(out.read_handle);

    out = full.out;
    const sliced broken(range("") + "\x08");
    CHECK_FALSE(decode_read_response(broken.slices(), out));
    CHECK(out.chunks.empty());
    CHECK(out.metadata.empty());
    CHECK_FALSE(out.read_handle);
}

TEST_CASE("response_decoder: up to four chunks are stored in the response itself") {
    std::string message = bytes_field(4, "") + bytes_field(7, "");
    for (int i = 0; i < 4; ++i) {
        message += range(data(bytes_field(1, "x")));
    }
    const auto inside = [](const read_response& response, const void* address) {
        const std::less<> less;
        return !less(address, &response) && less(address, &response + 1);
    };
    const decoded four(message);
    CHECK(inside(four.out, four.out.chunks.data()));
    CHECK(inside(four.out, four.out.metadata.data()));

    std::string many;
    for (std::uint64_t i = 0; i < 500; ++i) {
        many += range(read_range(varint_field(3, i)));
    }
    const decoded d(many);
    REQUIRE(d.out.chunks.size() == 500);
    CHECK(d.out.chunks[499].read_id == 499);
}

TEST_SUITE_END();
