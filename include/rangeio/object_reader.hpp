#pragma once

#include <rangeio/access_pattern.hpp>
#include <rangeio/byte_slice.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/memory_budget.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/reader_stats.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace rangeio {

namespace engine {
class reader_core;
struct reader_access;
}  // namespace engine

/// What a reader requests ahead of its reads.
enum class prefetching {
    /// Nothing, not even what will_need() announces: each read is one round trip.
    off,
    /// Blocks whose number grows with the number of sequential reads, as fsspec's prefetcher does: for comparison, and
    /// for programs that are tuned to it.
    linear_ramp,
    /// What up to four scans of the object have earned by the bytes they used, up to what bandwidth and latency of the
    /// connection require. Random reads cost nothing.
    adaptive,
};

/// The behavior of a reader. The constructor of the reader checks the options.
class reader_options {
public:
    reader_options() = default;

    /// The division of each read into parts, and the time limit of each read. allow_short() has no effect: a reader
    /// returns the bytes that exist.
    ///
    /// Default:  `fetch_options()`.
    reader_options& fetching(fetch_options how) {
        fetching_ = std::move(how);
        return *this;
    }
    const fetch_options& fetching() const noexcept { return fetching_; }

    /// Whether a read at the end of an object that is being appended to waits for more bytes, until the object is
    /// finalized. Otherwise the object ends at the size that is known.
    ///
    /// Default:  false.
    reader_options& follow(bool waits) {
        follow_ = waits;
        return *this;
    }
    bool follow() const noexcept { return follow_; }

    /// With follow(): the time between two requests for the size, 1 ms to an hour. The first is made at once.
    ///
    /// Default:  1 s.
    reader_options& follow_interval(std::chrono::nanoseconds time) {
        follow_interval_ = time;
        return *this;
    }
    std::chrono::nanoseconds follow_interval() const noexcept { return follow_interval_; }

    /// Default:  adaptive.
    reader_options& prefetch(prefetching how) {
        prefetch_ = how;
        return *this;
    }
    prefetching prefetch() const noexcept { return prefetch_; }

    /// The number of bytes that are fetched ahead of a read, at least 1. Empty: as many as the budget has.
    ///
    /// Default:  empty.
    reader_options& max_prefetch_bytes(std::optional<std::uint64_t> bytes) {
        max_prefetch_bytes_ = bytes;
        return *this;
    }
    std::optional<std::uint64_t> max_prefetch_bytes() const noexcept { return max_prefetch_bytes_; }

    /// The memory for what is fetched ahead, shared with the other readers of the same budget.
    ///
    /// Default:  a budget of the reader's own; a reader made by a client has that of the client.
    reader_options& memory(memory_budget budget) {
        memory_ = std::move(budget);
        return *this;
    }
    const std::optional<memory_budget>& memory() const noexcept { return memory_; }

private:
    fetch_options fetching_;
    prefetching prefetch_ = prefetching::adaptive;
    std::optional<std::uint64_t> max_prefetch_bytes_;
    std::optional<memory_budget> memory_;
    bool follow_ = false;
    std::chrono::nanoseconds follow_interval_ = std::chrono::seconds(1);
};

/// A hint: the last `bytes` bytes of the object will be read, as those of the footer of a Parquet file.
struct footer {
    /// At most 4 MiB.
    std::uint64_t bytes = 0;
};

/// The origin of an offset in object_reader::seek().
enum class seek_basis {
    /// The beginning of the object.
    set,
    /// The current position.
    current,
    /// The end of the object, whose size must be known.
    end,
};

/// Reads an object like a file: from a position that each read advances, or at any offset.
///
/// Models Asio's AsyncReadStream and AsyncRandomAccessReadDevice: asio::async_read(), async_read_at() and
/// async_read_until() accept it. Nothing is sent before the first read, which opens the pool if it is unopened and
/// reads in the same round trip. The first response pins the generation, as for every pool. What the reads that follow
/// are expected to want is requested ahead of them, into memory of a budget, and no byte twice; see `prefetching`.
///
/// A request ahead that fails is an error for the read that asks for its bytes, and for no other one; the next read
/// starts clean.
///
/// Threads:    all members may be called by several threads at once. At most one of async_read_some(),
///             async_read_block() and seek() may be under way: another one fails with asio::error::in_progress and has
///             no effect. Any number of async_read_some_at() may be under way.
/// Lifetimes:  movable. The destructor does not block: operations that are under way fail with
///             asio::error::operation_aborted, and an owned pool is closed.
class RANGEIO_API object_reader {
public:
    using executor_type = asio::any_io_executor;

    /// Makes an empty handle, which equals a moved-from one. It may be assigned to and destroyed; every operation on it
    /// fails with errc::invalid_argument.
    object_reader() noexcept;
    /// Reads through a pool that belongs to the reader: async_close() and the destructor close it. `client::reader()`
    /// makes a reader of an object.
    ///
    /// Throws:  errc::invalid_argument if an option is outside of its range, or the handle has no pool.
    explicit object_reader(mrd_pool&& pool, reader_options options = {});
    /// Reads through a pool that others use, too. After the handle of the pool is destroyed, reads fail with
    /// errc::pool_closed; one that waits for an object to grow, at its next request.
    ///
    /// Throws:  errc::invalid_argument if an option is outside of its range.
    explicit object_reader(const mrd_pool& pool, reader_options options = {});
    object_reader(object_reader&&) noexcept = default;
    object_reader& operator=(object_reader&& other) noexcept;
    ~object_reader();

    /// Whether the handle has a reader.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The executor of the pool; empty if the handle has no reader.
    executor_type get_executor() const noexcept;

    /// Reads from the position on, and advances it by the number of bytes read: as many as the buffers have room for,
    /// or as the object has. An empty sequence of buffers completes with zero and changes nothing.
    ///
    /// Completes:  `void(error_code, std::size_t)`, the bytes read: at least one, unless the buffers are empty. After a
    ///             failure, those of the complete prefix; the position remains as it was.
    /// Lifetimes:  the memory of `buffers` until completion; the descriptors of the buffers are copied.
    /// Cancels:    as mrd_pool::async_fetch(): terminal and partial at any stage, total until something has been
    ///             written. The reader remains usable.
    /// Errors:     asio::error::eof at the end of the object; asio::error::in_progress; errc::generation_changed (the
    ///             object was replaced or deleted); errc::pool_closed after a close; otherwise as
    ///             mrd_pool::async_fetch(). The reader remains usable.
    /// Guarantee:  basic: the buffers may have been written.
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_read_some(const MutableBufferSequence& buffers, Token&& token = Token()) {
        return detail::initiate(read_some(detail::destination::of(buffers)), std::forward<Token>(token));
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_read_some(std::span<std::byte> buffer, Token&& token = Token()) {
        return detail::initiate(read_some(buffer), std::forward<Token>(token));
    }

    /// Reads from `offset` on; otherwise as async_read_some(), but independent of the position.
    template <class MutableBufferSequence, detail::token_for<std::size_t> Token = default_token>
        requires asio::is_mutable_buffer_sequence<MutableBufferSequence>::value
    auto async_read_some_at(
        std::uint64_t offset, const MutableBufferSequence& buffers, Token&& token = Token()
    ) {
        return detail::initiate(
            read_some_at(offset, detail::destination::of(buffers)), std::forward<Token>(token)
        );
    }
    template <detail::token_for<std::size_t> Token = default_token>
    auto async_read_some_at(std::uint64_t offset, std::span<std::byte> buffer, Token&& token = Token()) {
        return detail::initiate(read_some_at(offset, buffer), std::forward<Token>(token));
    }

    /// Reads from the position on into memory of the reader, and advances the position; otherwise as async_read_some().
    ///
    /// Completes:  `void(error_code, byte_slice)`, 1 to `max` bytes; empty if `max` is zero, or after a failure. The
    ///             bytes live as long as the slice.
    /// Units:      bytes; of one call at most 4 MiB; with prefetching at most one unit, and fewer at its end.
    /// Cancels:    terminal, partial, total.
    template <detail::token_for<byte_slice> Token = default_token>
    auto async_read_block(std::size_t max, Token&& token = Token()) {
        return detail::initiate(read_block(max), std::forward<Token>(token));
    }

    /// Ends the reader: reads that are under way fail with asio::error::operation_aborted, later ones with
    /// errc::pool_closed. Completes when nothing of the reader is alive, and an owned pool is closed. May be called
    /// concurrently and repeatedly.
    ///
    /// Completes:  `void(error_code)`.
    /// Cancels:    terminal, partial: ends the wait only; the reader still closes. total has no effect.
    /// Errors:     as mrd_pool::async_close().
    template <detail::token_for<void> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return detail::initiate(close(), std::forward<Token>(token));
    }

    /// Sets the position; it may be past the end. Sends nothing.
    ///
    /// Returns:  the new position.
    /// Errors:   asio::error::in_progress while a read from the position is under way; errc::invalid_argument for a
    ///           position below zero or above byte_range::max_end, for seek_basis::end before the size is known, and on
    ///           an empty handle. Then the position is unchanged, and zero is returned.
    std::uint64_t seek(std::int64_t offset, seek_basis from, error_code& error) noexcept;
    /// The same, but throws `rangeio::error`.
    std::uint64_t seek(std::int64_t offset, seek_basis from = seek_basis::set);

    /// Has the first read request the end of the object as well, in the round trip of the open, and keep it: reads of
    /// the end of a finalized object are then served from memory. Without effect if the pool has been opened before, if
    /// its streams serve one range at a time, or if the first read begins past the end.
    ///
    /// Throws:  errc::invalid_argument for more than 4 MiB.
    void advise(footer hint);
    /// Announces the order of the reads that follow. No effect without prefetching.
    void advise(access_pattern hint);
    /// Announces ranges that will be read, in this order: they are requested in it as memory allows, and kept until
    /// they have been read. Before the first read has opened the object they are remembered; what lies past its end is
    /// ignored. No effect without prefetching, nor without memory for the list.
    void will_need(std::span<const byte_range> ranges);
    void will_need(byte_range range) { will_need({&range, 1}); }
    /// Announces that a range will not be read: what was fetched of it is dropped.
    void dont_need(byte_range range);

    /// What was fetched ahead, and how well it served.
    reader_stats stats() const;

    /// The offset of the byte that async_read_some() reads next.
    std::uint64_t tell() const noexcept;

    /// The size of the object as last reported, in bytes; empty before the pool was opened. That of an object that is
    /// being appended to is a lower bound.
    std::optional<std::uint64_t> size() const;
    /// The object as last reported, as mrd_pool::info().
    std::optional<object_info> info() const;

    const object_ref& object() const noexcept;

private:
    friend engine::reader_access;

    detail::initiation<std::size_t> read_some(detail::destination destination);
    detail::initiation<std::size_t> read_some_at(std::uint64_t offset, detail::destination destination);
    detail::initiation<byte_slice> read_block(std::size_t max);
    detail::initiation<void> close();

    std::shared_ptr<engine::reader_core> core_;
};

}  // namespace rangeio
