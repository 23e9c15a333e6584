#include <rangeio/mrd_pool.hpp>

#include "engine/fetch_block.hpp"
#include "engine/pool_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/read_operation.hpp"
#include "runtime/operation.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace rangeio {
namespace {

using engine::pool_core;
using engine::pool_wait;

asio::awaitable<void> initialize_pool(std::shared_ptr<pool_core> pool) {
    engine::require_pool(pool);
    const auto op = std::make_shared<pool_wait>(pool, &pool_core::initialize);
    co_await runtime::await_operation(op, {});
    if (op->why()) throw error(pool->explain(op->why(), ""));
}

asio::awaitable<lease> acquire_lease(std::shared_ptr<pool_core> pool, std::chrono::nanoseconds timeout) {
    engine::require_pool(pool);
    const auto op = std::make_shared<pool_wait>(pool, &pool_core::acquire);
    co_await runtime::await_operation(op, timeout);
    if (op->why()) throw error(pool->explain(op->why(), ": no stream"));
    co_return op->take_lease();
}

asio::awaitable<void> close_pool(std::shared_ptr<pool_core> pool, std::chrono::nanoseconds deadline_after) {
    engine::require_pool(pool);
    const auto op = std::make_shared<pool_wait>(pool, deadline_after);
    co_await runtime::await_operation(op, {});
    if (op->why()) throw error(pool->explain(op->why(), ": close"));
}

class lease_operation final : public engine::read_operation {
public:
    lease_operation(
        std::shared_ptr<pool_core> pool,
        std::shared_ptr<multi_range_downloader> stream,
        byte_range range,
        std::span<std::byte> destination
    )
        : read_operation(
              engine::read_source::on(std::move(stream), std::move(pool), nullptr), engine::naming(range)
          ),
          range_(range),
          destination_(destination) {}

private:
    failure check() override { return engine::check_destination(destination_, range_); }
    failure plan(std::vector<engine::transfer_part>& parts) override {
        parts.emplace_back().range = range_;
        parts.back().memory = destination_.data();
        return {};
    }
    failure judge() override {
        if (received(0) == range_.length()) return {};
        const auto known = pool()->info();
        const bool at_end = known != nullptr && range_.offset() + received(0) >= known->size;
        return {
            at_end ? errc::range_not_satisfiable : errc::short_read, fmt::format("{} bytes came", received(0))
        };
    }

    const byte_range range_;
    const std::span<std::byte> destination_;
};

asio::awaitable<std::size_t> read_on_stream(
    std::shared_ptr<pool_core> pool,
    std::shared_ptr<multi_range_downloader> stream,
    byte_range range,
    std::span<std::byte> destination,
    std::chrono::nanoseconds timeout
) {
    if (stream == nullptr) throw error(failure(errc::invalid_argument, "an empty lease cannot read"));
    if (range.empty()) co_return 0;
    const auto op = std::make_shared<lease_operation>(std::move(pool), std::move(stream), range, destination);
    co_await engine::run_read_or_throw(op, timeout);
    co_return range.length();
}

}  // namespace

lease& lease::operator=(lease&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = std::move(other.pool_);
    stream_ = std::move(other.stream_);
    stream_id_ = other.stream_id_;
    return *this;
}

asio::awaitable<std::size_t> lease::read(
    byte_range range, std::span<std::byte> destination, std::chrono::nanoseconds timeout
) {
    return read_on_stream(pool_, stream_, range, destination, timeout);
}

void lease::release() noexcept {
    const auto stream = std::move(stream_);
    if (const auto pool = std::move(pool_)) pool->release(stream_id_);
}

mrd_pool::mrd_pool(asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, pool_options options)
    : core_(std::make_shared<pool_core>(std::move(executor), std::move(factory), options)) {}

mrd_pool::mrd_pool() noexcept = default;

mrd_pool& mrd_pool::operator=(mrd_pool&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

mrd_pool::~mrd_pool() {
    if (core_ != nullptr) core_->close_now();
}

asio::awaitable<void> mrd_pool::initialize() {
    return initialize_pool(core_);
}

asio::awaitable<lease> mrd_pool::acquire(std::chrono::nanoseconds timeout) {
    return acquire_lease(core_, timeout);
}

asio::awaitable<void> mrd_pool::close(std::chrono::nanoseconds deadline_after) {
    return close_pool(core_, deadline_after);
}

pool_stats mrd_pool::stats() const {
    return core_ == nullptr ? pool_stats() : core_->stats();
}

std::optional<object_info> mrd_pool::info() const {
    const auto known = core_ == nullptr ? nullptr : core_->info();
    return known == nullptr ? std::nullopt : std::optional(*known);
}

const object_ref& mrd_pool::object() const noexcept {
    static const object_ref none;
    return core_ == nullptr ? none : core_->object();
}

}  // namespace rangeio
