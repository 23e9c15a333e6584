#pragma once

#include "grpc/bidi_call.hpp"
#include "grpc/channels.hpp"

#include <memory>

namespace rangeio::grpc_transport {

/// Makes connections of gRPC for BidiReadObject calls.
std::shared_ptr<connection_maker> make_grpc_connections(std::shared_ptr<channels> by);

}  // namespace rangeio::grpc_transport
