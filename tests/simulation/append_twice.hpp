#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>

namespace support {

/// Two steps, of which `out` shows the order among those of others.
inline boost::asio::awaitable<void> append_twice(std::string& out, char who) {
    out += who;
    co_await boost::asio::post(boost::asio::use_awaitable);
    out += who;
}

}  // namespace support
