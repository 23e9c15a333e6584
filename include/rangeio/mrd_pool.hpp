#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
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

/// Which busy stream a caller shares when no stream is idle and the pool is full.
enum class sharing_policy {
    /// The next one after the one that was handed out last.
    round_robin,
    /// The one with the fewest bytes asked for and not yet received.
    least_outstanding,
};

/// How a pool grows and shares. Checked when the pool is made.
class pool_options {
public:
    pool_options() = default;

    /// The most streams that are open at once, 1 to 1024. Default 4. This is the resource limit; into how
    /// many parts a read is split is another matter, see `fetch_options::concurrency`.
    pool_options& size(std::size_t streams) {
        size_ = streams;
        return *this;
    }
    std::size_t size() const noexcept { return size_; }

    /// Default: round robin.
    pool_options& sharing(sharing_policy policy) {
        sharing_ = policy;
        return *this;
    }
    sharing_policy sharing() const noexcept { return sharing_; }

    /// How long a stream may take to open, its first response included, however many calls that takes
    /// (`retry_policy::open_attempts`). Default 30 s; zero: no limit; not negative.
    pool_options& open_timeout(std::chrono::nanoseconds timeout) {
        open_timeout_ = timeout;
        return *this;
    }
    std::chrono::nanoseconds open_timeout() const noexcept { return open_timeout_; }

    /// Who hears what happens, see `observer`. Default: the observer of the client, if the pool is made by one; else
    /// of the factory. With a factory of your own the pool tells of itself, and the streams of what they choose to.
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

/// How long to wait for a lease.
class acquire_options {
public:
    acquire_options() = default;

    /// Default zero: no limit; negative: it is over at once (errc::timed_out).
    acquire_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::chrono::nanoseconds timeout_{0};
};

/// How a pool, or a cache of pools, is closed.
class close_options {
public:
    close_options() = default;

    /// How long leased streams may continue; then they are cancelled. Default zero: no limit; negative: they are cancelled at
    /// once. Of several such limits the earliest holds. It is the pool's: kept by the pool's executor, whether or not the
    /// caller still waits.
    close_options& deadline_after(std::chrono::nanoseconds limit) {
        deadline_after_ = limit;
        return *this;
    }
    std::chrono::nanoseconds deadline_after() const noexcept { return deadline_after_; }

private:
    std::chrono::nanoseconds deadline_after_{0};
};

/// The right to send ranges on one stream of a pool. Move-only; its destructor gives it back, without
/// blocking.
///
/// Threads:    one at a time.
/// Lifetimes:  keeps what it needs of the pool alive.
class lease {
public:
    using executor_type = asio::any_io_executor;

    lease() noexcept = default;
    lease(lease&& other) noexcept = default;
    lease& operator=(lease&& other) noexcept;
    ~lease() { release(); }

    /// Whether there is a stream behind it; false when default constructed, moved from or released.
    explicit operator bool() const noexcept { return stream_ != nullptr; }

    /// The pool's; empty if there is no stream behind it.
    executor_type get_executor() const noexcept;

    /// Reads `range` into the front of `destination` on this stream, undivided. As mrd_pool::async_fetch but for that.
    /// Signature: `void(error_code, std::size_t)`.
    ///
    /// Lifetimes:  `destination` until completion; the lease may go earlier, the read continues.
    /// Errors:     also errc::stream_closed when the stream has ended, and errc::invalid_argument on an empty lease.
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

    /// Gives the lease back; without effect if there is none.
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

/// Up to `pool_options::size()` streams on one object, opened as they are needed and shared when they are all
/// busy.
///
/// Threads:    all members are safe from several threads at once.
/// Lifetimes:  movable. The destructor does not block: what is under way fails with errc::pool_closed, and
///             the streams are cancelled. The pool may outlive the execution context of `executor`, but is of
///             no use then; not if `executor` is a strand, which must not outlive its context.
class mrd_pool {
public:
    using executor_type = asio::any_io_executor;

    /// No pool, as one that was moved from. It may be assigned to and destroyed; stats() are zero, info() and object()
    /// are empty, and every operation on it fails with errc::invalid_argument.
    mrd_pool() noexcept;
    /// An unopened pool. `client::async_open()` makes one that is open.
    ///
    /// `executor` serves the open timeouts, and completes operations whose handlers have no executor of their own.
    /// Throws: `rangeio::error` with errc::invalid_argument for an option out of its range.
    mrd_pool(asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, pool_options options = {});
    /// The same on an execution context, such as an io_context.
    template <class ExecutionContext>
        requires std::is_convertible_v<ExecutionContext&, asio::execution_context&>
    mrd_pool(ExecutionContext& context, std::shared_ptr<mrd_factory> factory, pool_options options = {})
        : mrd_pool(asio::any_io_executor(context.get_executor()), std::move(factory), std::move(options)) {}
    mrd_pool(mrd_pool&&) noexcept = default;
    mrd_pool& operator=(mrd_pool&& other) noexcept;
    ~mrd_pool();

    /// Whether there is a pool.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// As given to the constructor; empty if there is no pool.
    executor_type get_executor() const noexcept;

    /// Opens the first stream, once, however many ask for it at once; immediate when one has been opened
    /// before. Signature: `void(error_code)`.
    ///
    /// Cancels:    terminal, partial, total: the waiting only; the open continues for the others.
    /// Errors:     why the open failed, the same to all who wait, and the pool is ready for another try;
    ///             errc::timed_out (pool_options::open_timeout), errc::pool_closed.
    /// Guarantee:  strong, also without memory; an open that others wait for continues.
    template <detail::token_for<void> Token = default_token>
    auto async_initialize(Token&& token = Token()) {
        return detail::initiate(initialize(), std::forward<Token>(token));
    }

    /// Leases a stream: an idle one, the one used last first; else a new one if the pool may grow; else a
    /// busy one by the sharing policy, if its streams take several requests; else waits, first come first
    /// served. Initializes the pool if nobody has. Signature: `void(error_code, lease)`.
    ///
    /// Cancels:    terminal, partial, total: the waiting; a lease that was granted meanwhile goes to the next in line.
    /// Errors:     why the open that this call caused failed; errc::timed_out, errc::pool_closed.
    /// Guarantee:  strong, also without memory: no lease is lost, and none is kept from those who wait.
    template <detail::token_for<lease> Token = default_token>
    auto async_acquire(acquire_options options, Token&& token = Token()) {
        return detail::initiate(acquire(options), std::forward<Token>(token));
    }
    template <detail::token_for<lease> Token = default_token>
    auto async_acquire(Token&& token = Token()) {
        return async_acquire(acquire_options(), std::forward<Token>(token));
    }

    /// Ends the pool. From its first moment every async_acquire() fails, opens under way are cancelled, idle
    /// streams are closed, and leased ones with their last lease. Completes when every stream has ended. May be
    /// called by many, and again: all complete with the same end. Signature: `void(error_code)`.
    ///
    /// Cancels:    terminal, partial, total: the waiting only; the pool closes all the same, with the deadline that was named.
    /// Errors:     the first failure of a stream to end in order, after the last one has ended.
    /// Guarantee:  strong: without memory the pool continues as it was. The destructor needs none.
    template <detail::token_for<void> Token = default_token>
    auto async_close(close_options options, Token&& token = Token()) {
        return detail::initiate(close(options), std::forward<Token>(token));
    }
    template <detail::token_for<void> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return async_close(close_options(), std::forward<Token>(token));
    }

    /// How large the object is by now: what a call that is opened for the question reports, one round trip. It is
    /// what info() says from then on, and what is read up to there is read from calls that know of it. A finalized
    /// object does not grow: then nothing is asked. Signature: `void(error_code, std::uint64_t)`. Of the options only the time
    /// limit has a meaning.
    ///
    /// A stream of the pool continues with another call for this, and all of them do if the object has grown. So reads
    /// that are under way are resumed, and take a round trip longer. Initializes the pool if nobody has.
    ///
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

    /// Reads one byte range of the object into the front of `destination`, in parts, on several streams at once. Initializes
    /// the pool if nobody has. Signature: `void(error_code, std::size_t)`.
    ///
    /// Returns:    the bytes read: as many as the range has, or with allow_short() as many as the object has. After a failure
    ///             those of the complete prefix.
    /// Lifetimes:  `destination` until completion. The pool's handle may go earlier: the read then fails.
    /// Cancels:    terminal, partial at any stage: nothing touches `destination` after completion, the streams stay open, and
    ///             what still arrives is dropped there; after partial the number of bytes is that of the complete prefix.
    ///             total until something has been written to `destination`; later ones have no effect.
    /// Errors:     errc::range_not_satisfiable (past the end), errc::not_found, errc::short_read,
    ///             errc::data_corrupted, errc::protocol_error, errc::timed_out, errc::pool_closed,
    ///             errc::stream_closed, errc::generation_changed (it was replaced or deleted),
    ///             errc::invalid_argument, asio::error::operation_aborted (cancelled), a gRPC status, or
    ///             boost::system::errc::not_enough_memory. Of the part that failed first; the others are cancelled and over by
    ///             then: nothing touches `destination` after completion, whatever the outcome.
    /// Throws:     std::bad_alloc, before anything has begun, as every operation does.
    /// Guarantee:  basic: the front of `destination` may have been written. The pool stays usable, and reads of others
    ///             continue; a stream that had no memory is resumed as one that broke.
    /// Threads:    any number of reads may run on one pool.
    /// Growing:    the size of an object that is being appended to is that of info(), and a lower bound. What lies
    ///             beyond is asked for all the same, and read if the stream knows of it; async_refresh_size() makes sure.
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

    /// The same into a view of a `direct_buffer`: the range goes where the view has room, and is committed if it
    /// succeeds. The operation keeps the view.
    ///
    /// Errors:     also errc::buffer_misuse if the view has less room than the range has bytes.
    /// Guarantee:  as above, and after a failure nothing is committed: the view's region is free again.
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

    /// The same into fresh memory, which is as long as what was read. None is had for bytes that are not there: where the
    /// range is much longer than the object as it is known, and that is being appended to, its size is asked for first.
    /// Signature: `void(error_code, byte_block)`.
    ///
    /// Cancels:    terminal, partial, total: nothing of the caller's is touched.
    template <detail::token_for<byte_block> Token = default_token>
    auto async_fetch(byte_range range, fetch_options options, Token&& token = Token()) const {
        return detail::initiate(fetch_block(range, options), std::forward<Token>(token));
    }
    template <detail::token_for<byte_block> Token = default_token>
    auto async_fetch(byte_range range, Token&& token = Token()) const {
        return async_fetch(range, fetch_options(), std::forward<Token>(token));
    }

    /// Reads the last `length` bytes of the object, or all of it if it has fewer. Signature:
    /// `void(error_code, object_tail)`.
    ///
    /// Of an object that is being appended to, these are the last ones at the moment at which the service is asked,
    /// whatever info() said before: one round trip on an open pool, on one stream, which continues with another call; another
    /// only for an object that has more than doubled since. Memory is had for what there is, not for `length`. If
    /// the call breaks, the same bytes are read on, however much the object has grown since.
    ///
    /// Lifetimes, errors, cancels: as async_fetch() into fresh memory; past the end there is nothing.
    template <detail::token_for<object_tail> Token = default_token>
    auto async_fetch_tail(std::uint64_t length, fetch_options options, Token&& token = Token()) const {
        return detail::initiate(fetch_tail(length, options), std::forward<Token>(token));
    }
    template <detail::token_for<object_tail> Token = default_token>
    auto async_fetch_tail(std::uint64_t length, Token&& token = Token()) const {
        return async_fetch_tail(length, fetch_options(), std::forward<Token>(token));
    }

    /// Reads adjacent chunks from `start` on, all at once, each into memory of its own. The concurrency is shared
    /// out among them in proportion to their lengths, at least one part each. Signature:
    /// `void(error_code, std::vector<byte_block>)`. allow_short() has no meaning here.
    ///
    /// Errors:     as async_fetch(); errc::range_not_satisfiable if the last chunk ends past the end of the object.
    /// Guarantee:  strong, but for what the pool has opened: there are all chunks or none.
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

    /// Reads scattered ranges, all at once, each into its own destination. They may overlap and come in any
    /// order. Signature: `void(error_code)`.
    ///
    /// Lifetimes:  all destinations until completion.
    /// Cancels:    as async_fetch().
    /// Errors:     as async_fetch(); a range that reaches past the end is errc::range_not_satisfiable, and nothing is read.
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

    /// The object as the first stream reported it, or async_refresh_size() or async_fetch_tail() since then; empty before a
    /// stream was opened.
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
