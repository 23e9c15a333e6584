#pragma once

#include "grpc/bidi_call.hpp"
#include "grpc/channels.hpp"

#include <memory>

namespace rangeio::grpc_transport {

/// Makes BidiReadObject calls, each on the next channel in turn.
std::shared_ptr<bidi_connector> make_grpc_connector(std::shared_ptr<channels> on);

}  // namespace rangeio::grpc_transport
