#pragma once

#include <cstddef>

// How much of what a peer says is taken. Each is far above what the service sends, and small enough that no message
// makes more of itself in memory than it is on the wire.

namespace rangeio::grpc_transport {

/// A routing token travels in a header, and servers take 8 KiB of those.
inline constexpr std::size_t max_token_bytes = 4096;
inline constexpr std::size_t max_handle_bytes = std::size_t{64} << 10;
/// The object's metadata as a message.
inline constexpr std::size_t max_metadata_bytes = std::size_t{1} << 20;
/// Pieces of ranges in one message, and parts that its metadata comes in.
inline constexpr std::size_t max_pieces = 16384;
inline constexpr std::size_t max_metadata_parts = 64;
/// Objects and prefixes on one page of a listing, of which at most 1000 are asked for.
inline constexpr std::size_t max_page_entries = 10'000;
/// Ranges that the end of a call names. Those that are not named are resumed, and named the next time.
inline constexpr std::size_t max_range_errors = 1000;
/// Headers and trailers of a call, details of its status among them: 100 ranges with a text of 1 KiB each, and a
/// handle, are less than a quarter of it.
inline constexpr std::size_t max_header_bytes = std::size_t{1} << 20;

}  // namespace rangeio::grpc_transport
