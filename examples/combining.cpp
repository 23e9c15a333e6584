#include <rangeio/client.hpp>
#include <rangeio/mrd_pool.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
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
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

// The code of docs/combining.md. Each function prints a line.

asio::awaitable<void> tokens(rangeio::mrd_pool& pool) {
    std::vector<std::byte> memory(10);
    const rangeio::byte_range range(0, 10);
    const rangeio::byte_range nowhere(1'000'000, 10);

    // Returns the bytes read, or throws rangeio::error with the whole text.
    co_await pool.async_fetch(range, memory);

    // The failure as a value, with its text.
    rangeio::error_value why;
    co_await pool.async_fetch(nowhere, memory, rangeio::redirect_error_value(why));
    if (why) std::cout << "tokens: " << why.message() << '\n';

    // The failure as a code.
    const auto [code, n] = co_await pool.async_fetch(range, memory, asio::as_tuple(asio::deferred));
    if (code) co_return;

    // Into several buffers.
    std::array<char, 4> head;
    std::string rest(6, '\0');
    const std::array<asio::mutable_buffer, 2> buffers{asio::buffer(head), asio::buffer(rest)};
    co_await pool.async_fetch(range, buffers);
}

void without_coroutines(rangeio::mrd_pool& pool) {
    const rangeio::byte_range range(0, 10);
    const auto memory = std::make_shared<std::array<std::byte, 10>>();
    pool.async_fetch(range, *memory, [memory](rangeio::error_code why, std::size_t n) {
        std::cout << "callback: " + std::to_string(n) + " bytes, " + why.message() + '\n';
    });
}

std::size_t from_another_thread(const rangeio::mrd_pool& pool, std::vector<std::byte>& memory) {
    const rangeio::byte_range range(0, memory.size());
    return pool.async_fetch(range, memory, rangeio::with_message(asio::use_future)).get();
}

asio::awaitable<void> two_at_once(rangeio::mrd_pool& pool) {
    using namespace asio::experimental::awaitable_operators;
    std::vector<std::byte> memory(10);
    const rangeio::byte_range first(0, 10);
    const auto [n, last] = co_await (
        pool.async_fetch(first, memory, rangeio::with_message(asio::use_awaitable)) &&
        pool.async_fetch_tail(5, rangeio::with_message(asio::use_awaitable))
    );
    std::cout << "two at once: " << n << " and " << last.bytes.size() << " bytes\n";
}

asio::awaitable<void> whichever_ends_first(rangeio::mrd_pool& pool, asio::steady_timer& hang_up) {
    std::vector<std::byte> memory(10);
    const rangeio::byte_range nowhere(1'000'000, 10);
    const auto [order, read_failed, n, gone] =
        co_await asio::experimental::make_parallel_group(
            pool.async_fetch(nowhere, memory, asio::deferred), hang_up.async_wait(asio::deferred)
        )
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    std::cout << "whichever ends first: " << (order[0] == 0 ? read_failed.message() : "hung up") << '\n';
}

asio::awaitable<void> limited(rangeio::mrd_pool& pool) {
    const rangeio::byte_range range(0, 10);
    const auto soon = rangeio::fetch_options().timeout(20s);
    const rangeio::byte_block bytes = co_await pool.async_fetch(range, soon);
    std::cout << "limited: " << bytes.size() << " bytes\n";
}

void on_a_context_of_its_own(rangeio::mrd_pool& pool, asio::thread_pool& workers) {
    const rangeio::byte_range range(0, 10);
    const auto strand = asio::make_strand(workers);
    pool.async_fetch(
        range,
        asio::bind_executor(
            strand,
            [strand](rangeio::error_code, rangeio::byte_block bytes) {
                const char* const where =
                    strand.running_in_this_thread() ? " bytes here\n" : " bytes elsewhere\n";
                std::cout << "strand: " + std::to_string(bytes.size()) + where;
            }
        )
    );
}

asio::awaitable<void> all_of_it(
    rangeio::object_ref object, asio::io_context& context, asio::thread_pool& workers
) {
    rangeio::client client(context);
    // One stream: each read has a lease on it when its function returns, and a close waits for those. A read that waits
    // for a further stream would fail.
    rangeio::mrd_pool pool = co_await client.async_open(object, rangeio::pool_options().size(1));
    asio::steady_timer never(context, asio::steady_timer::time_point::max());
    co_await tokens(pool);
    co_await two_at_once(pool);
    co_await whichever_ends_first(pool, never);
    co_await limited(pool);
    without_coroutines(pool);
    on_a_context_of_its_own(pool, workers);
    co_await pool.async_close();
}

int main(int argc, char** argv) try {
    asio::io_context context;
    const auto rethrow = [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
    };
    const auto object = rangeio::object_ref::parse(argc > 1 ? argv[1] : "");
    asio::thread_pool workers(1);
    asio::co_spawn(context, all_of_it(object, context, workers), rethrow);
    context.run();
    workers.join();

    // A context with a thread of its own.
    asio::thread_pool one(1);
    rangeio::client client(one);
    const rangeio::mrd_pool pool = client.pool(object);
    std::vector<std::byte> memory(10);
    std::cout << "future: " << from_another_thread(pool, memory) << " bytes\n";
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
