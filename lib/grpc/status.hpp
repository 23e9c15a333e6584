#pragma once

#include <rangeio/error.hpp>

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

}  // namespace rangeio::grpc_transport
