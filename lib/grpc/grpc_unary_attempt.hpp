#pragma once

#include "grpc/channels.hpp"
#include "grpc/unary_attempt.hpp"

#include <memory>

namespace rangeio::grpc_transport {

/// Calls for metadata over gRPC.
std::shared_ptr<unary_connector> make_unary_connector(std::shared_ptr<channels> on);

}  // namespace rangeio::grpc_transport
