#pragma once

#include <rangeio/error.hpp>

#include "grpc/bidi_call.hpp"
#include "grpc/response_decoder.hpp"

#include <span>

namespace rangeio::grpc_transport {

/// Takes a response in, as the bytes that it came as, and hands it on. Nothing of it is kept.
///
/// Not handed on, if that fails: errc::protocol_error for what is malformed or above one of the limits of limits.hpp,
/// not_enough_memory. The call is to be given up with it.
failure take_response(std::span<const wire::slice> message, bidi_call_events& to) noexcept;

}  // namespace rangeio::grpc_transport
