#pragma once

#include "grpc/bidi_call.hpp"

#include <string_view>

namespace rangeio::grpc_transport {

/// The end of a BidiReadObject call: its status, and what the details (a serialised google.rpc.Status) say of it: a
/// redirect, the ranges at fault. Details of types that we do not know say nothing; with those that are malformed
/// the end is `unreadable`.
///
/// Decoded by hand: protobuf refuses a text that is not UTF-8, prints a line on the process's stderr, and makes objects
/// of what nobody asks for.
call_end end_of_call(int status, std::string_view text, std::string_view details) noexcept;

}  // namespace rangeio::grpc_transport
