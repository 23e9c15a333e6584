#include "grpc/request_encoder.hpp"

#include <rangeio/proto/storage.pb.h>

#include "grpc/channels.hpp"

#include <google/protobuf/io/coded_stream.h>

#include <cstddef>
#include <cstdint>

namespace rangeio::grpc_transport {
namespace {

namespace pb = proto::storage::v2;

using coded = google::protobuf::io::CodedOutputStream;

// `type`: 0 for a varint, 2 for a message. The numbers of all these fields are below 16: a tag has one byte.
constexpr std::uint32_t tag(int field, unsigned type) {
    return static_cast<std::uint32_t>(field) << 3 | type;
}

// Calls `use(field, value)` for each field of the ReadRange that is on the wire: zero is not.
template <class Use>
void for_each_field(const fsm::wire_range& range, Use use) {
    if (range.offset != 0) use(pb::ReadRange::kReadOffsetFieldNumber, range.offset);
    if (range.length != 0) use(pb::ReadRange::kReadLengthFieldNumber, range.length);
    if (range.read_id != 0) use(pb::ReadRange::kReadIdFieldNumber, range.read_id);
}

std::size_t content_bytes(const fsm::wire_range& range) {
    std::size_t out = 0;
    for_each_field(range, [&out](int, std::int64_t value) {
        out += 1 + coded::VarintSize64(static_cast<std::uint64_t>(value));
    });
    return out;
}

// With its tag and its length.
std::size_t headed(std::size_t content) {
    return 1 + coded::VarintSize64(content) + content;
}

// `rest`, and the ranges behind it. These without protobuf's messages, which allocate twice for a range: a message with
// a range alone is sent for each small read.
grpc::ByteBuffer encode(const pb::BidiReadObjectRequest& rest, std::span<const fsm::wire_range> ranges) {
    std::size_t size = rest.ByteSizeLong();
    for (const fsm::wire_range& range : ranges) size += headed(content_bytes(range));
    grpc::Slice slice(size);
    auto* out = rest.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slice.begin()));
    for (const fsm::wire_range& range : ranges) {
        out = coded::WriteTagToArray(tag(pb::BidiReadObjectRequest::kReadRangesFieldNumber, 2), out);
        out = coded::WriteVarint64ToArray(content_bytes(range), out);
        for_each_field(range, [&out](int field, std::int64_t value) {
            out = coded::WriteTagToArray(tag(field, 0), out);
            out = coded::WriteVarint64ToArray(static_cast<std::uint64_t>(value), out);
        });
    }
    return {&slice, 1};
}

}  // namespace

grpc::ByteBuffer encode_opening(const call_spec& spec, std::span<const fsm::wire_range> ranges) {
    pb::BidiReadObjectRequest request;
    auto& opening = *request.mutable_read_object_spec();
    opening.set_bucket(bucket_resource(spec.object.bucket()));
    opening.set_object(spec.object.name());
    opening.set_generation(spec.object.generation());
    if (!spec.read_handle.empty()) opening.mutable_read_handle()->set_handle(spec.read_handle);
    if (!spec.routing_token.empty()) opening.set_routing_token(spec.routing_token);
    return encode(request, ranges);
}

grpc::ByteBuffer encode_ranges(std::span<const fsm::wire_range> ranges) {
    return encode(pb::BidiReadObjectRequest::default_instance(), ranges);
}

}  // namespace rangeio::grpc_transport
