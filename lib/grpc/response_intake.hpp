#pragma once

#include <rangeio/error.hpp>

#include "grpc/bidi_call.hpp"
#include "grpc/response_decoder.hpp"

#include <span>

namespace rangeio::grpc_transport {

/// Decodes a response and passes it to `to`. No reference to `message` is kept.
///
/// Errors: errc::protocol_error for a response that is malformed or above one of the limits of limits.hpp;
///         not_enough_memory. The response is not passed on then, and the caller has to end the call with the failure.
error_value take_response(std::span<const wire::slice> message, bidi_call_events& to) noexcept;

}  // namespace rangeio::grpc_transport
