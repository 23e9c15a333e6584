#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace rangeio::tool {

namespace asio = boost::asio;

class blocking_thread;

/// The length of the longest block: what a reader lends at once.
constexpr std::size_t max_block_bytes = std::size_t{4} << 20;

/// The object as the first stream of an open pool reported it.
object_info opened_object(const mrd_pool& pool);

/// Consumes the next bytes; may block. An exception of the sink ends the read.
using block_sink = std::function<void(std::span<const std::byte> bytes)>;

/// Reads `ranges` in order and passes them to `sink` in that order, on `writer`, from the memory of the reader. The
/// next block is read while one is written, and the ranges that follow are announced to the reader.
///
/// Requires:  the size of the object is known, and nothing else reads from the position of the reader.
/// Lifetimes: `reader` and `writer` until completion.
/// Cancels:   terminal; nothing is left running when it returns.
asio::awaitable<void> read_in_order(
    object_reader& reader, std::vector<byte_range> ranges, blocking_thread& writer, block_sink sink
);

}  // namespace rangeio::tool
