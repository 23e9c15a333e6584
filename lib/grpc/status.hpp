#pragma once

#include <rangeio/error.hpp>

#include "grpc/bidi_call.hpp"

#include <string_view>

namespace grpc {
class Status;
}

namespace rangeio::grpc_transport {

/// A status as a failure; OK is none. Statuses that have a name in `errc` get it, others keep their number.
/// The service's text becomes one line without control characters, for it goes into messages.
failure from_status(const grpc::Status& status);

/// The same from its parts.
failure from_status(int code, std::string_view text);

/// The end of a BidiReadObject call, with what its details say: a redirect, the ranges at fault. Details that
/// are malformed, or of types that we do not know, say nothing.
call_end end_from_status(const grpc::Status& status) noexcept;

}  // namespace rangeio::grpc_transport
