#pragma once

#include <rangeio/client.hpp>
#include <rangeio/emulator.hpp>

#include "emulator/fixture.hpp"
#include "support/run.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace support {

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
    void run(asio::awaitable<void> body) { support::run(context, std::move(body)); }

    scratch files;
    rangeio::emulator::server server;
    asio::io_context context;
    rangeio::client client;
};

/// A pool on `object`, opened.
inline asio::awaitable<void> open_into(
    rangeio::client& client, rangeio::object_ref object, std::unique_ptr<rangeio::mrd_pool>& out
) {
    out = std::make_unique<rangeio::mrd_pool>(co_await client.async_open(object));
}

inline std::string_view text_of(const rangeio::byte_block& block) {
    return {reinterpret_cast<const char*>(block.data()), block.size()};
}

}  // namespace support
