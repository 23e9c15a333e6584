#include <rangeio/fetch.hpp>
#include <rangeio/mrd_pool.hpp>

#include "engine/fetch_block.hpp"
#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/time_budget.hpp"
#include "engine/transfer.hpp"
#include "runtime/operation.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// What is asked of an object that is being appended to: how large it is by now, and what stands at its end. Only a
// call that is opened now is sure to know. So one stream goes on with another call, and the question rides in its
// first message.

namespace rangeio {
namespace {

using engine::awaited_transfer;
using engine::pool_core;
using engine::time_budget;
using engine::transfer;
using engine::transfer_part;
using pool_ptr = std::shared_ptr<pool_core>;
using std::chrono::nanoseconds;

/// One part, down a stream that has gone on with another call. The pool knows afterwards what that call told.
asio::awaitable<std::shared_ptr<transfer>> read_anew(pool_ptr pool, transfer_part what, nanoseconds timeout) {
    const time_budget time(co_await asio::this_coro::executor, timeout);
    const auto wait = std::make_shared<engine::pool_wait>(pool, &pool_core::acquire);
    co_await runtime::await_operation(wait, time.left());
    if (wait->why()) throw error(pool->explain(wait->why(), ": no stream"));
    const lease held = wait->take_lease();
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    const failure late = runtime::late_cancellation(throws, co_await asio::this_coro::cancellation_state);
    if (late) throw error(pool->explain(late, ""));
    const auto& stream = engine::pool_access::stream(held);
    stream->renew();
    std::vector<transfer_part> parts(1);
    parts[0] = std::move(what);
    const auto op = std::make_shared<awaited_transfer>(stream, nullptr, std::move(parts));
    co_await runtime::await_operation(op, time.left());
    pool->learn(*stream);
    co_return op;
}

asio::awaitable<object_tail> read_tail(pool_ptr pool, std::uint64_t length, fetch_options options) {
    engine::require_pool(pool);
    const std::string doing = fmt::format(" last {} bytes", length);
    const time_budget time(co_await asio::this_coro::executor, options.timeout());
    const auto object = co_await engine::opened(pool, time.left());
    if (!object) throw error(pool->explain(object.error(), doing));
    object_tail out;
    if ((*object)->finalized || length == 0) {
        out.offset = (*object)->size - std::min(length, (*object)->size);
        const byte_range last = byte_range::from_to(out.offset, (*object)->size);
        options.timeout(time.left());
        out.bytes = co_await engine::fetch_block(pool, last, options);
        co_return out;
    }
    // Into as much memory as the object may have by now. The service is asked again, for more, only if the object has grown
    // beyond that. A service that serves bytes behind a size that it never corrects would be asked without end.
    for (std::uint64_t before = 0;;) {
        const byte_range asked(0, std::min(length, engine::plausible_end(*pool->info())));
        if (asked.length() <= std::exchange(before, asked.length())) {
            const failure why(
                errc::protocol_error,
                fmt::format(
                    "the service served {} bytes at offset {} of an object that it says ends at {}",
                    before,
                    out.offset,
                    pool->info()->size
                )
            );
            throw error(pool->explain(why, doing));
        }
        byte_block memory = engine::allocate(asked.length());
        transfer_part tail;
        tail.range = asked;
        tail.tail = true;
        tail.memory = memory.data();
        const auto op = co_await read_anew(pool, std::move(tail), time.left());
        if (op->why()) throw error(pool->explain(op->why(), doing));
        const std::uint64_t received = op->received(0);
        out.offset = op->offset(0);
        // There are fewer only if the object has no more.
        if (received < asked.length() && (out.offset != 0 || received < pool->info()->size)) {
            const failure why(errc::short_read, fmt::format("the service ended it after {} bytes", received));
            throw error(pool->explain(why, doing));
        }
        if (received == length || out.offset == 0) {
            out.bytes = engine::shrink(std::move(memory), received);
            co_return out;
        }
    }
}

}  // namespace

namespace engine {

asio::awaitable<std::uint64_t> refresh(pool_ptr pool, nanoseconds timeout) {
    engine::require_pool(pool);
    const auto known = pool->info();
    if (known == nullptr || timeout < nanoseconds::zero()) {
        const auto object = co_await engine::opened(pool, timeout);
        if (!object) throw error(pool->explain(object.error(), ""));
        co_return (*object)->size;
    }
    if (known->finalized) co_return known->size;
    // A byte that is there, or would be the first: whatever the size is, it can be asked for.
    std::byte first{};
    transfer_part probe;
    probe.range = byte_range(0, 1);
    probe.memory = &first;
    const auto op = co_await read_anew(pool, std::move(probe), timeout);
    if (op->why()) throw error(pool->explain(op->why(), ": size"));
    co_return pool->info()->size;
}

}  // namespace engine

asio::awaitable<std::uint64_t> mrd_pool::refresh_size(nanoseconds timeout) {
    return engine::refresh(core_, timeout);
}

asio::awaitable<object_tail> fetch_tail(const mrd_pool& pool, std::uint64_t length, fetch_options options) {
    return read_tail(engine::pool_access::core(pool), length, options);
}

}  // namespace rangeio
