#include "emulator/engine_fixture.hpp"
#include "support/mib.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_ref;

// Client, cache, pools and context may be destroyed in any order, over real calls, and a lease before or after them.
// The server counts calls that stay open; the address sanitizer reports memory that is not freed.

namespace {

enum class thing { client, cache, cached_pool, pool, context };

/// Where the coroutines read: on the context itself or on a strand of it. The first strand of the context is older than
/// the client, or made between the client and the pools, or newer than all of them.
enum class home { context, strand_before, strand_between, strand_after };
constexpr std::array homes{home::context, home::strand_before, home::strand_between, home::strand_after};

/// What there is to destroy.
struct things {
    things(const std::string& endpoint, home where) {
        context = std::make_unique<asio::io_context>();
        if (where == home::strand_before) (void)asio::make_strand(*context);
        client.emplace(context->get_executor(), rangeio::client_options().endpoint(endpoint).channels(2));
        cache.emplace(client->pool_cache());
        if (where == home::strand_between) (void)asio::make_strand(*context);
    }
    ~things() {
        // The coroutines that are left use the rest.
        context.reset();
    }

    void destroy(thing what) {
        switch (what) {
            case thing::client: client.reset(); break;
            case thing::cache: cache.reset(); break;
            case thing::cached_pool: cached_pool.reset(); break;
            case thing::pool: pool.reset(); break;
            case thing::context: context.reset(); break;
        }
    }

    std::unique_ptr<asio::io_context> context;
    std::optional<rangeio::client> client;
    std::optional<mrd_pool_cache> cache;
    std::optional<mrd_pool> cached_pool;
    std::optional<mrd_pool> pool;
    lease held;
};

asio::awaitable<void> open_all(things& t, object_ref object) {
    // A stream that a pool has left in the cache, a pool of the cache with a lease, and one that is none of the cache.
    {
        mrd_pool before = co_await t.cache->async_open(object);
        object.generation(before.info()->generation);
        t.cached_pool.emplace(co_await t.cache->async_open(object));
        co_await before.async_close();
    }
    t.pool.emplace(co_await t.client->async_open(object));
    t.held = co_await t.cached_pool->async_acquire();
}

asio::awaitable<void> await_read(asio::awaitable<std::size_t> read, std::shared_ptr<int> /*frame*/) {
    co_await std::move(read);
}

/// Begins to read the whole object, with `frame` in the coroutine. The operation does not need the handle any more.
void begin_reading(
    const asio::any_io_executor& where,
    const mrd_pool& pool,
    std::span<std::byte> memory,
    std::shared_ptr<int> frame
) {
    const byte_range whole(0, memory.size());
    auto read = pool.async_fetch(whole, memory, fetch_options().concurrency(4), throwing_awaitable);
    asio::co_spawn(where, await_read(std::move(read), std::move(frame)), asio::detached);
}

// The server hears of the end of a call when gRPC gets round to telling it.
void wait_until_over(const rangeio::emulator::server& server) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (server.stats().bidi_read_object.open != 0 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    CHECK(server.stats().bidi_read_object.open == 0);
}

void destroy_in_every_order(bool reading) {
    const std::string content = pattern(2 * mib);
    scratch files;
    files.write("b-1/o", content);
    rangeio::emulator::server server(
        rangeio::emulator::server_options().root(files.path()).max_chunk_bytes(1 << 16)
    );
    const object_ref object("b-1", "o");
    std::array order{thing::client, thing::cache, thing::cached_pool, thing::pool, thing::context};
    int number = 0;
    do {
        const home where = homes[static_cast<std::size_t>(number) % homes.size()];
        things t(server.address(), where);
        run(*t.context, open_all(t, object));
        REQUIRE(t.cache->stats().idle_streams == 1);
        std::array<std::vector<std::byte>, 2> memory;
        std::weak_ptr<int> frames;
        if (reading) {
            for (auto& m : memory) m.resize(content.size());
            auto frame = std::make_shared<int>();
            frames = frame;
            asio::any_io_executor executor = t.context->get_executor();
            if (where != home::context) executor = asio::make_strand(executor);
            begin_reading(executor, *t.cached_pool, memory[0], frame);
            begin_reading(executor, *t.pool, memory[1], std::move(frame));
        }
        // So many steps of the event loop before and between: each is somewhere else in the reads.
        const int steps = number % 7;
        if (number++ % 2 == 0) t.held.release();
        for (const thing what : order) {
            if (t.context != nullptr) {
                t.context->restart();
                for (int i = 0; i < steps; ++i) t.context->poll_one();
            }
            t.destroy(what);
        }
        // The context is destroyed, and so are the coroutines: nothing may write any more.
        CHECK(frames.expired());
        for (auto& m : memory) m = {};
        t.held.release();
        wait_until_over(server);
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(number == 120);
    CHECK(server.stats().bidi_read_object.calls >= 3 * 120);
    CHECK((server.stats().ranges_requested > 0) == reading);
}

}  // namespace

TEST_CASE(
    "lifetimes: client, cache, idle pools and context are destroyed in any order, and no call stays open"
) {
    destroy_in_every_order(false);
}

TEST_CASE("lifetimes: client, cache, pools and context are destroyed in any order during reads") {
    destroy_in_every_order(true);
}
