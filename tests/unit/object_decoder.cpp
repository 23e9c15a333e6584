#include "grpc/object_decoder.hpp"

#include <rangeio/proto/storage.pb.h>

#include "grpc/timestamp.hpp"
#include "unit/wire_fields.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <string>

using namespace rangeio::test;
using rangeio::object_info;
using rangeio::grpc_transport::to_time;
using rangeio::wire::decode_object;
using rangeio::wire::decode_status;
namespace storage = rangeio::proto::storage::v2;
using clock_type = std::chrono::system_clock;

namespace {

constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("object decoder: each known field is decoded, and unknown ones are ignored") {
    storage::Object said;
    said.set_name("a/b");
    said.set_bucket("projects/_/buckets/b-1");
    said.set_generation(7);
    said.set_metageneration(3);
    said.set_storage_class("RAPID");
    said.set_size(1234);
    said.set_content_encoding("gzip");
    said.set_content_type("text/plain");
    said.set_etag("e");
    said.mutable_checksums()->set_crc32c(0xfedcba98);
    said.mutable_create_time()->set_seconds(5);
    said.mutable_create_time()->set_nanos(6);
    said.mutable_update_time()->set_seconds(-5);
    said.mutable_finalize_time();
    (*said.mutable_metadata())["k"] = "v";
    object_info got;
    REQUIRE(decode_object(said.SerializeAsString() + varint_field(1000, 9), got));
    CHECK(got.name == "a/b");
    CHECK(got.bucket == "b-1");
    CHECK(got.generation == 7);
    CHECK(got.metageneration == 3);
    CHECK(got.storage_class == "RAPID");
    CHECK(got.size == 1234);
    CHECK(got.content_encoding == "gzip");
    CHECK(got.content_type == "text/plain");
    CHECK(got.etag == "e");
    CHECK(got.crc32c == 0xfedcba98);
    CHECK(got.create_time == clock_type::time_point(std::chrono::seconds(5) + std::chrono::nanoseconds(6)));
    CHECK(got.update_time == clock_type::time_point(std::chrono::seconds(-5)));
    CHECK(got.finalized);
    CHECK(got.finalize_time == clock_type::time_point());
}

TEST_CASE("object decoder: repeated parts are merged, and an object without fields leaves all unset") {
    object_info got;
    REQUIRE(decode_object(bytes_field(14, varint_field(1, 5)) + bytes_field(14, varint_field(2, 6)), got));
    CHECK(got.create_time == clock_type::time_point(std::chrono::seconds(5) + std::chrono::nanoseconds(6)));
    REQUIRE(decode_object("", got));
    CHECK(got.generation == 0);
    CHECK_FALSE(got.create_time);
    CHECK_FALSE(got.finalized);
    CHECK_FALSE(got.crc32c);
}

TEST_CASE("object decoder: a malformed object leaves nothing behind") {
    const auto wrong = [](const std::string& bytes) {
        object_info got;
        const auto how = decode_object(varint_field(3, 7) + bytes, got);
        CHECK(how.status == decode_status::malformed);
        CHECK(got.generation == 0);
        return std::string(how.what);
    };
    CHECK(wrong(bytes_field(1, "\xff")) == "a text that is not UTF-8");
    CHECK(wrong(varint_field(6, static_cast<std::uint64_t>(-1))) == "a negative size");
    CHECK(wrong(varint_field(6, static_cast<std::uint64_t>(least))) == "a negative size");
    CHECK(
        wrong("\x0a\x05"
              "abc") == "length beyond the end of the message"
    );
    CHECK(wrong(bytes_field(14, "\x08")) == "truncated");
}

TEST_CASE("timestamps: a time out of the clock's range is clamped to it") {
    CHECK(to_time(0, 0) == clock_type::time_point());
    CHECK(to_time(1, 999'999'999) == clock_type::time_point(std::chrono::nanoseconds(1'999'999'999)));
    CHECK(to_time(-1, 1) == clock_type::time_point(std::chrono::nanoseconds(-999'999'999)));
    for (const std::int32_t nanos :
         {std::numeric_limits<std::int32_t>::min(), -1, 0, 1, std::numeric_limits<std::int32_t>::max()}) {
        CHECK(to_time(most, nanos) == clock_type::time_point::max());
        CHECK(to_time(least, nanos) == clock_type::time_point::min());
    }
    // Around the ends: never undefined, never out of order.
    const std::int64_t end =
        std::chrono::duration_cast<std::chrono::seconds>(clock_type::duration::max()).count();
    clock_type::time_point before = clock_type::time_point::min();
    for (const std::int64_t s :
         {least, -end - 2, -end - 1, -end, -end + 1, std::int64_t{0}, end - 1, end, end + 1, most}) {
        for (const std::int32_t nanos : {-1, 0, 999'999'999, 1'000'000'000}) {
            CHECK(to_time(s, nanos) >= before);
            before = to_time(s, nanos);
        }
    }
    CHECK(to_time(0, -1) == clock_type::time_point());
    CHECK(to_time(0, 2'000'000'000) == clock_type::time_point(std::chrono::nanoseconds(999'999'999)));
}
