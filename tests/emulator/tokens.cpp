#include "emulator/engine_fixture.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;

// The ways in which a program of Asio starts, limits and cancels an operation. All of them have to compile.

namespace {

/// Runs until `holds`: a cache has timers, so there may always be something to do.
template <class Condition>
void run_until(asio::io_context& context, Condition holds) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    context.restart();
    while (!holds() && std::chrono::steady_clock::now() < limit) context.run_one_for(1s);
    REQUIRE(holds());
}

template <class T>
T result_of(asio::io_context& context, std::future<T> future) {
    run_until(context, [&] { return future.wait_for(0s) == std::future_status::ready; });
    return future.get();
}

}  // namespace

TEST_CASE("tokens: every operation accepts use_future") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    auto& io = f.context;
    const auto spawned = [&io](auto operation) {
        return result_of(io, std::move(operation)(asio::use_future));
    };
    mrd_pool pool = spawned(f.client.async_open(object));
    CHECK(pool);
    auto cache = f.client.pool_cache();
    CHECK(spawned(cache.async_open(object)));
    std::array<std::byte, 10> memory{};
    const byte_range range(0, 10);
    CHECK(spawned(pool.async_fetch(range, memory)) == 10);
    CHECK(spawned(pool.async_fetch(range)).size() == 10);
    CHECK(spawned(pool.async_fetch_tail(3)).offset == 7);
    CHECK(spawned(pool.async_fetch_split(0, std::vector<std::uint64_t>{4, 6})).size() == 2);
    spawned(pool.async_fetch_ranges(std::vector<rangeio::range_request>{{range, memory}}));
    {
        lease held = spawned(pool.async_acquire());
        CHECK(spawned(held.async_fetch(range, memory)) == 10);
    }
    CHECK(spawned(pool.async_refresh_size()) == 10);
    CHECK(spawned(f.client.async_fetch(object, range, memory)) == 10);
    CHECK(spawned(f.client.async_stat(object)).size == 10);
    CHECK(spawned(f.client.async_list("b-1")).objects.size() == 2);
    CHECK(spawned(f.client.async_layout("b-1")).zonal());
    spawned(pool.async_close());
    spawned(cache.async_close());
}

TEST_CASE("tokens: async_open accepts detached, and a callback with the complete failure") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    mrd_pool pool;
    std::exception_ptr thrown;
    int ended = 0;
    const auto take = [&](std::exception_ptr e, mrd_pool opened) {
        ++ended;
        thrown = std::move(e);
        pool = std::move(opened);
    };
    f.client.async_open(object, asio::detached);
    f.client.async_open(object, rangeio::with_message(take));
    run_until(f.context, [&] { return ended == 1; });
    CHECK_FALSE(thrown);
    CHECK(pool);
    const object_ref missing("b-1", "missing");
    f.client.async_open(missing, rangeio::with_message(take));
    run_until(f.context, [&] { return ended == 2; });
    CHECK(thrown);
    CHECK_FALSE(pool);
}

namespace {

asio::awaitable<void> limit(rangeio::client& client, rangeio::mrd_pool_cache& cache, object_ref object) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, 30s);
    std::array<std::byte, 10> memory{};
    const byte_range range(0, 10);
    auto opened =
        co_await (client.async_open(object, asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
    REQUIRE(opened.index() == 0);
    mrd_pool pool = std::move(std::get<0>(opened));
    auto read = co_await (
        pool.async_fetch(range, memory, asio::use_awaitable) || timer.async_wait(asio::use_awaitable)
    );
    CHECK(read.index() == 0);
    auto held = co_await (pool.async_acquire(asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
    CHECK(held.index() == 0);
    auto block =
        co_await (pool.async_fetch(range, asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
    CHECK(block.index() == 0);
    auto page =
        co_await (client.async_list("b-1", asio::use_awaitable) || timer.async_wait(asio::use_awaitable));
    CHECK(page.index() == 0);
    auto both = co_await (
        cache.async_open(object, asio::use_awaitable) && client.async_stat(object, asio::use_awaitable)
    );
    CHECK(std::get<1>(both).size == 10);
}

}  // namespace

TEST_CASE("tokens: every operation can be one side of || and &&") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    auto cache = f.client.pool_cache();
    f.run(limit(f.client, cache, object));
}

namespace {

const object_ref missing("b-1", "missing");

asio::awaitable<void> by_value(rangeio::client& client) {
    // With the text, or with the code, whichever token it is.
    rangeio::error_value why;
    (void)co_await client.async_stat(missing, rangeio::redirect_error_value(why));
    CHECK(why.code() == rangeio::errc::not_found);
    CHECK(why.message().find("gs://b-1/missing") != std::string::npos);
    (void)co_await client.async_stat(missing, rangeio::redirect_error_value(asio::use_awaitable, why));
    CHECK(why.message().find("gs://b-1/missing") != std::string::npos);
    rangeio::error_code code;
    (void)co_await client.async_stat(missing, asio::redirect_error(asio::use_awaitable, code));
    CHECK(code == rangeio::errc::not_found);
    const auto [told, info] = co_await client.async_stat(missing, asio::as_tuple(asio::deferred));
    CHECK(told == rangeio::errc::not_found);
    CHECK(info.name.empty());
    bool thrown = false;
    try {
        (void)co_await client.async_stat(missing, asio::deferred);
    } catch (const rangeio::error&) {
    } catch (const boost::system::system_error& e) {
        thrown = e.code() == rangeio::errc::not_found;
    }
    CHECK(thrown);
    auto stored = client.async_stat(missing);
    const rangeio::error_value again = co_await failure_of(std::move(stored));
    CHECK(again.message() == why.message());
    // And a success leaves none.
    (void)co_await client.async_stat(object_ref("b-1", "o"), rangeio::redirect_error_value(why));
    CHECK_FALSE(why);
}

/// A coroutine whose executor is not any_io_executor.
template <class Executor>
asio::awaitable<void, Executor> read_on(mrd_pool& pool, std::string& out) {
    const byte_range range(2, 5);
    const auto block = co_await pool.async_fetch(range);
    out = text_of(block);
    try {
        (void)co_await pool.async_fetch(byte_range(20, 5));
    } catch (const rangeio::error& e) {
        out += e.code() == rangeio::errc::range_not_satisfiable ? "!" : "?";
    }
}

}  // namespace

TEST_CASE("tokens: redirect_error_value, redirect_error and as_tuple return a failure as a value") {
    engine_fixture f;
    f.put("o", "0123456789");
    f.run(by_value(f.client));
}

TEST_CASE("tokens: coroutines of other executor types than any_io_executor can read") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    mrd_pool pool = f.client.pool(object);
    std::string read;
    bool over = false;
    asio::co_spawn(
        f.context.get_executor(),
        read_on<asio::io_context::executor_type>(pool, read),
        [&](std::exception_ptr) { over = true; }
    );
    run_until(f.context, [&] { return over; });
    CHECK(read == "23456!");
    using strand = asio::strand<asio::io_context::executor_type>;
    over = false;
    asio::co_spawn(strand(f.context.get_executor()), read_on<strand>(pool, read), [&](std::exception_ptr) {
        over = true;
    });
    run_until(f.context, [&] { return over; });
    CHECK(read == "23456!");
}

TEST_CASE("tokens: a handler runs on its own executor or the pool's, and never inside the initiating call") {
    engine_fixture f;
    const object_ref object = f.put("o", "0123456789");
    mrd_pool pool = f.client.pool(object);
    CHECK(pool.get_executor() == f.context.get_executor());
    std::array<std::byte, 10> memory{};
    const byte_range range(0, 10);
    bool inside = true;
    bool on_the_pools = false;
    pool.async_fetch(range, memory, [&](rangeio::error_code, std::size_t n) {
        CHECK_FALSE(inside);
        CHECK(n == 10);
        on_the_pools = f.context.get_executor().running_in_this_thread();
    });
    inside = false;
    run_until(f.context, [&] { return on_the_pools; });

    asio::thread_pool others(2);
    asio::io_context another;
    const auto strand = asio::make_strand(others);
    std::promise<bool> on_the_strand;
    pool.async_fetch(range, asio::bind_executor(strand, [&](rangeio::error_code, rangeio::byte_block) {
                         on_the_strand.set_value(strand.running_in_this_thread());
                     }));
    CHECK(on_the_strand.get_future().get());
    bool on_another = false;
    pool.async_acquire(asio::bind_executor(another, [&](rangeio::error_code, lease held) {
        on_another = static_cast<bool>(held) && another.get_executor().running_in_this_thread();
    }));
    another.run_for(20s);
    CHECK(on_another);
    others.join();
}

TEST_CASE("tokens: a destination is any sequence of buffers, filled one after the other") {
    engine_fixture f;
    std::string content;
    for (int i = 0; i < 5000; ++i) content += static_cast<char>('a' + i % 26);
    mrd_pool pool = f.client.pool(f.put("o", content));
    std::vector<std::string> pieces{"", std::string(1, '.'), std::string(7, '.'), "", std::string(300, '.')};
    for (int i = 0; i < 9; ++i) pieces.emplace_back(470, '.');
    std::vector<asio::mutable_buffer> buffers;
    for (std::string& piece : pieces) buffers.push_back(asio::buffer(piece));
    const byte_range range(100, asio::buffer_size(buffers));
    std::size_t got = 0;
    bool over = false;
    const auto how = rangeio::fetch_options().concurrency(4).min_chunk_bytes(100);
    pool.async_fetch(range, buffers, how, [&](rangeio::error_code, std::size_t n) {
        got = n;
        over = true;
    });
    run_until(f.context, [&] { return over; });
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    CHECK(got == range.length());
    CHECK(all == content.substr(100, range.length()));
    // Too little of it is an argument that is wrong, and is not begun.
    rangeio::error_value why;
    over = false;
    const auto end = rangeio::redirect_error_value([&](std::size_t) { over = true; }, why);
    pool.async_fetch(byte_range(0, range.length() + 1), buffers, how, end);
    run_until(f.context, [&] { return over; });
    CHECK(why.code() == rangeio::errc::invalid_argument);
}

namespace {

template <class T>
class counting_allocator {
public:
    using value_type = T;
    explicit counting_allocator(int& live) : live_(&live) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) : live_(other.live_) {}
    T* allocate(std::size_t n) {
        ++*live_;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) {
        --*live_;
        std::allocator<T>().deallocate(p, n);
    }
    template <class U>
    bool operator==(const counting_allocator<U>& other) const {
        return live_ == other.live_;
    }
    int* live_;
};

}  // namespace

TEST_CASE("tokens: a large handler uses memory of its allocator, which is released before the call") {
    engine_fixture f;
    mrd_pool pool = f.client.pool(f.put("o", "0123456789"));
    int live = 0;
    bool over = false;
    const auto handler = [&, large = std::array<char, 500>()](rangeio::error_code, const lease&) {
        CHECK(large.size() == 500);
        CHECK(live == 0);
        over = true;
    };
    pool.async_acquire(asio::bind_allocator(counting_allocator<std::byte>(live), handler));
    CHECK(live == 1);
    run_until(f.context, [&] { return over; });
    // One whose operation never ends goes with its context.
    pool.async_acquire(asio::bind_allocator(counting_allocator<std::byte>(live), handler));
    CHECK(live == 1);
    pool = mrd_pool();
    run_until(f.context, [&] { return live == 0; });
}

namespace {

std::ptrdiff_t threads_now() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
}

/// Reads twice, as an operation that a program composes of ours.
struct read_twice {
    mrd_pool& pool;
    std::span<std::byte> memory;
    int reads = 0;

    template <class Self>
    void operator()(Self& self, rangeio::error_code why = {}, std::size_t n = 0) {
        if (why || reads++ == 2) return self.complete(why, n);
        pool.async_fetch(byte_range(0, memory.size()), memory, std::move(self));
    }
};

}  // namespace

TEST_CASE("tokens: a handler whose executor has no context is called there, and no thread is started for it"
) {
    engine_fixture f;
    mrd_pool pool = f.client.pool(f.put("o", "0123456789"));
    f.run([](mrd_pool& p) -> asio::awaitable<void> { co_await p.async_initialize(); }(pool));
    const auto threads = threads_now();
    auto future = pool.async_fetch(byte_range(0, 10), asio::use_future);
    CHECK(result_of(f.context, std::move(future)).size() == 10);
    CHECK(threads_now() == threads);

    asio::thread_pool others(1);
    const auto strand = asio::make_strand(others);
    std::promise<bool> there;
    asio::any_completion_handler<void(rangeio::error_code, lease)> any(asio::bind_executor(
        strand,
        [&](rangeio::error_code, const lease& held) {
            there.set_value(held && strand.running_in_this_thread());
        }
    ));
    pool.async_acquire(std::move(any));
    auto was_there = there.get_future();
    run_until(f.context, [&] { return was_there.wait_for(0s) == std::future_status::ready; });
    CHECK(was_there.get());
    others.join();
}

TEST_CASE("tokens: async_compose can be built on the operations") {
    engine_fixture f;
    mrd_pool pool = f.client.pool(f.put("o", "0123456789"));
    std::array<std::byte, 10> memory{};
    std::size_t got = 0;
    const auto end = [&](rangeio::error_code, std::size_t n) { got = n; };
    asio::async_compose<decltype(end), void(rangeio::error_code, std::size_t)>(
        read_twice{pool, memory}, end, pool
    );
    run_until(f.context, [&] { return got == 10; });
}

TEST_CASE("tokens: a handler is called even if the client's context is destroyed before that of the handler"
) {
    const auto silent = rangeio::testing::fault_script::parse("hang-metadata times=0; hang-open times=0");
    engine_fixture f(rangeio::emulator::server_options().faults(silent), rangeio::client_options());
    f.put("o", "0123456789");
    const object_ref object("b-1", "o");
    asio::io_context of_handlers;
    auto of_client = std::make_unique<asio::io_context>();
    rangeio::client client(*of_client, rangeio::client_options().endpoint(f.server.address()));
    std::array<std::byte, 10> memory{};
    std::vector<rangeio::error_code> ends;
    const auto note = [&] {
        return asio::bind_executor(of_handlers, [&](rangeio::error_code why, auto&&) {
            ends.push_back(why);
        });
    };
    client.async_stat(object, note());
    client.async_list("b-1", note());
    client.async_fetch(object, byte_range(0, 10), memory, note());
    client.async_open(object, note());
    of_client->run_for(10ms);
    of_client.reset();
    of_handlers.run_for(20s);
    CHECK(ends == std::vector<rangeio::error_code>(4, make_error_code(rangeio::errc::shut_down)));
    // And what is asked of it later is refused.
    ends.clear();
    client.async_stat(object, note());
    of_handlers.restart();
    of_handlers.run_for(20s);
    CHECK(ends == std::vector<rangeio::error_code>(1, make_error_code(rangeio::errc::shut_down)));
}

TEST_CASE("client: a moved-from client rejects every operation") {
    engine_fixture f;
    rangeio::client there = std::move(f.client);
    rangeio::client& gone = f.client;
    const object_ref object("b-1", "o");
    std::array<std::byte, 10> memory{};
    const auto why = [&](auto start) {
        std::promise<rangeio::error_code> end;
        start([&](rangeio::error_code code, auto&&) { end.set_value(code); });
        return end.get_future().get();
    };
    const auto invalid = make_error_code(rangeio::errc::invalid_argument);
    CHECK(why([&](auto h) { gone.async_open(object, h); }) == invalid);
    CHECK(why([&](auto h) { gone.async_fetch(object, byte_range(0, 10), memory, h); }) == invalid);
    CHECK(why([&](auto h) { gone.async_stat(object, h); }) == invalid);
    CHECK(why([&](auto h) { gone.async_list("b-1", h); }) == invalid);
    CHECK(why([&](auto h) { gone.async_layout("b-1", h); }) == invalid);
    CHECK_THROWS_AS((void)gone.pool(object), rangeio::error);
    CHECK_THROWS_AS((void)gone.pool_cache(), rangeio::error);
    CHECK_FALSE(gone.get_executor());
    CHECK(gone.endpoint().empty());
}

TEST_CASE("tokens: a deferred operation can be started once") {
    engine_fixture f;
    mrd_pool pool = f.client.pool(f.put("o", "0123456789"));
    auto op = pool.async_initialize(asio::deferred);
    int ended = 0;
    std::move(op)([&](rangeio::error_code) { ++ended; });
    CHECK_THROWS_AS(std::move(op)([&](rangeio::error_code) { ++ended; }), std::logic_error);
    run_until(f.context, [&] { return ended == 1; });
    auto original = pool.async_initialize(asio::deferred);
    auto copy = original;
    std::move(copy)([&](rangeio::error_code) { ++ended; });
    CHECK_THROWS_AS(std::move(original)([&](rangeio::error_code) { ++ended; }), std::logic_error);
    run_until(f.context, [&] { return ended == 2; });
}

TEST_CASE("tokens: a parallel_group ends with its first operation and cancels the others") {
    engine_fixture f(
        rangeio::emulator::server_options().faults(rangeio::testing::fault_script::parse("mute times=0")),
        rangeio::client_options()
    );
    mrd_pool pool = f.client.pool(f.put("o", "0123456789"));
    std::array<std::byte, 10> memory{};
    bool over = false;
    asio::steady_timer timer(f.context, 20ms);
    asio::experimental::make_parallel_group(
        pool.async_fetch(byte_range(0, 10), memory, asio::deferred), timer.async_wait(asio::deferred)
    )
        .async_wait(
            asio::experimental::wait_for_one(),
            [&](std::array<std::size_t, 2> order, rangeio::error_code why, std::size_t n, rangeio::error_code
            ) {
                CHECK(order[0] == 1);
                CHECK(why == asio::error::operation_aborted);
                CHECK(n == 0);
                over = true;
            }
        );
    run_until(f.context, [&] { return over; });
}

TEST_CASE("cancellation: every cancellation type ends operations of a client while the service is silent") {
    const auto silent = rangeio::testing::fault_script::parse("hang-metadata times=0; hang-open times=0");
    using slot = asio::cancellation_slot;
    using note = std::function<void(rangeio::error_code)>;
    std::array<std::byte, 10> memory{};
    const object_ref there("b-1", "o");
    const std::vector<std::function<void(rangeio::client&, slot, note)>> operations{
        [&](rangeio::client& c, slot s, note end) {
            c.async_open(there, asio::bind_cancellation_slot(s, [end](auto why, const mrd_pool&) {
                             end(why);
                         }));
        },
        [&](rangeio::client& c, slot s, note end) {
            c.async_fetch(
                there,
                byte_range(0, 10),
                memory,
                asio::bind_cancellation_slot(s, [end](auto why, std::size_t) { end(why); })
            );
        },
        [&](rangeio::client& c, slot s, note end) {
            c.async_stat(there, asio::bind_cancellation_slot(s, [end](auto why, const auto&) { end(why); }));
        },
        [&](rangeio::client& c, slot s, note end) {
            c.async_list("b-1", asio::bind_cancellation_slot(s, [end](auto why, const auto&) { end(why); }));
        },
        [&](rangeio::client& c, slot s, note end) {
            c.async_layout("b-1", asio::bind_cancellation_slot(s, [end](auto why, const auto&) {
                               end(why);
                           }));
        },
    };
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total
         }) {
        engine_fixture f(rangeio::emulator::server_options().faults(silent), rangeio::client_options());
        f.put("o", "0123456789");
        for (const auto& start : operations) {
            asio::cancellation_signal signal;
            rangeio::error_code end;
            start(f.client, signal.slot(), [&](rangeio::error_code why) { end = why; });
            asio::post(f.context, [&] { signal.emit(type); });
            run_until(f.context, [&] { return end.failed(); });
            CAPTURE(&start - operations.data());
            CHECK(end == asio::error::operation_aborted);
        }
    }
}
