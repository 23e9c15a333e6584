#pragma once

#include <rangeio/error.hpp>

#include <string_view>

namespace rangeio::grpc_transport {

/// A status of the service as a failure; 0, OK, is none. Statuses that have a name in `errc` get it, others keep their
/// number. One that gRPC does not know is UNKNOWN, as the specification of gRPC has it, with its number in the text. The
/// service's text becomes printable(), for it goes into messages.
failure from_status(int code, std::string_view text);

}  // namespace rangeio::grpc_transport
