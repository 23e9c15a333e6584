#pragma once

#include <rangeio/client.hpp>
#include <rangeio/emulator.hpp>
#include <rangeio/fetch.hpp>

#include "emulator/fixture.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <string>
#include <utility>

namespace testing {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// An emulator on a scratch directory with bucket `b-1`, and an io_context with a client of it.
struct engine_fixture {
    engine_fixture() : engine_fixture(rangeio::emulator::server_options(), rangeio::client_options()) {}
    explicit engine_fixture(rangeio::client_options options)
        : engine_fixture(rangeio::emulator::server_options(), std::move(options)) {}
    engine_fixture(rangeio::emulator::server_options server_options, rangeio::client_options client_options)
        : server(with_root(std::move(server_options))),
          client(context.get_executor(), client_options.endpoint(server.address())) {}

    rangeio::emulator::server_options with_root(rangeio::emulator::server_options options) {
        files.write("b-1/.keep", "");
        return options.root(files.path());
    }

    /// Puts an object into the bucket and names it.
    rangeio::object_ref put(const std::string& name, std::string_view content) {
        files.write("b-1/" + name, content);
        return {"b-1", name};
    }

    /// Runs a coroutine to its end, and rethrows what it throws. A test that hangs fails.
    void run(asio::awaitable<void> body) {
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

    scratch files;
    rangeio::emulator::server server;
    asio::io_context context;
    rangeio::client client;
};

/// What `operation` fails with.
template <class Awaitable>
asio::awaitable<rangeio::failure> failure_of(Awaitable operation) {
    rangeio::failure out;
    try {
        (void)co_await std::move(operation);
    } catch (const rangeio::error& e) {
        out = e.why();
    }
    co_return out;
}

inline std::string_view text_of(const rangeio::byte_block& block) {
    return {reinterpret_cast<const char*>(block.data()), block.size()};
}

}  // namespace testing
