#pragma once

#include "grpc/bidi_call.hpp"

#include <cstddef>
#include <string>

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace rangeio::grpc_transport {

/// How a call ended, as end_of_call() has it. What gRPC itself refused on this side is errc::protocol_error: a message
/// that is longer than `max_message_bytes`, or trailers that are longer than limits.hpp allows; the end is unreadable
/// then.
call_end end_from_status(const grpc::Status& status, std::size_t max_message_bytes) noexcept;

/// What a status says of a call that the service has not seen, for there is no connection to `endpoint`; empty: it may
/// have.
failure no_connection(const grpc::Status& status, grpc::Channel& on, const std::string& endpoint) noexcept;

}  // namespace rangeio::grpc_transport
