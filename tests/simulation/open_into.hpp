#pragma once

#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <utility>

// Coroutines that leave what they opened to the test.

namespace support {

inline boost::asio::awaitable<void> open_into(
    rangeio::mrd_pool_cache& cache,
    rangeio::object_ref object,
    std::unique_ptr<rangeio::mrd_pool>& out,
    rangeio::pool_options options = {}
) {
    out = std::make_unique<rangeio::mrd_pool>(co_await cache.async_open(std::move(object), options));
}

inline boost::asio::awaitable<void> acquire_into(
    rangeio::mrd_pool& pool, rangeio::lease& out, std::chrono::nanoseconds timeout = std::chrono::seconds(60)
) {
    out = co_await pool.async_acquire(rangeio::acquire_options().timeout(timeout));
}

}  // namespace support
