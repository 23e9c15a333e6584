#pragma once

#include <rangeio/error.hpp>

#include "grpc/bidi_call.hpp"
#include "grpc/service_status.hpp"

#include <string>

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace rangeio::grpc_transport {

/// A status as a failure, as from its parts.
failure from_status(const grpc::Status& status);

/// What a status says of a call that the service has not seen, for there is no connection to `endpoint`; empty: it may
/// have.
failure no_connection(const grpc::Status& status, grpc::Channel& on, const std::string& endpoint) noexcept;

/// The end of a BidiReadObject call, with what its details say: a redirect, the ranges at fault. Details that
/// are malformed, or of types that we do not know, say nothing.
call_end end_from_status(const grpc::Status& status) noexcept;

}  // namespace rangeio::grpc_transport
