#pragma once

#include <rangeio/client.hpp>

#include "grpc/response_decoder.hpp"

#include <string_view>

// Decoders for the responses to metadata requests; without protobuf, for the reason that decode_object() states.

namespace rangeio::wire {

/// Decodes a serialized ListObjectsResponse. `next_page_token` is the token of the service.
///
/// Errors:    malformed, where protobuf would reject it, and where decode_object() rejects one of the objects;
///            above_limit for more objects and prefixes than limits.hpp allows; out_of_memory. `out` is empty then.
/// Guarantee: no exception.
decode_result decode_listing(std::string_view serialised, list_page& out) noexcept;

/// Decodes a serialized StorageLayout.
///
/// Errors:    malformed, out_of_memory; `out` is empty then.
/// Guarantee: no exception.
decode_result decode_layout(std::string_view serialised, bucket_layout& out) noexcept;

}  // namespace rangeio::wire
