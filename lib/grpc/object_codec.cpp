#include "grpc/object_codec.hpp"

#include <rangeio/proto/storage.pb.h>

#include "grpc/timestamp.hpp"

#include <string_view>

namespace rangeio::grpc_transport {
namespace {

std::chrono::system_clock::time_point time_of(const google::protobuf::Timestamp& stamp) {
    return to_time(stamp.seconds(), stamp.nanos());
}

}  // namespace

object_info to_info(const proto::storage::v2::Object& object) {
    constexpr std::string_view bucket_prefix = "projects/_/buckets/";
    object_info out;
    out.bucket = object.bucket();
    if (out.bucket.starts_with(bucket_prefix)) out.bucket.erase(0, bucket_prefix.size());
    out.name = object.name();
    out.generation = object.generation();
    out.metageneration = object.metageneration();
    out.size = object.size() < 0 ? 0 : static_cast<std::uint64_t>(object.size());
    out.finalized = object.has_finalize_time();
    if (object.has_checksums() && object.checksums().has_crc32c()) out.crc32c = object.checksums().crc32c();
    out.etag = object.etag();
    out.content_type = object.content_type();
    out.content_encoding = object.content_encoding();
    out.storage_class = object.storage_class();
    if (object.has_create_time()) out.create_time = time_of(object.create_time());
    if (object.has_update_time()) out.update_time = time_of(object.update_time());
    if (object.has_finalize_time()) out.finalize_time = time_of(object.finalize_time());
    return out;
}

}  // namespace rangeio::grpc_transport
