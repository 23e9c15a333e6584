#pragma once

#include "grpc/bidi_call.hpp"

#include <string_view>

namespace rangeio::grpc_transport {

/// The end of a BidiReadObject call: its status, and its details (a serialized google.rpc.Status): a redirect, or the
/// ranges at fault. Details of unknown types are ignored; with malformed details the end is `unreadable`.
///
/// Decoded without protobuf, which rejects a string that is not UTF-8, prints a line on the process's stderr, and
/// creates objects for fields that are not used.
call_end end_of_call(int status, std::string_view text, std::string_view details) noexcept;

}  // namespace rangeio::grpc_transport
