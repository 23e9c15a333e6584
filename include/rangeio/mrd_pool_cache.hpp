#pragma once

#include <rangeio/detail/visibility.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/pool_cache_stats.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace rangeio {

namespace engine {
class pool_cache_core;
}

/// The capacity of a cache and its time limits. The constructor of the cache checks the options.
class pool_cache_options {
public:
    pool_cache_options() = default;

    /// The maximum number of unused objects, those without a pool, whose streams are kept, 0 to 4096; the objects whose
    /// last pool closed longest ago are dropped first. An object with a pool does not count and is never dropped. Zero:
    /// streams are kept only while another pool is on their object.
    ///
    /// Default:  16.
    pool_cache_options& max_idle_pools(std::size_t objects) {
        max_idle_pools_ = objects;
        return *this;
    }
    std::size_t max_idle_pools() const noexcept { return max_idle_pools_; }

    /// The maximum number of idle streams that are kept on one object, 0 to 4096; the one that was released longest ago
    /// is closed first. Zero: none, every pool opens its own.
    ///
    /// Default:  4, the default size of a pool.
    pool_cache_options& max_idle_streams_per_key(std::size_t streams) {
        max_idle_streams_per_key_ = streams;
        return *this;
    }
    std::size_t max_idle_streams_per_key() const noexcept { return max_idle_streams_per_key_; }

    /// The time for which an idle stream is kept, 0 to 24 h; zero: no limit.
    ///
    /// Default:  60 s: a program that reads one file after another returns sooner, and the service ends streams that
    ///           are idle for long, after a time that it does not publish.
    pool_cache_options& idle_timeout(std::chrono::nanoseconds timeout) {
        idle_timeout_ = timeout;
        return *this;
    }
    std::chrono::nanoseconds idle_timeout() const noexcept { return idle_timeout_; }

    /// The time for which a generation counts as the live one after the service reported it, 0 to 24 h, from the moment
    /// of the request. Within it, async_open() without a generation behaves as if that generation was named, and sends
    /// no request if an idle stream fits. So a pool may be on an object that was replaced up to this long ago; if that
    /// generation no longer exists, async_open() opens the object by name. The newest 1024 names are recorded.
    ///
    /// Default:  zero; every async_open() by name asks the service.
    pool_cache_options& generation_max_age(std::chrono::nanoseconds age) {
        generation_max_age_ = age;
        return *this;
    }
    std::chrono::nanoseconds generation_max_age() const noexcept { return generation_max_age_; }

private:
    std::size_t max_idle_pools_ = 16;
    std::size_t max_idle_streams_per_key_ = 4;
    std::chrono::nanoseconds idle_timeout_ = std::chrono::seconds(60);
    std::chrono::nanoseconds generation_max_age_{0};
};

/// Makes the factory for the streams of one pool, on the execution context of the cache's executor. Called by
/// async_open(), on the thread that starts it, or, when a recorded generation no longer exists, on the thread that
/// reports that. Concurrent operations call it concurrently.
using mrd_factory_maker =
    std::function<std::shared_ptr<mrd_factory>(const object_ref& object, const pool_options& options)>;

/// A cache of the streams of pools. When a pool of the cache is closed or destroyed, its streams remain open if they
/// are healthy and no byte is due on them any more; the next pool on the same object and generation takes them and
/// opens none.
///
/// The streams that a pool may take:
/// - **A generation was named, and the object is finalized:** all of its streams.
/// - **No generation was named:** its first stream is a new one, because only the service can report which generation
///   is live. Further streams are taken from those of the generation of the first one. With
///   `pool_cache_options::generation_max_age`, a generation that was live within that time counts as named.
/// - **The object is being appended to:** its first stream is a new one, so that its size is current. Further streams
///   are taken if they have seen the object at least that large: an older stream may not have newer bytes.
///
/// So async_open() takes a round trip, unless it finds an idle stream of the generation that is named
/// (`mrd_pool::info()` of an earlier pool has it), or that counts as named. A stream that broke unnoticed is granted
/// like a healthy one: a read on it is resumed or fails, as on any stream that breaks.
///
/// While a stream is idle, a timer is pending on `executor`, so `io_context::run()` does not return. async_close() and
/// the destructor cancel the timer.
///
/// Threads:    all members may be called by several threads at once.
/// Lifetimes:  movable. The destructor does not block: it closes the pools of the cache as their destructors would, and
///             closes the idle streams. The cache may outlive the execution context of `executor`, but cannot be used
///             then. If `executor` is a strand, the cache must not outlive that context.
class RANGEIO_API mrd_pool_cache {
public:
    using executor_type = asio::any_io_executor;

    /// Makes an empty handle, which equals a moved-from one. It may be assigned to and destroyed; stats() are zero, and
    /// every operation on it fails with errc::invalid_argument.
    mrd_pool_cache() noexcept;
    /// Makes a cache; `client::pool_cache()` makes one on the channels of the client. `executor` serves open timeouts
    /// and expiry, and completes operations whose handlers have no executor of their own.
    ///
    /// Throws:  `rangeio::error` with errc::invalid_argument if an option is outside of its range.
    mrd_pool_cache(
        asio::any_io_executor executor, mrd_factory_maker make_factory, pool_cache_options options = {}
    );
    /// The same on an execution context, such as an io_context.
    template <class ExecutionContext>
        requires std::is_convertible_v<ExecutionContext&, asio::execution_context&>
    mrd_pool_cache(ExecutionContext& context, mrd_factory_maker make_factory, pool_cache_options options = {})
        : mrd_pool_cache(asio::any_io_executor(context.get_executor()), std::move(make_factory), options) {}
    mrd_pool_cache(mrd_pool_cache&&) noexcept = default;
    mrd_pool_cache& operator=(mrd_pool_cache&& other) noexcept;
    ~mrd_pool_cache();

    /// Whether the handle has a cache.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The executor given to the constructor; empty if the handle has no cache.
    executor_type get_executor() const noexcept;

    /// Opens a pool on `object`. The result is an ordinary pool, except that its streams are taken from the cache and
    /// returned to it. A pool that is still reading counts as a user of the object until its handle and its last lease
    /// are destroyed.
    ///
    /// Completes:  `void(error_code, mrd_pool)`, the open pool.
    /// Cancels:    terminal, partial, total; the open is abandoned.
    /// Errors:     as mrd_pool::async_initialize(); errc::pool_closed if the cache is closed, before or meanwhile;
    ///             errc::invalid_argument for options of the pool; the exception of the mrd_factory_maker.
    /// Guarantee:  basic: a stream that was taken or opened before the failure is kept or closed.
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, pool_options options, Token&& token = Token()) {
        return detail::initiate(open(std::move(object), std::move(options)), std::forward<Token>(token));
    }
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, Token&& token = Token()) {
        return async_open(std::move(object), pool_options(), std::forward<Token>(token));
    }

    /// Closes the cache. From the start of the call no stream is taken, kept or opened; its idle streams are closed,
    /// and its pools as by mrd_pool::async_close(). Completes when every stream has ended. May be called concurrently
    /// and repeatedly: all calls complete with the same end. The deadline of `close_options` is the cache's.
    ///
    /// Completes:  `void(error_code)`.
    /// Cancels:    terminal, partial: ends the wait only; the cache still closes, with the deadline of the call. total
    ///             has no effect.
    /// Errors:     the first failure of a stream that did not end in order, reported after the last stream has ended.
    /// Guarantee:  strong: without memory the cache continues as it was. The destructor needs none.
    template <detail::token_for<void> Token = default_token>
    auto async_close(close_options options, Token&& token = Token()) {
        return detail::initiate(close(options), std::forward<Token>(token));
    }
    template <detail::token_for<void> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return async_close(close_options(), std::forward<Token>(token));
    }

    pool_cache_stats stats() const;

private:
    detail::initiation<mrd_pool> open(object_ref object, pool_options options);
    detail::initiation<void> close(const close_options& options);

    std::shared_ptr<engine::pool_cache_core> core_;
};

}  // namespace rangeio
