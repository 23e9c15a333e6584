#pragma once

#include <rangeio/completion_token.hpp>
#include <rangeio/error.hpp>

#include "support/try_fetch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace support {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// A completion token: an awaitable that throws the failure with its text.
inline const auto throwing_awaitable = rangeio::with_message(asio::use_awaitable);

/// The outcome of a spawned operation.
struct outcome {
    std::optional<rangeio::error_code> code;

    auto handler() {
        return [this](std::exception_ptr thrown) {
            rangeio::error_code out;
            try {
                if (thrown) std::rethrow_exception(thrown);
            } catch (const boost::system::system_error& e) {
                out = e.code();
            }
            code = out;
        };
    }
};

/// Runs a coroutine to its end, and rethrows its exception. A test that hangs fails.
inline void run(asio::io_context& context, asio::awaitable<void> body) {
    std::exception_ptr thrown;
    bool over = false;
    asio::co_spawn(context, std::move(body), [&](std::exception_ptr e) {
        thrown = e;
        over = true;
        context.stop();
    });
    context.restart();
    context.run_for(30s);
    REQUIRE_MESSAGE(over, "the coroutine has not ended within its deadline");
    if (thrown) std::rethrow_exception(thrown);
}

/// The failure of `operation`.
template <class Awaitable>
asio::awaitable<rangeio::error_value> failure_of(Awaitable operation) {
    rangeio::error_value out;
    try {
        (void)co_await std::move(operation);
    } catch (const rangeio::error& e) {
        out = e.why();
    }
    co_return out;
}

}  // namespace support
