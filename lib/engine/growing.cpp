#include <rangeio/fetch.hpp>
#include <rangeio/mrd_pool.hpp>

#include "engine/fetch_block.hpp"
#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/read_operation.hpp"
#include "engine/time_budget.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// What is asked of an object that is being appended to: how large it is by now, and what stands at its end. Only a
// call that is opened now is sure to know. So one stream goes on with another call, and the question rides in its
// first message.

namespace rangeio {
namespace {

using engine::pool_core;
using engine::read_operation;
using engine::read_source;
using engine::time_budget;
using engine::transfer_part;
using pool_ptr = std::shared_ptr<pool_core>;
using std::chrono::nanoseconds;

/// The size, by a byte that is there or would be the first: whatever the size is, it can be asked for.
class size_operation final : public read_operation {
public:
    explicit size_operation(pool_ptr pool) : read_operation(read_source::anew(std::move(pool)), ": size") {}

private:
    failure plan(std::vector<transfer_part>& parts) override {
        parts.emplace_back().range = byte_range(0, 1);
        parts.back().memory = &first_;
        return {};
    }
    failure judge() override { return {}; }

    std::byte first_{};
};

/// The last bytes, into as much memory as the object may have by now.
class tail_operation final : public read_operation {
public:
    tail_operation(pool_ptr pool, std::uint64_t length)
        : read_operation(read_source::anew(std::move(pool)), fmt::format(" last {} bytes", length)),
          length_(length) {}

    /// So much is asked for.
    static std::uint64_t room_for(std::uint64_t length, const object_info& object) noexcept {
        return std::min(length, engine::plausible_end(object));
    }
    std::uint64_t asked() const noexcept { return memory_.size(); }
    bool whole() const noexcept { return received(0) == length_ || offset(0) == 0; }
    std::uint64_t begins_at() const noexcept { return offset(0); }
    byte_block take() { return engine::shrink(std::move(memory_), received(0)); }

private:
    failure plan(std::vector<transfer_part>& parts) override {
        memory_ = engine::allocate(room_for(length_, *object()));
        parts.emplace_back().range = byte_range(0, memory_.size());
        parts.back().tail = true;
        parts.back().memory = memory_.data();
        return {};
    }
    // There are fewer only if the object has no more.
    failure judge() override {
        if (received(0) == asked() || (offset(0) == 0 && received(0) >= pool()->info()->size)) return {};
        return {errc::short_read, fmt::format("the service ended it after {} bytes", received(0))};
    }

    const std::uint64_t length_;
    byte_block memory_;
};

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
    for (;;) {
        const auto op = std::make_shared<tail_operation>(pool, length);
        co_await engine::run_read_or_throw(op, time.left());
        out.offset = op->begins_at();
        if (op->whole()) {
            out.bytes = op->take();
            co_return out;
        }
        // The service is asked again only for more: one that serves bytes behind a size that it never corrects would be asked
        // without end.
        if (tail_operation::room_for(length, *pool->info()) <= op->asked()) {
            const failure why(
                errc::protocol_error,
                fmt::format(
                    "the service served {} bytes at offset {} of an object that it says ends at {}",
                    op->asked(),
                    out.offset,
                    pool->info()->size
                )
            );
            throw error(pool->explain(why, doing));
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
    co_await engine::run_read_or_throw(std::make_shared<size_operation>(pool), timeout);
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
