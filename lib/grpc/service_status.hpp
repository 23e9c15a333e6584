#pragma once

#include <rangeio/error.hpp>

#include "kit_export.hpp"

#include <string_view>

namespace rangeio::grpc_transport {

/// A status of the service as a failure; empty for 0, OK. A status with a counterpart in `errc` gets that code, another
/// one keeps its number. A number that gRPC does not define is UNKNOWN, as the specification of gRPC requires, with the
/// number in the text. The service's text is made printable().
RANGEIO_KIT_EXPORT error_value from_status(int code, std::string_view text);

}  // namespace rangeio::grpc_transport
