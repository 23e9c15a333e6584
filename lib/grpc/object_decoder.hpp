#pragma once

#include <rangeio/object.hpp>

#include "grpc/response_decoder.hpp"

#include <string_view>

namespace rangeio::wire {

/// Decodes a serialised Object. By hand, for protobuf prints a line on the process's stderr when a string is not UTF-8.
/// Several parts of an object one after the other are one object, as everywhere in protobuf.
///
/// Result:    the bucket without its `projects/_/buckets/`; times that no clock can express are the nearest that one
///            can.
/// Errors:    malformed, where protobuf would reject it, and for a negative size; out_of_memory.
/// Guarantee: no exception.
decode_result decode_object(std::string_view serialised, object_info& out) noexcept;

}  // namespace rangeio::wire
