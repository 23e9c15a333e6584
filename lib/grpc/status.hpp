#pragma once

#include <rangeio/error.hpp>

#include "grpc/bidi_call.hpp"
#include "grpc/service_status.hpp"

namespace grpc {
class Status;
}

namespace rangeio::grpc_transport {

/// A status as a failure, as from its parts.
failure from_status(const grpc::Status& status);

/// The end of a BidiReadObject call, with what its details say: a redirect, the ranges at fault. Details that
/// are malformed, or of types that we do not know, say nothing.
call_end end_from_status(const grpc::Status& status) noexcept;

}  // namespace rangeio::grpc_transport
