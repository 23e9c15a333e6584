#pragma once

#include <rangeio/mrd_pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <span>

namespace support {

/// A read that returns its failure as a value.
inline boost::asio::awaitable<rangeio::result<std::size_t>> try_fetch(
    const rangeio::mrd_pool& pool,
    rangeio::byte_range range,
    std::span<std::byte> memory,
    rangeio::fetch_options how = {}
) {
    rangeio::error_value why;
    const std::size_t got = co_await pool.async_fetch(range, memory, how, rangeio::redirect_error_value(why));
    if (why) co_return why;
    co_return got;
}

}  // namespace support
