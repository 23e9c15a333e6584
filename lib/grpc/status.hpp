#pragma once

#include "grpc/bidi_call.hpp"

#include <cstddef>
#include <string>

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace rangeio::grpc_transport {

/// The end of a call, as by end_of_call(). Data that gRPC itself rejected on this side is errc::protocol_error: a
/// message longer than `max_message_bytes`, or trailers longer than limits.hpp allows; in the latter case the end is
/// `unreadable`.
call_end end_from_status(const grpc::Status& status, std::size_t max_message_bytes) noexcept;

/// The failure of a call that has not reached the service, because there was no connection to `endpoint`; empty if the
/// call may have reached it.
error_value no_connection(
    const grpc::Status& status, grpc::Channel& on, const std::string& endpoint
) noexcept;

}  // namespace rangeio::grpc_transport
