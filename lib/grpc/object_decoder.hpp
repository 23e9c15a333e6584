#pragma once

#include <rangeio/object.hpp>

#include "grpc/response_decoder.hpp"

#include <string_view>

namespace rangeio::wire {

/// Decodes a serialized Object. Without protobuf, which prints a line on the process's stderr if a string is not UTF-8.
/// Several concatenated fragments of an object are one object, as everywhere in protobuf.
///
/// Returns:   the bucket without its `projects/_/buckets/`; a time that the clock cannot represent becomes the nearest
///            one that it can.
/// Errors:    malformed, where protobuf would reject it, and for a negative size; out_of_memory.
/// Guarantee: no exception.
decode_result decode_object(std::string_view serialised, object_info& out) noexcept;

}  // namespace rangeio::wire
