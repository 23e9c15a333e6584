#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>

#include "engine/pool_core.hpp"
#include "simulation/memory_service.hpp"
#include "support/run.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::mrd_pool_cache;
using rangeio::object_info;
using rangeio::object_ref;
using rangeio::pool_options;

// Objects that grow under a pool, on a service whose calls know only of what there was when they began.

namespace {

std::string numbered(std::size_t size) {
    std::string out;
    for (std::size_t i = 0; out.size() < size; ++i) out += std::to_string(i) + ' ';
    return out.substr(0, size);
}

struct growing_fixture {
    explicit growing_fixture(std::size_t size = 2, std::size_t most = 100'000)
        : service(numbered(most), 2, most / 1000),
          pool(std::make_unique<mrd_pool>(
              context.get_executor(), service.factory(context.get_executor()), pool_options().size(size)
          )) {
        service.remember_sizes();
        service.unfinalized(1000);
    }
    ~growing_fixture() {
        pool.reset();
        context.restart();
        context.run_for(1s);
    }

    std::string text(std::size_t offset, std::size_t size) const {
        return service.content().substr(offset, size);
    }

    memory_service service;
    asio::io_context context;
    std::unique_ptr<mrd_pool> pool;
};

std::string text_of(const rangeio::byte_block& block) {
    return {reinterpret_cast<const char*>(block.data()), block.size()};
}

/// Two streams are open and idle afterwards.
asio::awaitable<void> open_two(mrd_pool& pool) {
    lease first = co_await pool.async_acquire();
    lease second = co_await pool.async_acquire();
}

asio::awaitable<void> refresh_and_read_on_both(growing_fixture& f) {
    mrd_pool& pool = *f.pool;
    co_await open_two(pool);
    CHECK(pool.stats().ready == 2);
    f.service.unfinalized(3000);
    CHECK(co_await pool.async_refresh_size() == 3000);
    CHECK(pool.info()->size == 3000);
    // Whichever of them is given out: both know of the new bytes.
    lease first = co_await pool.async_acquire();
    lease second = co_await pool.async_acquire();
    for (lease* held : {&first, &second}) {
        std::string memory(500, '.');
        const byte_range fresh(2000, 500);
        CHECK(co_await held->async_fetch(fresh, std::as_writable_bytes(std::span(memory))) == 500);
        CHECK(memory == f.text(2000, 500));
    }
    CHECK(pool.stats().opened == 2);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> refresh_under_readers(growing_fixture& f) {
    mrd_pool& pool = *f.pool;
    co_await pool.async_initialize();
    f.service.unfinalized(50'000);
    const byte_range all(0, 1000);
    const fetch_options whole = fetch_options().concurrency(4).min_chunk_bytes(1);
    using namespace asio::experimental::awaitable_operators;
    const auto both = co_await (
        pool.async_fetch(all, whole, asio::use_awaitable) && pool.async_refresh_size(asio::use_awaitable)
    );
    const auto& [before, size] = both;
    CHECK(text_of(before) == f.text(0, 1000));
    CHECK(size == 50'000);
    const byte_range fresh(0, 50'000);
    const auto after = co_await pool.async_fetch(fresh, whole);
    CHECK(text_of(after) == f.text(0, 50'000));
}

asio::awaitable<void> refresh_nothing_new(growing_fixture& f) {
    co_await open_two(*f.pool);
    const std::size_t calls = f.service.calls();
    CHECK(co_await f.pool->async_refresh_size() == 1000);
    CHECK(f.service.calls() == calls + 1);
}

asio::awaitable<void> refresh_unopened(growing_fixture& f) {
    CHECK(co_await f.pool->async_refresh_size() == 1000);
    CHECK(f.service.calls() == 1);
}

asio::awaitable<void> tail_of_what_grew(growing_fixture& f) {
    co_await f.pool->async_initialize();
    f.service.unfinalized(5000);
    const std::size_t calls = f.service.calls();
    const auto tail = co_await f.pool->async_fetch_tail(700);
    CHECK(tail.offset == 4300);
    CHECK(text_of(tail.bytes) == f.text(4300, 700));
    CHECK(f.service.calls() == calls + 1);
    CHECK(f.pool->info()->size == 5000);
    const auto everything = co_await f.pool->async_fetch_tail(9000);
    CHECK(everything.offset == 0);
    CHECK(text_of(everything.bytes) == f.text(0, 5000));
    const auto nothing = co_await f.pool->async_fetch_tail(0);
    CHECK(nothing.offset == 5000);
    CHECK(nothing.bytes.size() == 0);
}

}  // namespace

TEST_CASE("growing: after refresh_size every stream of the pool reads the appended bytes") {
    growing_fixture f;
    run(f.context, refresh_and_read_on_both(f));
}

TEST_CASE("growing: refresh_size during reads leaves them complete") {
    growing_fixture f(1);
    run(f.context, refresh_under_readers(f));
}

TEST_CASE("growing: refresh_size of an unchanged object takes one call, and the other streams keep theirs") {
    growing_fixture f;
    run(f.context, refresh_nothing_new(f));
}

TEST_CASE("growing: refresh_size of an unopened pool opens it and does nothing else") {
    growing_fixture f;
    run(f.context, refresh_unopened(f));
}

TEST_CASE("growing: fetch_tail returns newly appended bytes in one call") {
    growing_fixture f(1);
    run(f.context, tail_of_what_grew(f));
}

TEST_CASE("growing: a finalized object causes no further query") {
    asio::io_context context;
    memory_service service(numbered(1000), 1, 100);
    mrd_pool pool(context.get_executor(), service.factory(context.get_executor()), pool_options().size(1));
    const auto ask = [](mrd_pool& p, memory_service& s) -> asio::awaitable<void> {
        co_await p.async_initialize();
        CHECK(co_await p.async_refresh_size() == 1000);
        const auto tail = co_await p.async_fetch_tail(10);
        CHECK(tail.offset == 990);
        CHECK(text_of(tail.bytes) == s.content().substr(990));
        CHECK(s.calls() == 1);
    };
    run(context, ask(pool, service));
}

namespace {

asio::awaitable<void> refresh_beside_idle_streams(mrd_pool_cache& cache, memory_service& service) {
    {
        mrd_pool before = co_await cache.async_open({"b-1", "o"}, pool_options().size(2));
        co_await open_two(before);
        co_await before.async_close();
    }
    CHECK(cache.stats().idle_streams == 2);
    object_ref named("b-1", "o");
    named.generation(7);
    mrd_pool pool = co_await cache.async_open(named, pool_options().size(2));
    service.unfinalized(3000);
    CHECK(co_await pool.async_refresh_size() == 3000);
    lease first = co_await pool.async_acquire();
    lease second = co_await pool.async_acquire();
    for (lease* held : {&first, &second}) {
        std::string memory(500, '.');
        const byte_range fresh(2000, 500);
        CHECK(co_await held->async_fetch(fresh, std::as_writable_bytes(std::span(memory))) == 500);
        CHECK(memory == service.content().substr(2000, 500));
    }
}

constexpr std::uint64_t absurd = std::uint64_t{1} << 61;

asio::awaitable<void> read_more_than_there_is(growing_fixture& f) {
    const mrd_pool& pool = *f.pool;
    co_await f.pool->async_initialize();
    f.service.unfinalized(5000);
    const std::size_t calls = f.service.calls();
    const auto tail = co_await pool.async_fetch_tail(absurd);
    CHECK(tail.offset == 0);
    CHECK(text_of(tail.bytes) == f.text(0, 5000));
    CHECK(f.service.calls() == calls + 1);
    f.service.unfinalized(6000);
    const byte_range everything(1000, absurd);
    const fetch_options lenient = fetch_options().allow_short(true);
    const auto rest = co_await pool.async_fetch(everything, lenient);
    CHECK(text_of(rest) == f.text(1000, 5000));
    const auto refused = co_await failure_of(pool.async_fetch(everything));
    CHECK(refused.code() == errc::range_not_satisfiable);
    const std::vector<std::uint64_t> lengths(3, absurd);
    const auto split = co_await failure_of(pool.async_fetch_split(0, lengths));
    CHECK(split.code() == errc::range_not_satisfiable);
}

asio::awaitable<void> tail_of_what_grew_a_lot(growing_fixture& f) {
    co_await f.pool->async_initialize();
    f.service.unfinalized(3'000'000);
    const auto tail = co_await f.pool->async_fetch_tail(2'500'000);
    CHECK(tail.offset == 500'000);
    CHECK((text_of(tail.bytes) == f.text(500'000, 2'500'000)));
}

/// Streams that open on request of the test, and record the sizes that they are required to serve.
class sized_streams final : public rangeio::mrd_factory {
public:
    class stream final : public rangeio::multi_range_downloader {
    public:
        explicit stream(const object_info& known) : known_(known) {}
        void open(std::shared_ptr<rangeio::stream_listener> to) override { owner = std::move(to); }
        std::int64_t read(std::shared_ptr<rangeio::range_sink> sink) override {
            rangeio::range_outcome all;
            all.received = sink->range().length();
            if (sink->tail()) all.offset = tails_at;
            if (++reads > 10) all.why = {errc::timed_out, "asked without end"};
            sink->done(all);
            return 1;
        }
        void cancel(std::int64_t, const rangeio::error_value&) noexcept override {}
        void close(const rangeio::error_value& why) noexcept override {
            if (const auto to = std::exchange(owner, nullptr)) to->ended(why);
        }
        std::uint64_t outstanding_bytes() const noexcept override { return 0; }
        void require(std::uint64_t size) noexcept override { required.push_back(size); }
        std::shared_ptr<const object_info> info() const noexcept override {
            return std::make_shared<const object_info>(known_);
        }

        std::uint64_t required_last() const { return required.empty() ? 0 : required.back(); }

        std::shared_ptr<rangeio::stream_listener> owner;
        std::vector<std::uint64_t> required;
        std::uint64_t tails_at = 0;
        int reads = 0;

    private:
        const object_info& known_;
    };

    sized_streams() {
        known.generation = 7;
        known.size = 1000;
    }
    std::shared_ptr<rangeio::multi_range_downloader> create() override {
        made.push_back(std::make_shared<stream>(known));
        return made.back();
    }
    bool supports_multi_request() const noexcept override { return true; }
    const object_ref& object() const noexcept override { return object_; }
    void open(std::size_t i) {
        const auto owner = made.at(i)->owner;
        owner->opened(made.at(i)->info());
    }

    object_info known;
    std::vector<std::shared_ptr<stream>> made;

private:
    const object_ref object_{"b-1", "o"};
};

asio::awaitable<void> take(mrd_pool& pool, lease& out) {
    out = co_await pool.async_acquire();
}

/// A pool of one such stream, which is open and leased.
struct sized_pool {
    sized_pool() {
        asio::co_spawn(context, take(pool, held), end.handler());
        context.poll();
        streams->open(0);
        context.restart();
        context.poll();
        REQUIRE(held);
    }

    asio::io_context context;
    std::shared_ptr<sized_streams> streams = std::make_shared<sized_streams>();
    mrd_pool pool{context.get_executor(), streams, pool_options().size(1)};
    outcome end;
    lease held;
};

asio::awaitable<void> tail_that_never_fits(mrd_pool& pool) {
    const auto why = co_await failure_of(pool.async_fetch_tail(2'000'000));
    CHECK(why.code() == errc::protocol_error);
    CHECK(
        why.message() ==
        "gs://b-1/o last 2000000 bytes: the service served 1050576 bytes at offset 1000000000 of an object "
        "that it "
        "says ends at 1000"
    );
}

asio::awaitable<void> ask_size(mrd_pool& pool, std::uint64_t& out) {
    out = co_await pool.async_refresh_size();
}

}  // namespace

TEST_CASE("growing: a length beyond the object costs no memory: the read is short or fails") {
    growing_fixture f(1);
    run(f.context, read_more_than_there_is(f));
}

TEST_CASE("growing: fetch_tail of an object that has grown to many times its size returns every byte") {
    growing_fixture f(1, 3'000'000);
    run(f.context, tail_of_what_grew_a_lot(f));
}

TEST_CASE("P14: streams kept by a cache get the size that the pool taking them has learned") {
    asio::io_context context;
    memory_service service(numbered(100'000), 2, 100);
    service.remember_sizes();
    service.unfinalized(1000);
    auto cache =
        std::make_unique<mrd_pool_cache>(context.get_executor(), [&](const object_ref&, const pool_options&) {
            return service.factory(context.get_executor());
        });
    run(context, refresh_beside_idle_streams(*cache, service));
    cache.reset();
    context.restart();
    context.run_for(1s);
}

TEST_CASE("P14: an opening stream gets a newly learned size at once, other streams when they are granted") {
    asio::io_context context;
    const auto streams = std::make_shared<sized_streams>();
    mrd_pool pool(context.get_executor(), streams, pool_options().size(3));
    std::vector<outcome> ends(5);
    lease first, second, third;
    asio::co_spawn(context, take(pool, first), ends[0].handler());
    context.poll();
    streams->open(0);
    context.poll();
    REQUIRE(first);
    asio::co_spawn(context, take(pool, second), ends[1].handler());
    context.restart();
    context.poll();
    REQUIRE(streams->made.size() == 2);
    streams->known.size = 3000;
    first.release();
    context.restart();
    context.poll();
    REQUIRE(second);  // on the first stream, which fell idle; the other is still being opened
    second.release();
    std::uint64_t size = 0;
    asio::co_spawn(context, ask_size(pool, size), ends[2].handler());
    context.restart();
    context.poll();
    CHECK(size == 3000);
    for (const auto& stream : streams->made) CHECK(stream->required_last() == 3000);
    // One that is made later begins with it.
    asio::co_spawn(context, take(pool, first), ends[3].handler());
    asio::co_spawn(context, take(pool, third), ends[4].handler());
    context.restart();
    context.poll();
    for (const auto& stream : streams->made) CHECK(stream->required_last() == 3000);
    for (std::size_t i = 1; i < streams->made.size(); ++i) streams->open(i);
    context.restart();
    context.poll();
}

TEST_CASE("P14: a smaller size that a pool learns late does not shrink its object") {
    sized_pool f;
    const auto core = rangeio::engine::pool_access::core(f.pool);
    for (const std::uint64_t size : {3000U, 2000U, 2999U}) {
        f.streams->known.size = size;
        core->update(*f.streams->made[0]);
        CHECK(f.pool.info()->size == 3000);
    }
    CHECK(f.streams->made[0]->required_last() == 3000);
}

TEST_CASE("growing: a tail behind a size that the service never corrects is an error, not a loop") {
    sized_pool f;
    f.held.release();
    f.streams->made[0]->tails_at = 1'000'000'000;
    run(f.context, tail_that_never_fits(f.pool));
    CHECK(f.streams->made[0]->reads == 1);
}
