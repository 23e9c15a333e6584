#include <rangeio/fetch.hpp>
#include <rangeio/mrd_pool.hpp>

#include "simulation/scripted_service.hpp"
#include "support/run.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <memory>
#include <span>
#include <string>

using namespace testing;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::fetch_options;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::pool_options;

// Objects that grow under a pool, on a service whose calls know only of what there was when they began.

namespace {

std::string numbered(std::size_t size) {
    std::string out;
    for (std::size_t i = 0; out.size() < size; ++i) out += std::to_string(i) + ' ';
    return out.substr(0, size);
}

struct growing_fixture {
    explicit growing_fixture(std::size_t size = 2)
        : pool(std::make_unique<mrd_pool>(
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

    scripted_service service{numbered(100'000), 2, 100};
    asio::io_context context;
    std::unique_ptr<mrd_pool> pool;
};

std::string text_of(const rangeio::byte_block& block) {
    return {reinterpret_cast<const char*>(block.data()), block.size()};
}

/// Two streams are open and idle afterwards.
asio::awaitable<void> open_two(mrd_pool& pool) {
    lease first = co_await pool.acquire();
    lease second = co_await pool.acquire();
}

asio::awaitable<void> refresh_and_read_on_both(growing_fixture& f) {
    mrd_pool& pool = *f.pool;
    co_await open_two(pool);
    CHECK(pool.stats().ready == 2);
    f.service.unfinalized(3000);
    CHECK(co_await pool.refresh_size() == 3000);
    CHECK(pool.info()->size == 3000);
    // Whichever of them is given out: both know of the new bytes.
    lease first = co_await pool.acquire();
    lease second = co_await pool.acquire();
    for (lease* held : {&first, &second}) {
        std::string memory(500, '.');
        const byte_range fresh(2000, 500);
        CHECK(co_await held->read(fresh, std::as_writable_bytes(std::span(memory))) == 500);
        CHECK(memory == f.text(2000, 500));
    }
    CHECK(pool.stats().opened == 2);
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> refresh_under_readers(growing_fixture& f) {
    mrd_pool& pool = *f.pool;
    co_await pool.initialize();
    f.service.unfinalized(50'000);
    const byte_range all(0, 1000);
    const fetch_options whole = fetch_options().concurrency(4).min_chunk_bytes(1);
    using namespace asio::experimental::awaitable_operators;
    const auto both = co_await (fetch(pool, all, whole) && pool.refresh_size());
    const auto& [before, size] = both;
    CHECK(text_of(before) == f.text(0, 1000));
    CHECK(size == 50'000);
    const byte_range fresh(0, 50'000);
    const auto after = co_await fetch(pool, fresh, whole);
    CHECK(text_of(after) == f.text(0, 50'000));
}

asio::awaitable<void> refresh_nothing_new(growing_fixture& f) {
    co_await open_two(*f.pool);
    const std::size_t calls = f.service.calls();
    CHECK(co_await f.pool->refresh_size() == 1000);
    CHECK(f.service.calls() == calls + 1);
}

asio::awaitable<void> refresh_unopened(growing_fixture& f) {
    CHECK(co_await f.pool->refresh_size() == 1000);
    CHECK(f.service.calls() == 1);
}

asio::awaitable<void> tail_of_what_grew(growing_fixture& f) {
    co_await f.pool->initialize();
    f.service.unfinalized(5000);
    const std::size_t calls = f.service.calls();
    const auto tail = co_await fetch_tail(*f.pool, 700);
    CHECK(tail.offset == 4300);
    CHECK(text_of(tail.bytes) == f.text(4300, 700));
    CHECK(f.service.calls() == calls + 1);
    CHECK(f.pool->info()->size == 5000);
    const auto everything = co_await fetch_tail(*f.pool, 9000);
    CHECK(everything.offset == 0);
    CHECK(text_of(everything.bytes) == f.text(0, 5000));
    const auto nothing = co_await fetch_tail(*f.pool, 0);
    CHECK(nothing.offset == 5000);
    CHECK(nothing.bytes.size() == 0);
}

}  // namespace

TEST_CASE("growing: after refresh_size every stream of the pool reads what was appended") {
    growing_fixture f;
    run(f.context, refresh_and_read_on_both(f));
}

TEST_CASE("growing: refresh_size under reads leaves them whole") {
    growing_fixture f(1);
    run(f.context, refresh_under_readers(f));
}

TEST_CASE(
    "growing: refresh_size of an object that has not grown takes one call, the other streams keep theirs"
) {
    growing_fixture f;
    run(f.context, refresh_nothing_new(f));
}

TEST_CASE("growing: refresh_size of a pool that nobody opened opens it, and that is all") {
    growing_fixture f;
    run(f.context, refresh_unopened(f));
}

TEST_CASE("growing: fetch_tail sees what was appended since, in one call") {
    growing_fixture f(1);
    run(f.context, tail_of_what_grew(f));
}

TEST_CASE("growing: a finalized object is not asked for again") {
    asio::io_context context;
    scripted_service service(numbered(1000), 1, 100);
    mrd_pool pool(context.get_executor(), service.factory(context.get_executor()), pool_options().size(1));
    const auto ask = [](mrd_pool& p, scripted_service& s) -> asio::awaitable<void> {
        co_await p.initialize();
        CHECK(co_await p.refresh_size() == 1000);
        const auto tail = co_await fetch_tail(p, 10);
        CHECK(tail.offset == 990);
        CHECK(text_of(tail.bytes) == s.content().substr(990));
        CHECK(s.calls() == 1);
    };
    run(context, ask(pool, service));
}
