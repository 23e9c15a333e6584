#include "grpc/request_encoder.hpp"

#include <rangeio/proto/storage.pb.h>

#include <grpcpp/support/slice.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

// The messages that are encoded by hand, as protobuf reads them.

namespace pb = rangeio::proto::storage::v2;
using rangeio::fsm::wire_range;

namespace {

std::string bytes_of(const grpc::ByteBuffer& message) {
    std::vector<grpc::Slice> slices;
    REQUIRE(message.Dump(&slices).ok());
    std::string out;
    for (const grpc::Slice& slice : slices)
        out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return out;
}

}  // namespace

TEST_CASE("request_encoder: a further message has the bytes that protobuf writes for its ranges") {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const std::vector<std::int64_t> values{0, 1, 127, 128, 16383, 16384, most, -1, -most - 1};
    std::vector<wire_range> ranges;
    pb::BidiReadObjectRequest request;
    const auto add = [&](std::int64_t id, std::int64_t offset, std::int64_t length) {
        ranges.push_back({id, offset, length});
        auto& range = *request.add_read_ranges();
        range.set_read_id(id);
        range.set_read_offset(offset);
        range.set_read_length(length);
        CHECK(bytes_of(rangeio::grpc_transport::encode_ranges(ranges)) == request.SerializeAsString());
    };
    CHECK(bytes_of(rangeio::grpc_transport::encode_ranges({})).empty());
    for (const std::int64_t id : values) {
        for (const std::int64_t offset : values) {
            for (const std::int64_t length : values) add(id, offset, length);
        }
    }
}

TEST_CASE(
    "request_encoder: the first message has the bytes that protobuf writes for the object and the ranges"
) {
    rangeio::grpc_transport::call_spec spec;
    spec.object = rangeio::object_ref("b-1", "o", 7);
    spec.read_handle = "handle";
    spec.routing_token = "token";
    const std::vector<wire_range> ranges{{1, 0, 5}, {2, -3, 3}};
    pb::BidiReadObjectRequest request;
    auto& opening = *request.mutable_read_object_spec();
    opening.set_bucket("projects/_/buckets/b-1");
    opening.set_object("o");
    opening.set_generation(7);
    opening.mutable_read_handle()->set_handle("handle");
    opening.set_routing_token("token");
    for (const wire_range& r : ranges) {
        auto& range = *request.add_read_ranges();
        range.set_read_id(r.read_id);
        range.set_read_offset(r.offset);
        range.set_read_length(r.length);
    }
    CHECK(bytes_of(rangeio::grpc_transport::encode_opening(spec, ranges)) == request.SerializeAsString());
}
