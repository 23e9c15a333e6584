#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/mrd_pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace rangeio::tool {

namespace asio = boost::asio;

class blocking_thread;

/// The read-ahead of a sequential read: `blocks` blocks of `block_bytes` are all the memory that it uses.
class read_ahead {
public:
    read_ahead() = default;
    /// Enough blocks to keep every stream of the pool busy while one of them is written.
    read_ahead(std::uint64_t pool_size, std::uint64_t concurrency);

    std::uint64_t block_bytes = std::uint64_t{8} << 20;
    std::size_t blocks = 4;
};

/// The object as the first stream of an open pool reported it.
object_info opened_object(const mrd_pool& pool);

/// Consumes the next bytes; may block. An exception of the sink ends the read.
using block_sink = std::function<void(std::span<const std::byte> bytes)>;

/// Reads `ranges` in order, each byte once, and passes them to `sink` in that order, on `writer`. Blocks are fetched
/// ahead into memory that is reused: hot in the cache and paged in. `options` apply to each block.
///
/// Lifetimes: `pool` and `writer` until completion.
/// Cancels:   terminal; nothing is left running when it returns.
asio::awaitable<void> read_in_order(
    const mrd_pool& pool,
    std::vector<byte_range> ranges,
    read_ahead ahead,
    fetch_options options,
    blocking_thread& writer,
    block_sink sink
);

}  // namespace rangeio::tool
