#pragma once

#include <rangeio/byte_slice.hpp>
#include <rangeio/completion_token.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/detail/initiation.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace rangeio {

namespace engine {
class readahead_core;
}

/// The behavior of a read-ahead cache. The constructor of the cache checks the options.
class readahead_options {
public:
    static constexpr std::uint64_t max_block_bytes = std::uint64_t{1} << 30;

    readahead_options() = default;

    /// The number of bytes that a request has beyond the bytes of its read.
    ///
    /// Units:    bytes, 1 to 1 GiB.
    /// Default:  5 MiB, as fsspec has it.
    readahead_options& block_bytes(std::uint64_t bytes) {
        block_bytes_ = bytes;
        return *this;
    }
    std::uint64_t block_bytes() const noexcept { return block_bytes_; }

private:
    std::uint64_t block_bytes_ = std::uint64_t{5} << 20;
};

/// The counts of a read-ahead cache since it was made.
class readahead_stats {
public:
    readahead_stats() = default;

    /// Reads whose bytes were all in memory, and reads that made a request. A read at the end of the object is neither.
    std::uint64_t hits = 0, misses = 0;
    /// Bytes that were requested and have arrived.
    std::uint64_t requested_bytes = 0;

    bool operator==(const readahead_stats&) const = default;
};

/// Reads an object at any offset, and keeps what it has read last with one block of the bytes that follow: the cache
/// `readahead_chunked` of gcsfs.
///
/// The kept bytes, the *window*, are two blocks: the bytes that the last request was made for, and the block behind
/// them. A read within the window, also one that goes back, is served from memory. Any other read is a miss: it waits
/// for one request, for its missing bytes and the block behind them. Each arrives in memory of its own, and the two
/// replace the window. Of a read that begins inside the window only the bytes beyond it are requested.
///
/// Through a reader that fetches ahead, each request is one read of that reader, so one step of a scan.
///
/// The window, and the memory of the request that will replace it, do not count in the memory budget of the reader.
///
/// Threads:    all members may be called by several threads at once, but at most one read may be under way: another
///             one fails with asio::error::in_progress and has no effect.
/// Lifetimes:  movable. The destructor does not block: a read that waits for bytes fails with
///             asio::error::operation_aborted, and the reader is closed, with a pool that belongs to it.
class RANGEIO_API readahead_cache {
public:
    using executor_type = asio::any_io_executor;

    /// Makes an empty handle, which equals a moved-from one. It may be assigned to and destroyed; every operation on it
    /// fails with errc::invalid_argument.
    readahead_cache() noexcept;
    /// Reads through a pool that others use, too, with `fetch_options()`. After the handle of the pool is destroyed,
    /// reads fail with errc::pool_closed.
    ///
    /// Throws:  errc::invalid_argument if an option is outside of its range, or the handle has no pool.
    explicit readahead_cache(const mrd_pool& pool, readahead_options options = {});
    /// Reads through a pool that belongs to the cache: async_close() and the destructor close it.
    ///
    /// Throws:  as above.
    explicit readahead_cache(mrd_pool&& pool, readahead_options options = {});
    /// Reads through a reader, with its options, and through what it fetches ahead.
    ///
    /// Throws:  as above, for the reader.
    explicit readahead_cache(object_reader&& reader, readahead_options options = {});
    readahead_cache(readahead_cache&&) noexcept = default;
    readahead_cache& operator=(readahead_cache&& other) noexcept;
    ~readahead_cache();

    /// Whether the handle has a cache.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The executor of the pool; empty if the handle has no cache.
    executor_type get_executor() const noexcept;

    /// Reads from `offset` on: as many bytes as the buffers have room for, or as the object has. An empty sequence of
    /// buffers completes with zero and changes nothing.
    ///
    /// Completes:  `void(error_code, std::size_t)`, the bytes read: at least one, unless the buffers are empty. Zero
    ///             after a failure.
    /// Lifetimes:  the memory of `buffers` until completion; the descriptors of the buffers are copied.
    /// Cancels:    terminal, partial, total at any stage: `buffers` is written at the completion only.
    /// Errors:     asio::error::eof at the end of the object; asio::error::in_progress; errc::pool_closed after a
    ///             close; otherwise as object_reader::async_read_some_at().
    /// Guarantee:  strong: after a failure the window is what it was, and nothing has been written to `buffers`.
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

    /// Lends bytes from `offset` on without a copy; otherwise as async_read_some_at(). They are of one block, so there
    /// may be fewer than `max` although the object has more.
    ///
    /// Completes:  `void(error_code, byte_slice)`, 1 to `max` bytes; empty if `max` is zero, or after a failure. The
    ///             slice keeps its block alive.
    /// Units:      bytes; of a miss at most `readahead_options::block_bytes()`.
    template <detail::token_for<byte_slice> Token = default_token>
    auto async_read_block_at(std::uint64_t offset, std::size_t max, Token&& token = Token()) {
        return detail::initiate(read_block_at(offset, max), std::forward<Token>(token));
    }

    /// Ends the cache: closes the reader, with a pool that belongs to it. Reads that are under way fail with
    /// asio::error::operation_aborted, later ones with errc::pool_closed, also within the window. Otherwise as
    /// object_reader::async_close().
    ///
    /// Completes:  `void(error_code)`.
    template <detail::token_for<void> Token = default_token>
    auto async_close(Token&& token = Token()) {
        return detail::initiate(close(), std::forward<Token>(token));
    }

    readahead_stats stats() const;

private:
    detail::initiation<std::size_t> read_some_at(std::uint64_t offset, detail::destination destination);
    detail::initiation<byte_slice> read_block_at(std::uint64_t offset, std::size_t max);
    detail::initiation<void> close();

    std::shared_ptr<engine::readahead_core> core_;
};

}  // namespace rangeio
