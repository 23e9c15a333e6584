#pragma once

#include <rangeio/error.hpp>

#include <string_view>

namespace rangeio::grpc_transport {

/// A status of the service as a failure; 0, OK, is none. Statuses that have a name in `errc` get it, others keep their
/// number. The service's text becomes one line without control characters, for it goes into messages.
failure from_status(int code, std::string_view text);

}  // namespace rangeio::grpc_transport
