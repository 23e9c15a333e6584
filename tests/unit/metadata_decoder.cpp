#include "grpc/metadata_decoder.hpp"

#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "unit/wire_fields.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

using namespace rangeio::test;
using rangeio::bucket_layout;
using rangeio::list_page;
using rangeio::wire::decode_layout;
using rangeio::wire::decode_listing;
using rangeio::wire::decode_status;
namespace storage = rangeio::proto::storage::v2;
namespace control = rangeio::proto::storage::control::v2;

namespace {

const std::string no_text = "\xff\xfe";

/// A page that is malformed for one field behind good ones: why it is.
std::string wrong_page(const std::string& field) {
    list_page got;
    const auto how = decode_listing(bytes_field(1, bytes_field(1, "a")) + bytes_field(2, "p/") + field, got);
    CHECK(how.status == decode_status::malformed);
    CHECK(got.objects.empty());
    CHECK(got.prefixes.empty());
    CHECK(got.next_page_token.empty());
    return how.what;
}

}  // namespace

TEST_CASE("metadata decoder: objects, prefixes and token of a page are decoded, unknown fields are ignored") {
    storage::ListObjectsResponse said;
    for (const char* name : {"a", "b"}) {
        auto& object = *said.add_objects();
        object.set_name(name);
        object.set_bucket("projects/_/buckets/b-1");
        object.set_size(12);
    }
    said.add_objects();
    said.add_prefixes("c/");
    said.add_prefixes("");
    said.set_next_page_token("next");
    list_page got;
    REQUIRE(decode_listing(varint_field(1000, 9) + said.SerializeAsString() + bytes_field(4, no_text), got));
    REQUIRE(got.objects.size() == 3);
    CHECK(got.objects[0].name == "a");
    CHECK(got.objects[1].name == "b");
    CHECK(got.objects[1].bucket == "b-1");
    CHECK(got.objects[1].size == 12);
    CHECK(got.objects[2].name.empty());
    CHECK(got.prefixes == std::vector<std::string>{"c/", ""});
    CHECK(got.next_page_token == "next");
    REQUIRE(decode_listing("", got));
    CHECK(got.objects.empty());
    CHECK(got.next_page_token.empty());
}

TEST_CASE("metadata decoder: a page with a text that is not UTF-8 is rejected and leaves nothing behind") {
    const std::string no_utf8 = "a text that is not UTF-8";
    CHECK(wrong_page(bytes_field(1, bytes_field(1, no_text))) == no_utf8);
    CHECK(wrong_page(bytes_field(1, bytes_field(27, no_text))) == no_utf8);
    CHECK(wrong_page(bytes_field(2, no_text)) == no_utf8);
    CHECK(wrong_page(bytes_field(3, no_text)) == no_utf8);
    // Though a good one follows.
    CHECK(wrong_page(bytes_field(3, no_text) + bytes_field(3, "token")) == no_utf8);
}

TEST_CASE("metadata decoder: a truncated page or a malformed object is rejected and leaves nothing behind") {
    CHECK(wrong_page("\x0a") == "truncated");
    CHECK(
        wrong_page("\x0a\x05"
                   "abc") == "length beyond the end of the message"
    );
    CHECK(
        wrong_page(bytes_field(
            1,
            "\x0a\x05"
            "abc"
        )) == "length beyond the end of the message"
    );
    CHECK(wrong_page(bytes_field(1, varint_field(6, ~std::uint64_t{0}))) == "a negative size");
    CHECK(wrong_page("\x0c") == "end of a group that was not opened");
}

TEST_CASE("metadata decoder: a page may have 10000 entries, and one more is rejected") {
    for (const std::uint32_t field : {1U, 2U}) {
        std::string page;
        for (int n = 0; n < 9'999; ++n) page += bytes_field(field, "");
        page += bytes_field(3 - field, "");
        list_page got;
        CHECK(decode_listing(page + bytes_field(3, "token"), got));
        CHECK(got.objects.size() + got.prefixes.size() == 10'000);
        const auto how = decode_listing(page + bytes_field(field, ""), got);
        CHECK(how.status == decode_status::above_limit);
        CHECK(std::string(how.what) == "more than 10000 entries");
        CHECK(got.objects.empty());
    }
}

TEST_CASE("metadata decoder: a layout has its location, and a text that is not UTF-8 is rejected") {
    control::StorageLayout said;
    said.set_name("projects/_/buckets/b-1/storageLayout");
    said.set_location("us-east1-b");
    said.set_location_type("zone");
    said.mutable_hierarchical_namespace()->set_enabled(true);
    said.mutable_custom_placement_config()->add_data_locations("us-east1");
    bucket_layout got;
    REQUIRE(decode_layout(said.SerializeAsString() + varint_field(1000, 9), got));
    CHECK(got.location == "us-east1-b");
    CHECK(got.zonal());
    CHECK(got.hierarchical_namespace);
    const auto how = decode_layout(bytes_field(3, "zone") + bytes_field(2, no_text), got);
    CHECK(how.status == decode_status::malformed);
    CHECK(got.location_type.empty());
    CHECK_FALSE(decode_layout(bytes_field(5, "\x08"), got));
    REQUIRE(decode_layout("", got));
    CHECK_FALSE(got.hierarchical_namespace);
}
