#pragma once

#include "runtime/operation.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>

namespace support {

/// Awaits an operation of the engine and discards its result, which stays in the operation.
inline boost::asio::awaitable<void> await_operation(
    const std::shared_ptr<rangeio::runtime::operation>& op, std::chrono::nanoseconds limit = {}
) {
    struct no_outcome final : rangeio::detail::outcome_of<void> {
        rangeio::error_value outcome() noexcept override { return {}; }
    };
    static no_outcome nothing;
    op->limit(limit);
    return rangeio::detail::initiate(
        rangeio::detail::initiation<void>(op, nothing, boost::asio::any_io_executor()),
        boost::asio::use_awaitable
    );
}

}  // namespace support
