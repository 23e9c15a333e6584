#pragma once

#include <rangeio/client.hpp>

#include "grpc/response_decoder.hpp"

#include <string_view>

// The responses of calls for metadata, decoded by hand for the reason that decode_object() gives.

namespace rangeio::wire {

/// Decodes a serialised ListObjectsResponse. `next_page_token` is the service's own.
///
/// Errors:    malformed, where protobuf would reject it, and where decode_object() rejects one of the objects; above_limit
///            for more objects and prefixes than limits.hpp allows; out_of_memory. `out` is empty then.
/// Guarantee: no exception.
decode_result decode_listing(std::string_view serialised, list_page& out) noexcept;

/// Decodes a serialised StorageLayout. Errors: malformed, out_of_memory; `out` is empty then. Guarantee: no exception.
decode_result decode_layout(std::string_view serialised, bucket_layout& out) noexcept;

}  // namespace rangeio::wire
