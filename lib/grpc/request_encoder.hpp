#pragma once

#include "grpc/bidi_call.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <span>

namespace rangeio::grpc_transport {

/// The first message of a BidiReadObject call: the object, and the first ranges.
grpc::ByteBuffer encode_opening(const call_spec& spec, std::span<const fsm::wire_range> ranges);
/// A further message.
grpc::ByteBuffer encode_ranges(std::span<const fsm::wire_range> ranges);

}  // namespace rangeio::grpc_transport
