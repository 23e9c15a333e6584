#include <rangeio/testing/tcp_proxy.hpp>

#include "emulator/engine_fixture.hpp"
#include "grpc/channels.hpp"
#include "support/mib.hpp"

#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_block;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::observer;
using rangeio::pool_options;
using rangeio::retry_policy;
using rangeio::testing::tcp_proxy;

// What networks do to connections, over gRPC: only there are its own back-off and its own idea of a connection.

namespace {

/// An emulator behind a proxy, and a client that knows the proxy only.
struct network {
    explicit network(client_options options = {}, std::size_t size = mib / 4) : content(pattern(size)) {
        object = f.put("o", content);
        client =
            std::make_unique<rangeio::client>(f.context.get_executor(), options.endpoint(proxy.address()));
    }

    asio::awaitable<void> read(const mrd_pool& pool, std::size_t parts = 1) {
        const auto options = rangeio::fetch_options().concurrency(parts).min_chunk_bytes(1);
        const byte_range whole(0, content.size());
        const byte_block got = co_await pool.async_fetch(whole, options);
        CHECK(text_of(got) == content);
    }
    asio::awaitable<void> stat() {
        const auto info = co_await client->async_stat(object);
        CHECK(info.size == content.size());
    }

    engine_fixture f;
    tcp_proxy proxy{f.server.address()};
    std::string content;
    object_ref object;
    std::unique_ptr<rangeio::client> client;
};

client_options quick(std::chrono::nanoseconds stall) {
    return client_options().retry(retry_policy().stall_timeout(stall));
}

asio::awaitable<void> read_over_silenced(network& n) {
    mrd_pool pool = co_await n.client->async_open(n.object);
    co_await n.read(pool, 4);
    co_await n.stat();
    n.proxy.silence();
    co_await n.read(pool, 4);
    co_await n.stat();
    // What was idle on the dead connections is not met by the next.
    co_await n.read(pool, 4);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> read_after_outage(network& n, std::chrono::nanoseconds length) {
    mrd_pool pool = co_await n.client->async_open(n.object);
    co_await n.read(pool);
    co_await n.stat();
    const auto start = std::chrono::steady_clock::now();
    n.proxy.go_away(length);
    co_await n.read(pool);
    co_await n.stat();
    CHECK(std::chrono::steady_clock::now() - start >= length);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> read_once_of_many(network& n, const mrd_pool& pool, std::size_t& done) {
    co_await n.read(pool, 2);
    ++done;
}

asio::awaitable<void> read_over_slow_link(network& n) {
    constexpr std::size_t parts = 32;
    const mrd_pool pool = co_await n.client->async_open(n.object);
    const std::uint64_t before = n.proxy.stats().bytes_to_client;
    co_await n.read(pool, parts);
    const auto stats = pool.stats();
    CHECK(stats.streams.stalled == 0);
    CHECK(stats.streams.resumed == 0);
    CHECK(stats.failed == 0);
    CHECK(n.proxy.stats().accepted == 4);
    // Without what frames and messages add, and requests for signs of life.
    CHECK(n.proxy.stats().bytes_to_client - before < n.content.size() + n.content.size() / 50);

    n.proxy.limit_rate(0);
    co_await n.read(pool, parts);
    CHECK(pool.stats().streams.stalled == 0);
    const auto start = std::chrono::steady_clock::now();
    n.proxy.silence();
    co_await n.read(pool, parts);
    CHECK(std::chrono::steady_clock::now() - start < 4s);
    CHECK(pool.stats().failed == 0);
}

class ear final : public observer {
public:
    void on_event(const rangeio::event& what) noexcept override {
        if (what.kind == rangeio::event_kind::waiting_for_connection) heard = to_string(what);
    }
    std::string heard;
};

class breaks final : public observer {
public:
    void on_event(const rangeio::event& what) noexcept override {
        if (what.kind == rangeio::event_kind::stream_broke) ++count;
    }
    std::atomic<int> count = 0;
};

asio::awaitable<void> read_over_pinged(engine_fixture& f, object_ref object, std::string_view content) {
    const auto alone = pool_options().size(1);
    const mrd_pool pool = co_await f.client.async_open(std::move(object), alone);
    const auto options = rangeio::fetch_options().concurrency(4).min_chunk_bytes(1);
    const byte_range whole(0, content.size());
    const byte_block got = co_await pool.async_fetch(whole, options);
    CHECK(text_of(got) == content);
    CHECK(pool.stats().streams.resumed == 1);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> hold_streams(network& n, std::size_t count, std::vector<mrd_pool>& held) {
    const auto alone = pool_options().size(1);
    for (std::size_t i = 0; i < count; ++i) {
        mrd_pool pool = co_await n.client->async_open(n.object, alone);
        held.push_back(std::move(pool));
    }
}

}  // namespace

TEST_CASE("networks: a silently dead connection is replaced, for reads and for stat") {
    network n(quick(400ms));
    n.f.run(read_over_silenced(n));
}

TEST_CASE("networks: a slow link with deep buffers loses no byte, and with its limits a dead path is replaced"
) {
    // All that is due needs ten times the stall timeout, and what is on its way several.
    network n(quick(500ms), 16 * mib);
    n.proxy.limit_rate(3 * mib);
    n.f.run(read_over_slow_link(n));
}

TEST_CASE("networks: a service that was away is found soon after, and the wait costs no attempt") {
    network n(client_options().retry(retry_policy().attempts(1)));
    n.f.run(read_after_outage(n, 1500ms));
}

TEST_CASE("networks: an outage of 10 s fails none of 100 reads on an open pool") {
    network n;
    std::unique_ptr<mrd_pool> pool;
    n.f.run(open_into(*n.client, n.object, pool));
    n.proxy.go_away(10s);
    constexpr std::size_t readers = 100;
    std::size_t done = 0;
    std::array<outcome, readers> ends;
    for (outcome& end : ends) {
        asio::co_spawn(n.f.context, read_once_of_many(n, *pool, done), end.handler());
    }
    const auto start = std::chrono::steady_clock::now();
    n.f.context.restart();
    // The budget of each read, and its last attempt.
    n.f.context.run_for(80s);
    CHECK(done == readers);
    CHECK(std::chrono::steady_clock::now() - start > 9s);
    for (const outcome& end : ends) CHECK(end.code == rangeio::error_code());
}

TEST_CASE("networks: a read whose call ends with too_many_pings continues over a new connection") {
    const auto heard = std::make_shared<breaks>();
    const auto script = rangeio::testing::fault_script::parse("too-many-pings call=1 byte=1000000");
    engine_fixture f(
        rangeio::emulator::server_options().faults(script), client_options().channels(1).observe(heard)
    );
    const std::string content = pattern(4 * mib);
    f.run(read_over_pinged(f, f.put("o", content), content));
    CHECK(heard->count == 1);
    CHECK(f.server.stats().faults_struck[0] == 1);
    CHECK(f.server.stats().connections == 2);
}

TEST_CASE("networks: connections are not pinged more often than a gRPC server allows by default") {
    asio::io_context context;
    const auto options = client_options().endpoint("127.0.0.1:1");
    const auto made = rangeio::grpc_transport::channels::make(context.get_executor(), options);
    const grpc::ChannelArguments said = made->arguments();
    const grpc_channel_args all = said.c_channel_args();
    const auto value_of = [&](std::string_view key, int missing) {
        for (std::size_t i = 0; i < all.num_args; ++i) {
            if (all.args[i].key == key) return all.args[i].value.integer;
        }
        return missing;
    };
    // What it bears: two pings that come within five minutes of the one before, while it sends nothing.
    CHECK(value_of(GRPC_ARG_KEEPALIVE_TIME_MS, INT_MAX) > 300'000);
    CHECK(value_of(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0) == 0);
    const int in_a_row = value_of(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 2);
    CHECK(in_a_row > 0);  // 0: any number
    CHECK(in_a_row <= 2);
}

TEST_CASE("networks: more streams than a connection serves get further connections, as metadata does") {
    network n(client_options().channels(1).streams_per_connection(4));
    std::vector<mrd_pool> held;
    n.f.run(hold_streams(n, 10, held));
    CHECK(n.proxy.stats().accepted == 3);
    n.f.run(n.stat());
    CHECK(n.proxy.stats().accepted == 4);
}

TEST_CASE("networks: no more connections than max_connections are made") {
    network n(client_options().channels(2).streams_per_connection(1).max_connections(2));
    std::vector<mrd_pool> held;
    n.f.run(hold_streams(n, 6, held));
    CHECK(n.proxy.stats().accepted == 2);
}

TEST_CASE("networks: connection options out of their range are rejected by name") {
    asio::io_context context;
    const auto why = [&](const client_options& options) {
        try {
            const rangeio::client refused(context.get_executor(), options);
        } catch (const rangeio::error& e) {
            CHECK(e.code() == rangeio::errc::invalid_argument);
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    const auto says = [&](const client_options& options, const char* text) {
        const std::string said = why(options);
        CAPTURE(said);
        CHECK(said.find(text) != std::string::npos);
    };
    says(client_options().channels(0), "channels: 0 is not in 1..64");
    says(client_options().streams_per_connection(0), "streams_per_connection: 0 is not in 1..10000");
    says(client_options().channels(5).max_connections(4), "max_connections: 4 is not in 5..1000");
}

TEST_CASE("networks: an endpoint that does not answer is named to the observer") {
    const auto heard = std::make_shared<ear>();
    network n(client_options().observe(heard));
    n.proxy.silence_new(true);
    const auto open = [](network& at) -> asio::awaitable<void> {
        const auto limits = pool_options().open_timeout(2500ms);
        const auto why = co_await failure_of(at.client->async_open(at.object, limits));
        CHECK(why.code() == rangeio::errc::timed_out);
    };
    n.f.run(open(n));
    CHECK(heard->heard == "client waits for 2000.0 ms: " + n.proxy.address() + " has not answered yet");
}
