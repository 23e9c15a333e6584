#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include "support/run.hpp"

#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Leaks that corrupt no byte: ended objects that stay in a list. The tests use weak references and the size of the
// heap, after thousands of streams, pools and keys. No network: the streams open at once, and end on request.

using namespace support;
using rangeio::error_value;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_info;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::stream_listener;

namespace {

class instant_stream final : public rangeio::multi_range_downloader {
public:
    instant_stream(asio::io_context& context, std::shared_ptr<const object_info> info)
        : context_(context), info_(std::move(info)) {}

    void open(std::shared_ptr<stream_listener> owner) override {
        owner_ = std::move(owner);
        asio::post(context_, [owner = owner_, info = info_] { owner->opened(info); });
    }
    std::int64_t read(std::shared_ptr<rangeio::range_sink>) override { return 0; }
    void cancel(std::int64_t, const error_value&) noexcept override {}
    void close(const error_value& why) noexcept override { end(why); }
    std::uint64_t outstanding_bytes() const noexcept override { return 0; }
    std::shared_ptr<const object_info> info() const noexcept override { return info_; }

    void end(const error_value& why) {
        if (!owner_) return;
        asio::post(context_, [owner = std::move(owner_), why] { owner->ended(why); });
        owner_.reset();
    }

private:
    asio::io_context& context_;
    std::shared_ptr<const object_info> info_;
    std::shared_ptr<stream_listener> owner_;
};

struct gauge {
    std::vector<std::weak_ptr<instant_stream>> streams;
    std::vector<std::weak_ptr<rangeio::mrd_factory>> factories;

    template <class T>
    static std::size_t alive(const std::vector<std::weak_ptr<T>>& all) {
        std::size_t count = 0;
        for (const auto& one : all) count += one.expired() ? 0 : 1;
        return count;
    }
};

class instant_factory final : public rangeio::mrd_factory {
public:
    instant_factory(asio::io_context& context, object_ref object, gauge& seen)
        : context_(context), object_(std::move(object)), seen_(seen) {}

    std::shared_ptr<rangeio::multi_range_downloader> create() override {
        auto info = std::make_shared<object_info>();
        info->bucket = object_.bucket();
        info->name = object_.name();
        info->generation = 7;
        info->size = 100;
        info->finalized = true;
        // In two blocks: of the stream, a weak reference keeps nothing then.
        const std::shared_ptr<instant_stream> out(new instant_stream(context_, std::move(info)));
        seen_.streams.push_back(out);
        return out;
    }
    bool supports_multi_request() const noexcept override { return true; }
    const object_ref& object() const noexcept override { return object_; }

private:
    asio::io_context& context_;
    object_ref object_;
    gauge& seen_;
};

std::size_t heap_bytes() {
    return ::mallinfo2().uordblks;
}

// Does it often, and then as often again: the heap must not have grown by what each round would leave.
void check_heap(int rounds, std::size_t bytes_a_round, const std::function<void(int)>& round) {
    for (int i = 0; i < rounds; ++i) round(i);
    const std::size_t before = heap_bytes();
    for (int i = rounds; i < 2 * rounds; ++i) round(i);
    const std::size_t after = heap_bytes();
    CHECK(after < before + static_cast<std::size_t>(rounds) * bytes_a_round);
}

asio::awaitable<void> lease_into(mrd_pool& pool, lease& out) {
    out = co_await pool.async_acquire();
}

}  // namespace

TEST_CASE("gauge: a pool releases the memory of streams that have ended") {
    asio::io_context context;
    gauge seen;
    auto factory = std::make_shared<instant_factory>(context, object_ref("b-1", "o"), seen);
    mrd_pool pool(context.get_executor(), factory, pool_options().size(2));
    seen.streams.reserve(5000);
    check_heap(1000, 100, [&](int) {
        lease held;
        run(context, lease_into(pool, held));
        const auto stream = seen.streams.back().lock();
        REQUIRE(stream);
        stream->end(error_value(rangeio::errc::stream_closed, "died"));
        context.restart();
        context.poll();
    });
    CHECK(seen.streams.size() == 2000);
    CHECK(gauge::alive(seen.streams) <= 1);
    CHECK(pool.stats().failed == 2000);
    CHECK(pool.stats().leases == 0);
}

TEST_CASE("gauge: a cache releases the memory of pools, keys and streams beyond its limits") {
    asio::io_context context;
    gauge seen;
    const auto maker = [&](const object_ref& object, const pool_options&) {
        std::shared_ptr<rangeio::mrd_factory> out(new instant_factory(context, object, seen));
        seen.factories.push_back(out);
        return out;
    };
    const auto few = rangeio::pool_cache_options().max_idle_pools(3).max_idle_streams_per_key(1);
    mrd_pool_cache cache(context.get_executor(), maker, few);
    seen.streams.reserve(5000);
    seen.factories.reserve(5000);
    const auto visit = [&](int i) -> asio::awaitable<void> {
        const object_ref object("b-1", "o-" + std::to_string(i), 7);
        mrd_pool pool = co_await cache.async_open(object);
        lease held = co_await pool.async_acquire();
        held.release();
        co_await pool.async_close();
    };
    check_heap(1000, 250, [&](int i) { run(context, visit(i)); });
    context.restart();
    context.poll();
    CHECK(seen.factories.size() == 2000);
    CHECK(gauge::alive(seen.streams) == 3);
    CHECK(gauge::alive(seen.factories) <= 4);
    CHECK(cache.stats().idle_keys == 3);
    CHECK(cache.stats().idle_streams == 3);
    CHECK(cache.stats().keys_in_use == 0);
    run(context, cache.async_close(throwing_awaitable));
    CHECK(gauge::alive(seen.streams) == 0);
}
