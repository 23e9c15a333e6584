#include "emulator/engine_fixture.hpp"
#include "support/mib.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_block;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::errc;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::retry_policy;

// Streams that end under their readers, over gRPC. The ways in which they may end are tried in the suite `simulation`.

namespace {

asio::awaitable<void> read_past_the_end(lease& held, std::size_t size) {
    std::vector<std::byte> memory(16);
    const byte_range past(size + 1, 16);
    const auto refused = co_await failure_of(held.async_fetch(past, memory));
    CHECK(refused.code() == errc::range_not_satisfiable);
}

asio::awaitable<void> read_good_and_bad(
    rangeio::client& client, object_ref object, const std::string& content
) {
    using namespace asio::experimental::awaitable_operators;
    const pool_options one = pool_options().size(1);
    mrd_pool pool = co_await client.async_open(object, one);
    lease held = co_await pool.async_acquire();
    std::vector<std::byte> memory(content.size());
    const byte_range whole(0, content.size());
    co_await (pool.async_fetch(whole, memory, throwing_awaitable) && read_past_the_end(held, content.size()));
    CHECK(std::equal(memory.begin(), memory.end(), std::as_bytes(std::span(content)).begin()));
    CHECK(pool.stats().opened == 1);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> fetch_and_compare(const mrd_pool& pool, const std::string& content) {
    const byte_range whole(0, content.size());
    const byte_block got = co_await pool.async_fetch(whole);
    CHECK(text_of(got) == content);
}

}  // namespace

TEST_CASE("S10: a range that the service refuses fails alone, and its neighbor on the stream is read whole") {
    engine_fixture f;
    const std::string content = pattern(8 * mib);
    f.run(read_good_and_bad(f.client, f.put("o", content), content));
}

TEST_CASE("S7: after a restart of the server an open pool continues to read with the same streams") {
    engine_fixture f;
    const std::string content = pattern(4 * mib);
    const object_ref object = f.put("o", content);
    auto server =
        std::make_unique<rangeio::emulator::server>(rangeio::emulator::server_options().root(f.files.path()));
    const std::string address = server->address();
    rangeio::client client(f.context.get_executor(), client_options().endpoint(address));
    std::unique_ptr<mrd_pool> pool;
    f.run(open_into(client, object, pool));
    f.run(fetch_and_compare(*pool, content));
    server.reset();
    server = std::make_unique<rangeio::emulator::server>(
        rangeio::emulator::server_options().root(f.files.path()).listen(address)
    );
    f.run(fetch_and_compare(*pool, content));
    CHECK(pool->stats().failed == 0);
    CHECK(pool->stats().reconnecting == 0);
}

TEST_CASE("S7: without a server at the endpoint, the open fails with the attempts in its text") {
    engine_fixture f;
    std::string address;
    {
        const rangeio::emulator::server gone(rangeio::emulator::server_options().root(f.files.path()));
        address = gone.address();
    }
    rangeio::client client(f.context.get_executor(), client_options().endpoint(address));
    const auto open = [](rangeio::client& at, const std::string& where) -> asio::awaitable<void> {
        const object_ref object("b-1", "o");
        const auto limits = pool_options().open_timeout(1s);
        const auto why = co_await failure_of(at.async_open(object, limits));
        CHECK(why.kind() == rangeio::error_class::transient);
        CHECK(why.message().find("no connection to " + where) != std::string::npos);
        CHECK(why.message().ends_with("(the stream did not open in time)"));
    };
    f.run(open(client, address));
}

TEST_CASE("retry_policy: a policy out of its range is rejected when the client is made") {
    asio::io_context context;
    try {
        const rangeio::client client(
            context.get_executor(), client_options().retry(retry_policy().open_attempts(0))
        );
        FAIL("accepted");
    } catch (const rangeio::error& e) {
        CHECK(e.code() == errc::invalid_argument);
    }
}
