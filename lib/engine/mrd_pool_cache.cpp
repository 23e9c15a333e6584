#include <rangeio/mrd_pool_cache.hpp>

#include "engine/cache_wait.hpp"
#include "engine/pool_cache_core.hpp"
#include "runtime/operation.hpp"

#include <utility>

namespace rangeio {
namespace {

using engine::pool_cache_core;

void require_cache(const std::shared_ptr<pool_cache_core>& cache) {
    if (cache != nullptr) return;
    throw error(failure(errc::invalid_argument, "there is no cache: it was made by default, or moved from"));
}

bool is_gone(const failure& why) {
    return why.code() == errc::not_found || why.code() == errc::generation_changed;
}

asio::awaitable<mrd_pool> open_pool(
    std::shared_ptr<pool_cache_core> cache, object_ref object, pool_options options
) {
    require_cache(cache);
    const object_ref named = object.generation() == 0 ? cache->with_known_generation(object) : object;
    {
        mrd_pool pool = cache->make_pool(named, options);
        try {
            co_await pool.initialize();
            co_return pool;
        } catch (const error& e) {
            // What was live a moment ago is not there any more: only the service knows what is.
            if (named == object || !is_gone(e.why())) throw;
        }
    }
    cache->forget_generation(named);
    mrd_pool pool = cache->make_pool(object, options);
    co_await pool.initialize();
    co_return pool;
}

asio::awaitable<void> close_cache(
    std::shared_ptr<pool_cache_core> cache, std::chrono::nanoseconds deadline_after
) {
    require_cache(cache);
    const auto op = std::make_shared<engine::cache_wait>(cache, deadline_after);
    co_await runtime::await_operation(op, {});
    if (op->why()) throw error(op->why().with_context("closing a cache of pools"));
}

}  // namespace

mrd_pool_cache::mrd_pool_cache(
    asio::any_io_executor executor, mrd_factory_maker make_factory, pool_cache_options options
)
    : core_(pool_cache_core::make(std::move(executor), std::move(make_factory), options)) {}

mrd_pool_cache::mrd_pool_cache() noexcept = default;

mrd_pool_cache& mrd_pool_cache::operator=(mrd_pool_cache&& other) noexcept {
    if (this == &other) return *this;
    const auto old = std::exchange(core_, std::move(other.core_));
    if (old != nullptr) old->close_now();
    return *this;
}

mrd_pool_cache::~mrd_pool_cache() {
    if (core_ != nullptr) core_->close_now();
}

asio::awaitable<mrd_pool> mrd_pool_cache::open(object_ref object, pool_options options) {
    return open_pool(core_, std::move(object), options);
}

asio::awaitable<void> mrd_pool_cache::close(std::chrono::nanoseconds deadline_after) {
    return close_cache(core_, deadline_after);
}

pool_cache_stats mrd_pool_cache::stats() const {
    return core_ == nullptr ? pool_cache_stats() : core_->stats();
}

}  // namespace rangeio
