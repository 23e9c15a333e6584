#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/direct_buffer.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/pool_stats.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace rangeio {

namespace engine {
class pool_core;
struct pool_access;
}  // namespace engine

/// The choice of the busy stream that a caller shares when no stream is idle and the pool is full.
enum class sharing_policy {
    /// The stream after the one that was granted last.
    round_robin,
    /// The stream with the fewest bytes requested and not yet received.
    least_outstanding,
};

/// The growth and sharing of a pool. The constructor of the pool checks the options.
class pool_options {
public:
    pool_options() = default;

    /// The maximum number of open streams, 1 to 1024. This is the resource limit; the number of parts of a read is set
    /// by `fetch_options::concurrency`.
    ///
    /// Default:  4.
    pool_options& size(std::size_t streams) {
        size_ = streams;
        return *this;
    }
    std::size_t size() const noexcept { return size_; }

    /// The choice among busy streams.
    ///
    /// Default:  round robin.
    pool_options& sharing(sharing_policy policy) {
        sharing_ = policy;
        return *this;
    }
    sharing_policy sharing() const noexcept { return sharing_; }

    /// The time limit of the opening of a stream, including its first response and all calls that the opening takes
    /// (`retry_policy::open_attempts`); zero: no limit; a negative limit is rejected.
    ///
    /// Default:  30 s.
    pool_options& open_timeout(std::chrono::nanoseconds timeout) {
        open_timeout_ = timeout;
        return *this;
    }
    std::chrono::nanoseconds open_timeout() const noexcept { return open_timeout_; }

    /// The observer of the pool and its streams, see `observer`. With a factory of your own, the pool reports its own
    /// events, and its streams report those that the factory provides.
    ///
    /// Default:  the observer of the client if the pool is made by one, otherwise that of the factory.
    pool_options& observe(std::shared_ptr<observer> by) {
        observer_ = std::move(by);
        return *this;
    }
    const std::shared_ptr<observer>& observed_by() const noexcept { return observer_; }

private:
    std::size_t size_ = 4;
    sharing_policy sharing_ = sharing_policy::round_robin;
    std::chrono::nanoseconds open_timeout_ = std::chrono::seconds(30);
    std::shared_ptr<observer> observer_;
};

/// The options of a wait for a lease.
class acquire_options {
public:
    acquire_options() = default;

    /// The time limit of the wait; zero: no limit; negative: it expires at once (errc::timed_out).
    ///
    /// Default:  zero.
    acquire_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::chrono::nanoseconds timeout_{0};
};

/// The way in which a pool, or a cache of pools, is closed.
class close_options {
public:
    close_options() = default;

    /// The time after which leased streams are cancelled; zero: no limit; negative: they are cancelled at once. Of
    /// several such limits the earliest holds. The deadline belongs to the pool: its executor keeps it even if the
    /// caller no longer waits.
    ///
    /// Default:  zero.
    close_options& deadline_after(std::chrono::nanoseconds limit) {
        deadline_after_ = limit;
        return *this;
    }
    std::chrono::nanoseconds deadline_after() const noexcept { return deadline_after_; }

private:
    std::chrono::nanoseconds deadline_after_{0};
};

/// The right to send ranges on one stream of a pool. Move-only; its destructor releases it without blocking.
///
/// Threads:    used by one thread at a time.
/// Lifetimes:  keeps the parts of the pool that it needs alive.
class RANGEIO_API lease {
public:
    using executor_type = asio::any_io_executor;

    lease() noexcept = default;
    lease(lease&& other) noexcept = default;
    lease& operator=(lease&& other) noexcept;
    ~lease() { release(); }

    /// Whether the lease has a stream; false after default construction, move or release.
    explicit operator bool() const noexcept { return stream_ != nullptr; }

    /// The executor of the pool; empty if the lease has no stream.
    executor_type get_executor() const noexcept;

    /// Reads `range` into the front of `destination` on this stream, undivided; otherwise as mrd_pool::async_fetch().
    ///
    /// Completes:  `void(error_code, std::size_t)`, the bytes read.
    /// Lifetimes:  `destination` until completion; the lease may be destroyed earlier, and the read continues.
    /// Errors:     also errc::stream_closed if the stream has ended, and errc::invalid_argument on an empty lease.
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(
        byte_range range,
        const MutableBufferSequence& destination,
        read_options options,
        Token&& token = Token()
    ) {
        return detail::initiate(
            fetch_into(range, detail::destination::of(destination), options), std::forward<Token>(token)
        );
    }
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(byte_range range, const MutableBufferSequence& destination, Token&& token = Token()) {
        return async_fetch(range, destination, read_options(), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(
        byte_range range, std::span<std::byte> destination, read_options options, Token&& token = Token()
    ) {
        return detail::initiate(fetch_into(range, destination, options), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(byte_range range, std::span<std::byte> destination, Token&& token = Token()) {
        return async_fetch(range, destination, read_options(), std::forward<Token>(token));
    }

    /// Releases the lease; without effect if it has no stream.
    void release() noexcept;

private:
    friend engine::pool_core;
    friend engine::pool_access;

    detail::initiation<std::size_t> fetch_into(
        byte_range range, detail::destination destination, const read_options& options
    );

    std::shared_ptr<engine::pool_core> pool_;
    std::shared_ptr<multi_range_downloader> stream_;
    std::uint32_t stream_id_ = 0;
};

/// Up to `pool_options::size()` streams on one object, opened on demand and shared when all are busy.
///
/// Threads:    all members may be called by several threads at once.
/// Lifetimes:  movable. The destructor does not block: pending operations fail with errc::pool_closed, and the streams
///             are cancelled. The pool may outlive the execution context of `executor`, but cannot be used then. If
///             `executor` is a strand, the pool must not outlive that context, because a strand must not.
class RANGEIO_API mrd_pool {
public:
    using executor_type = asio::any_io_executor;

    /// Makes an empty handle, which equals a moved-from one. It may be assigned to and destroyed; stats() are zero,
    /// info() and object() are empty, and every operation on it fails with errc::invalid_argument.
    mrd_pool() noexcept;
    /// Makes an unopened pool; `client::async_open()` makes an open one. `executor` serves the open timeouts, and
    /// completes operations whose handlers have no executor of their own.
    ///
    /// Throws:  `rangeio::error` with errc::invalid_argument if an option is outside of its range.
    mrd_pool(asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, pool_options options = {});
    /// The same on an execution context, such as an io_context.
    template <class ExecutionContext>
        requires std::is_convertible_v<ExecutionContext&, asio::execution_context&>
    mrd_pool(ExecutionContext& context, std::shared_ptr<mrd_factory> factory, pool_options options = {})
        : mrd_pool(asio::any_io_executor(context.get_executor()), std::move(factory), std::move(options)) {}
    mrd_pool(mrd_pool&&) noexcept = default;
    mrd_pool& operator=(mrd_pool&& other) noexcept;
    ~mrd_pool();

    /// Whether the handle has a pool.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The executor given to the constructor; empty if the handle has no pool.
    executor_type get_executor() const noexcept;

    /// Opens the first stream. Concurrent callers share one open; completes immediately if a stream was opened before.
    ///
    /// Completes:  `void(error_code)`.
    /// Cancels:    terminal, partial, total: ends the wait only; the open continues for the other callers.
    /// Errors:     the failure of the open, which is the same for all callers that wait, and after which the pool can
    ///             be opened again; errc::timed_out (pool_options::open_timeout), errc::pool_closed.
    /// Guarantee:  strong, also without memory; an open that others wait for continues.
    template <detail::token_for<void> Token = default_token>
    auto async_initialize(Token&& token = Token()) {
        return detail::initiate(initialize(), std::forward<Token>(token));
    }

    /// Leases a stream: an idle one, the last used one first; otherwise a new one if the pool may grow; otherwise a
    /// busy one by the sharing policy, if its streams take several requests; otherwise the caller waits, first come
    /// first served. Opens the pool if it is unopened.
    ///
    /// Completes:  `void(error_code, lease)`.
    /// Cancels:    terminal, partial, total: ends the wait; a lease that was granted meanwhile passes to the next
    ///             caller in line.
    /// Errors:     the failure of the open that this call caused; errc::timed_out, errc::pool_closed.
    /// Guarantee:  strong, also without memory: no lease is lost, and none is withheld from the callers that wait.
    template <detail::token_for<lease> Token = default_token>
    auto async_acquire(acquire_options options, Token&& token = Token()) {
        return detail::initiate(acquire(options), std::forward<Token>(token));
    }
    template <detail::token_for<lease> Token = default_token>
    auto async_acquire(Token&& token = Token()) {
        return async_acquire(acquire_options(), std::forward<Token>(token));
    }

    /// Closes the pool. From the start of the call, every async_acquire() fails, pending opens are cancelled, idle
    /// streams are closed, and leased ones are closed with their last lease. Completes when every stream has ended. May
    /// be called concurrently and repeatedly: all calls complete with the same end.
    ///
    /// Completes:  `void(error_code)`.
    /// Cancels:    terminal, partial: ends the wait only; the pool still closes, with the deadline of the call. total
    ///             has no effect.
    /// Errors:     the first failure of a stream that did not end in order, reported after the last stream has ended.
    /// Guarantee:  strong: without memory the pool continues as it was. The destructor needs none.
    template <detail::token_for<void> Token = default_token>
    auto async_close(close_options options, Token&& token = Token()) {
        return detail::initiate(close(options), std::forward<Token>(token));
    }
    template <detail::token_for<void> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return async_close(close_options(), std::forward<Token>(token));
    }

    /// Asks for the current size of the object, in one round trip: a call that is opened for the question reports it.
    /// info() has that size from then on, and reads up to it are served by calls that report it. A finalized object
    /// does not grow, so no question is sent. Of the options, only the time limit applies.
    ///
    /// For this, a stream of the pool continues with another call, and all streams do if the object has grown. So
    /// pending reads are resumed, and take one round trip longer. Opens the pool if it is unopened.
    ///
    /// Completes:  `void(error_code, std::uint64_t)`, the size in bytes.
    /// Cancels:    terminal, partial, total.
    /// Errors:     as async_acquire() and async_fetch(); errc::generation_changed.
    template <detail::token_for<std::uint64_t> Token = default_token>
    auto async_refresh_size(read_options options, Token&& token = Token()) {
        return detail::initiate(refresh_size(options), std::forward<Token>(token));
    }
    template <detail::token_for<std::uint64_t> Token = default_token>
    auto async_refresh_size(Token&& token = Token()) {
        return async_refresh_size(read_options(), std::forward<Token>(token));
    }

    /// Reads one byte range of the object into the front of `destination`, in parts, on several streams at once. Opens
    /// the pool if it is unopened. A read in one part then costs one round trip, because the opening message carries
    /// it; a second one if the object does not have the whole range.
    ///
    /// The size of an object that is being appended to is that of info(), and a lower bound. A range past it is
    /// requested all the same, and read if the stream has its bytes; async_refresh_size() makes sure of that.
    ///
    /// Completes:  `void(error_code, std::size_t)`, the bytes read: as many as the range has, or with allow_short() as
    ///             many as the object has. After a failure, those of the complete prefix.
    /// Lifetimes:  `destination` until completion. The handle of the pool may be destroyed earlier; the read then
    ///             fails.
    /// Cancels:    terminal, partial at any stage: nothing touches `destination` after completion, the streams remain
    ///             open, and they drop the bytes that still arrive; after partial the number of bytes is that of the
    ///             complete prefix. total until something has been written to `destination`; afterwards it has no
    ///             effect.
    /// Errors:     errc::range_not_satisfiable (past the end), errc::not_found, errc::short_read, errc::data_corrupted,
    ///             errc::protocol_error, errc::timed_out, errc::pool_closed, errc::stream_closed,
    ///             errc::generation_changed (the object was replaced or deleted), errc::invalid_argument,
    ///             asio::error::operation_aborted (cancelled), a gRPC status, or
    ///             boost::system::errc::not_enough_memory. The error is that of the part that failed first; the other
    ///             parts have been cancelled and have ended by then, so nothing touches `destination` after completion,
    ///             whatever the outcome.
    /// Throws:     std::bad_alloc before the operation begins, as every operation does.
    /// Guarantee:  basic: the front of `destination` may have been written. The pool remains usable, and other reads
    ///             continue; a stream without memory is resumed as a broken one.
    /// Threads:    any number of reads may run on one pool.
    /// Units:      bytes.
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(
        byte_range range,
        const MutableBufferSequence& destination,
        fetch_options options,
        Token&& token = Token()
    ) const {
        return detail::initiate(
            fetch_into(range, detail::destination::of(destination), options), std::forward<Token>(token)
        );
    }
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_fetch(byte_range range, const MutableBufferSequence& destination, Token&& token = Token())
        const {
        return async_fetch(range, destination, fetch_options(), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(
        byte_range range, std::span<std::byte> destination, fetch_options options, Token&& token = Token()
    ) const {
        return detail::initiate(fetch_into(range, destination, options), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(byte_range range, std::span<std::byte> destination, Token&& token = Token()) const {
        return async_fetch(range, destination, fetch_options(), std::forward<Token>(token));
    }

    /// The same into a view of a `direct_buffer`: the range is written to the unwritten bytes of the view, and
    /// committed after success. The operation keeps the view.
    ///
    /// Errors:     also errc::buffer_misuse if the view has less room than the range has bytes.
    /// Guarantee:  as above; after a failure nothing is committed, and the region of the view is free again.
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(
        byte_range range, direct_buffer::view destination, fetch_options options, Token&& token = Token()
    ) const {
        return detail::initiate(
            fetch_view(range, std::move(destination), options), std::forward<Token>(token)
        );
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_fetch(byte_range range, direct_buffer::view destination, Token&& token = Token()) const {
        return async_fetch(range, std::move(destination), fetch_options(), std::forward<Token>(token));
    }

    /// The same into new memory, which is as long as the bytes read. No memory is allocated for bytes that do not
    /// exist, except up to 4 MiB before the object is known: if the range is much longer than the known size of an
    /// object that is being appended to, the size is requested first.
    ///
    /// Completes:  `void(error_code, byte_block)`.
    /// Cancels:    terminal, partial, total: no memory of the caller is touched.
    template <detail::token_for<byte_block> Token = default_token>
    auto async_fetch(byte_range range, fetch_options options, Token&& token = Token()) const {
        return detail::initiate(fetch_block(range, options), std::forward<Token>(token));
    }
    template <detail::token_for<byte_block> Token = default_token>
    auto async_fetch(byte_range range, Token&& token = Token()) const {
        return async_fetch(range, fetch_options(), std::forward<Token>(token));
    }

    /// Reads the last `length` bytes of the object, or all of it if it has fewer.
    ///
    /// For an object that is being appended to, these are its last bytes at the moment of the request, independent of
    /// info(): one round trip, on one stream, which continues with another call unless this read opens the pool; a
    /// second one only if the object has more than doubled since. The memory allocated is that of the bytes that exist,
    /// not of `length`; before the object is known, at most 4 MiB.
    /// If the call breaks, the same bytes are read further, however much the object has grown since.
    ///
    /// Completes:  `void(error_code, object_tail)`.
    /// Lifetimes:  as async_fetch() into new memory.
    /// Cancels:    as async_fetch() into new memory.
    /// Errors:     as async_fetch() into new memory; no range is past the end.
    template <detail::token_for<object_tail> Token = default_token>
    auto async_fetch_tail(std::uint64_t length, fetch_options options, Token&& token = Token()) const {
        return detail::initiate(fetch_tail(length, options), std::forward<Token>(token));
    }
    template <detail::token_for<object_tail> Token = default_token>
    auto async_fetch_tail(std::uint64_t length, Token&& token = Token()) const {
        return async_fetch_tail(length, fetch_options(), std::forward<Token>(token));
    }

    /// Reads adjacent ranges from `start` on, of the lengths `chunk_lengths`, all at once, each into memory of its own.
    /// The concurrency is divided among them in proportion to their lengths, with at least one part each. allow_short()
    /// has no effect here.
    ///
    /// Completes:  `void(error_code, std::vector<byte_block>)`, one block for each range.
    /// Errors:     as async_fetch(); errc::range_not_satisfiable if the last range ends past the end of the object.
    /// Guarantee:  strong, except for streams that the pool has opened: the result has all blocks or none.
    template <detail::token_for<std::vector<byte_block>> Token = default_token>
    auto async_fetch_split(
        std::uint64_t start,
        std::vector<std::uint64_t> chunk_lengths,
        fetch_options options,
        Token&& token = Token()
    ) const {
        return detail::initiate(
            fetch_split(start, std::move(chunk_lengths), options), std::forward<Token>(token)
        );
    }
    template <detail::token_for<std::vector<byte_block>> Token = default_token>
    auto async_fetch_split(
        std::uint64_t start, std::vector<std::uint64_t> chunk_lengths, Token&& token = Token()
    ) const {
        return async_fetch_split(
            start, std::move(chunk_lengths), fetch_options(), std::forward<Token>(token)
        );
    }

    /// Reads scattered ranges, all at once, each into its own destination. They may overlap, and may be in any order.
    ///
    /// Completes:  `void(error_code)`.
    /// Lifetimes:  all destinations until completion.
    /// Cancels:    as async_fetch().
    /// Errors:     as async_fetch(); a range that extends past the end is errc::range_not_satisfiable, and nothing is
    ///             read.
    /// Guarantee:  basic: any destination may have been written.
    template <detail::token_for<void> Token = default_token>
    auto async_fetch_ranges(
        std::vector<range_request> ranges, fetch_ranges_options options, Token&& token = Token()
    ) const {
        return detail::initiate(fetch_ranges(std::move(ranges), options), std::forward<Token>(token));
    }
    template <detail::token_for<void> Token = default_token>
    auto async_fetch_ranges(std::vector<range_request> ranges, Token&& token = Token()) const {
        return async_fetch_ranges(std::move(ranges), fetch_ranges_options(), std::forward<Token>(token));
    }

    pool_stats stats() const;

    /// The object as the first stream reported it, or a later async_refresh_size() or async_fetch_tail(); empty before
    /// a stream was opened.
    std::optional<object_info> info() const;

    const object_ref& object() const noexcept;

private:
    friend engine::pool_access;

    detail::initiation<void> initialize();
    detail::initiation<lease> acquire(const acquire_options& options);
    detail::initiation<void> close(const close_options& options);
    detail::initiation<std::uint64_t> refresh_size(const read_options& options);
    detail::initiation<std::size_t> fetch_into(
        byte_range range, detail::destination destination, const fetch_options& options
    ) const;
    detail::initiation<std::size_t> fetch_view(
        byte_range range, direct_buffer::view destination, const fetch_options& options
    ) const;
    detail::initiation<byte_block> fetch_block(byte_range range, const fetch_options& options) const;
    detail::initiation<object_tail> fetch_tail(std::uint64_t length, const fetch_options& options) const;
    detail::initiation<std::vector<byte_block>> fetch_split(
        std::uint64_t start, std::vector<std::uint64_t> chunk_lengths, const fetch_options& options
    ) const;
    detail::initiation<void> fetch_ranges(
        std::vector<range_request> ranges, const fetch_ranges_options& options
    ) const;

    std::shared_ptr<engine::pool_core> core_;
};

}  // namespace rangeio
