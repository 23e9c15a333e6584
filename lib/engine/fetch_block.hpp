#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch.hpp>

#include "engine/pool_core.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

// What the operations that read have in common.

namespace rangeio::engine {

/// A range as it stands behind the object's name in errors.
inline std::string naming(byte_range range) {
    return " " + to_string(range);
}

/// errc::invalid_argument if `destination` has no room for `range`.
failure check_destination(std::span<const std::byte> destination, byte_range range);

/// The object, once a stream has told of it. Opens the pool if nobody has.
asio::awaitable<result<std::shared_ptr<const object_info>>> opened(
    std::shared_ptr<pool_core> pool, std::chrono::nanoseconds timeout
);

/// The size of the object by now: mrd_pool::refresh_size().
asio::awaitable<std::uint64_t> refresh(std::shared_ptr<pool_core> pool, std::chrono::nanoseconds timeout);

/// The object, known well enough to have memory for `range`: of one that grows, its size is asked for if that would be
/// much more than it has. Throws errc::range_not_satisfiable if it is all the same.
asio::awaitable<std::shared_ptr<const object_info>> informed(
    std::shared_ptr<pool_core> pool, byte_range range, std::chrono::nanoseconds timeout
);

/// Memory that is not zeroed: it is about to be written. Throws errc::invalid_argument if there is not so much.
byte_block allocate(std::uint64_t size);
/// The first `size` bytes of `block`, in memory that is not longer.
byte_block shrink(byte_block block, std::size_t size);

/// As `fetch` into fresh memory.
asio::awaitable<byte_block> fetch_block(
    std::shared_ptr<pool_core> pool, byte_range range, fetch_options options
);

}  // namespace rangeio::engine
