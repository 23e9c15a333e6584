#include "grpc/request_encoder.hpp"

#include <rangeio/proto/storage.pb.h>

#include "grpc/channels.hpp"

#include <cstddef>
#include <cstdint>

namespace rangeio::grpc_transport {
namespace {

namespace pb = proto::storage::v2;

grpc::ByteBuffer to_buffer(const pb::BidiReadObjectRequest& request) {
    const std::size_t size = request.ByteSizeLong();
    grpc::Slice slice(size);
    request.SerializeToArray(const_cast<std::uint8_t*>(slice.begin()), static_cast<int>(size));
    return {&slice, 1};
}

void add_ranges(pb::BidiReadObjectRequest& request, std::span<const fsm::wire_range> ranges) {
    for (const fsm::wire_range& range : ranges) {
        auto& out = *request.add_read_ranges();
        out.set_read_offset(range.offset);
        out.set_read_length(range.length);
        out.set_read_id(range.read_id);
    }
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
    add_ranges(request, ranges);
    return to_buffer(request);
}

grpc::ByteBuffer encode_ranges(std::span<const fsm::wire_range> ranges) {
    pb::BidiReadObjectRequest request;
    add_ranges(request, ranges);
    return to_buffer(request);
}

}  // namespace rangeio::grpc_transport
