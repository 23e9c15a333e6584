#include "grpc/metadata_decoder.hpp"

#include <rangeio/proto/storage.pb.h>
#include <rangeio/proto/storage_control.pb.h>

#include "fuzz/targets.hpp"
#include "grpc/limits.hpp"
#include "grpc/object_decoder.hpp"

#include <google/protobuf/stubs/common.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace rangeio::fuzz {
namespace {

namespace storage = proto::storage::v2;
namespace control = proto::storage::control::v2;

// What we reject, protobuf rejects, too; with these exceptions.
void check_rejected(const wire::decode_result& how) {
    const std::string_view why = how.what;
    check(
        how.status == wire::decode_status::above_limit || why == "a negative size",
        "a message is rejected that protobuf accepts"
    );
}

void check_listing(const std::string& message) {
    list_page ours;
    const auto how = wire::decode_listing(message, ours);
    if (!how) {
        check(ours.objects.empty() && ours.prefixes.empty(), "something is left after a failure");
        check(ours.next_page_token.empty(), "a token is left after a failure");
    }
    check(
        ours.objects.size() + ours.prefixes.size() <= grpc_transport::max_page_entries, "a page has no end"
    );
    // A message that protobuf rejects may be accepted: protobuf also checks texts of fields that are not used.
    storage::ListObjectsResponse theirs;
    if (!theirs.ParseFromString(message)) return;
    if (!how) return check_rejected(how);
    check(std::cmp_equal(ours.objects.size(), theirs.objects_size()), "an object is lost");
    for (int i = 0; i < theirs.objects_size(); ++i) {
        const object_info& object = ours.objects[static_cast<std::size_t>(i)];
        check(object.name == theirs.objects(i).name(), "a name is another one");
        check(object.generation == theirs.objects(i).generation(), "a generation is another one");
        check(std::cmp_equal(object.size, theirs.objects(i).size()), "a size is another one");
        check(object.finalized == theirs.objects(i).has_finalize_time(), "an object is finalized or is not");
    }
    check(
        std::equal(
            ours.prefixes.begin(), ours.prefixes.end(), theirs.prefixes().begin(), theirs.prefixes().end()
        ),
        "prefixes are others"
    );
    check(ours.next_page_token == theirs.next_page_token(), "a token is another one");
}

void check_layout(const std::string& message) {
    bucket_layout ours;
    const auto how = wire::decode_layout(message, ours);
    control::StorageLayout theirs;
    if (!theirs.ParseFromString(message)) return;
    check(static_cast<bool>(how), "a layout is rejected that protobuf accepts");
    check(ours.location == theirs.location(), "a location is another one");
    check(ours.location_type == theirs.location_type(), "a type of locations is another one");
    check(
        ours.hierarchical_namespace == theirs.hierarchical_namespace().enabled(), "a namespace is another one"
    );
}

void check_object(const std::string& message) {
    object_info ours;
    const auto how = wire::decode_object(message, ours);
    storage::Object theirs;
    if (!theirs.ParseFromString(message)) return;
    if (!how) return check_rejected(how);
    check(ours.etag == theirs.etag(), "an etag is another one");
    check(ours.crc32c.has_value() == theirs.checksums().has_crc32c(), "a checksum is there or is not");
    check(ours.crc32c.value_or(0) == theirs.checksums().crc32c(), "a checksum is another one");
}

}  // namespace

void metadata_decoder(std::string_view input) {
#if GOOGLE_PROTOBUF_VERSION < 4022000  // later ones log through Abseil
    const google::protobuf::LogSilencer no_complaints_about_utf8;
#endif
    const std::string message(input);
    check_listing(message);
    check_layout(message);
    check_object(message);
}

}  // namespace rangeio::fuzz
