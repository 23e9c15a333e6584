#pragma once

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

/// How much a cache keeps, and for how long. Checked when the cache is made.
class pool_cache_options {
public:
    pool_cache_options() = default;

    /// Of how many objects that no pool is on streams are kept, 0 to 4096; those whose last pool went longest ago are
    /// dropped. An object that a pool is on does not count and is never dropped. Default 16. Zero: streams
    /// are kept only as long as another pool is on their object.
    pool_cache_options& max_idle_pools(std::size_t objects) {
        max_idle_pools_ = objects;
        return *this;
    }
    std::size_t max_idle_pools() const noexcept { return max_idle_pools_; }

    /// How many idle streams are kept on one object, 0 to 4096; the one that was given back longest ago is closed
    /// first. Default 4, the default size of a pool. Zero: none, every pool opens its own.
    pool_cache_options& max_idle_streams_per_key(std::size_t streams) {
        max_idle_streams_per_key_ = streams;
        return *this;
    }
    std::size_t max_idle_streams_per_key() const noexcept { return max_idle_streams_per_key_; }

    /// How long a stream is kept without use, 0 to 24 h. Default 60 s: a program that goes from file to file comes
    /// back sooner, and the service ends streams that idle for long, after a time that it does not tell. Zero: no
    /// limit.
    pool_cache_options& idle_timeout(std::chrono::nanoseconds timeout) {
        idle_timeout_ = timeout;
        return *this;
    }
    std::chrono::nanoseconds idle_timeout() const noexcept { return idle_timeout_; }

    /// For how long a generation is taken for the live one after the service said so, 0 to 24 h: async_open() without a
    /// generation then does as if it was named, and asks nothing if an idle stream fits. Counted from the moment of the
    /// question. So a pool may be on an object that was replaced up to so long ago; if that generation is gone, async_open()
    /// asks by name. The newest 1024 names are remembered. Default zero: every async_open() by name asks the service.
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

/// Makes what opens the streams of one pool, on the execution context of the cache's executor. Called for
/// async_open(), on the thread that starts it; or, when a remembered generation is gone, on the one that reports that. From
/// several threads at once if they are.
using mrd_factory_maker =
    std::function<std::shared_ptr<mrd_factory>(const object_ref& object, const pool_options& options)>;

/// Pools that leave their streams to one another. When a pool of the cache is closed or destroyed, its streams
/// stay open, if they are healthy and nothing is due on them any more; the next pool on the same object and
/// generation takes them and opens none.
///
/// What a pool may take:
/// - **A generation was named, and the object is finalized:** all of its streams.
/// - **No generation was named:** its first stream is a new one, for only the service knows which generation is
///   live. Further ones are taken from those of the generation that the first one found. With
///   `pool_cache_options::generation_max_age`, a generation that was live so recently counts as named.
/// - **The object is being appended to:** its first stream is a new one, so that its size is fresh. Further
///   ones are taken if they have seen the object as large as that: an older stream may not know of newer bytes.
///
/// So async_open() takes a round trip, unless it names the generation (`mrd_pool::info()` of an earlier pool has it), or may
/// take the one that was seen last, and finds a stream. A stream that broke without anybody noticing is handed out like a healthy one: the read
/// on it fails, as on any stream that breaks.
///
/// Threads:    all members are safe from several threads at once.
/// Lifetimes:  movable. The destructor does not block: it ends the pools of the cache as theirs would, and closes the
///             idle streams. It may outlive the execution context of `executor`, but is of no use then;
///             not if `executor` is a strand.
/// Timers:     while a stream is idle a timer is pending on `executor`, so `io_context::run()` does not return.
///             async_close() and the destructor end that.
class mrd_pool_cache {
public:
    using executor_type = asio::any_io_executor;

    /// No cache, as one that was moved from. It may be assigned to and destroyed; stats() are zero, and every operation on
    /// it fails with errc::invalid_argument.
    mrd_pool_cache() noexcept;
    /// `client::pool_cache()` makes one on the client's channels.
    ///
    /// `executor` serves open timeouts and expiry; and completes operations whose handlers have no executor of their own.
    /// Throws: `rangeio::error` with errc::invalid_argument for an option out of its range.
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

    /// Whether there is a cache.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// As given to the constructor; empty if there is no cache.
    executor_type get_executor() const noexcept;

    /// A pool on `object`, initialized. Signature: `void(error_code, mrd_pool)`. An ordinary pool, but for where its streams come from and go to: also one
    /// that still reads counts as a user of the object, until the last of its handle and leases is gone.
    ///
    /// Cancels:    terminal, partial, total; the open is given up.
    /// Errors:     as mrd_pool::async_initialize(); errc::pool_closed when the cache is closed, before or meanwhile;
    ///             errc::invalid_argument for options of the pool; what the maker of factories throws.
    /// Guarantee:  basic: a stream that was taken or opened in vain is kept or closed.
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, pool_options options, Token&& token = Token()) {
        return detail::initiate(open(std::move(object), std::move(options)), std::forward<Token>(token));
    }
    template <detail::token_for<mrd_pool> Token = default_token>
    auto async_open(object_ref object, Token&& token = Token()) {
        return async_open(std::move(object), pool_options(), std::forward<Token>(token));
    }

    /// Ends the cache. From its first moment nothing is taken, kept or opened; its idle streams are closed, and
    /// its pools as by mrd_pool::async_close(). Completes when every stream has ended. May be called by many, and again:
    /// all complete with the same end. Signature: `void(error_code)`. The deadline of `close_options` is the cache's.
    ///
    /// Cancels:    terminal, partial, total: the waiting only; the cache closes all the same, with the deadline that was named.
    /// Errors:     the first failure of a stream to end in order, after the last one has ended.
    /// Guarantee:  strong: without memory the cache goes on as it was. The destructor needs none.
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
