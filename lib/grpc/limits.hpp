#pragma once

#include <cstddef>

// Limits for data from a peer. Each is far above the service's own use, and small enough that no message takes much
// more memory than it has bytes on the wire.

namespace rangeio::grpc_transport {

/// A routing token is sent in a header, and servers accept 8 KiB of headers.
inline constexpr std::size_t max_token_bytes = 4096;
inline constexpr std::size_t max_handle_bytes = std::size_t{64} << 10;
/// The object's metadata, serialized.
inline constexpr std::size_t max_metadata_bytes = std::size_t{1} << 20;
/// Chunks in one message, and fragments of the metadata in it.
inline constexpr std::size_t max_chunks = 16384;
inline constexpr std::size_t max_metadata_parts = 64;
/// Objects and prefixes on one page of a listing; at most 1000 are requested.
inline constexpr std::size_t max_page_entries = 10'000;
/// Ranges that the end of a call names. Further ones are resumed, and named at the end of the next call.
inline constexpr std::size_t max_range_errors = 1000;
/// Headers and trailers of a call, including the details of its status: 100 ranges with a text of 1 KiB each, and a
/// read handle, are less than a quarter of this.
inline constexpr std::size_t max_header_bytes = std::size_t{1} << 20;

}  // namespace rangeio::grpc_transport
