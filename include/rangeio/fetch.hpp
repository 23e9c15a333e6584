#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/direct_buffer.hpp>
#include <rangeio/error.hpp>
#include <rangeio/mrd_pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rangeio {

/// How a read is cut and how long it may take. Checked by the read.
class fetch_options {
public:
    fetch_options() = default;

    /// Into how many parts one read is cut at the most, 1 to 1024. Default 4. This is the demand; on how many
    /// streams the parts travel is another matter, see `pool_options::size`.
    fetch_options& concurrency(std::size_t parts) {
        concurrency_ = parts;
        return *this;
    }
    std::size_t concurrency() const noexcept { return concurrency_; }

    /// No part is shorter than this, unless the read is: count = min(concurrency, length / min_chunk), at
    /// least 1. In bytes, at least 1. Default 2 MiB, the most that one message carries.
    fetch_options& min_chunk_bytes(std::uint64_t bytes) {
        min_chunk_bytes_ = bytes;
        return *this;
    }
    std::uint64_t min_chunk_bytes() const noexcept { return min_chunk_bytes_; }

    /// Whether a range may reach past the end of the object: then fewer bytes are read. Default: no, that is
    /// an error.
    fetch_options& allow_short(bool allowed) {
        allow_short_ = allowed;
        return *this;
    }
    bool allow_short() const noexcept { return allow_short_; }

    /// Wall time for the whole read, waiting for streams included. Default zero: no limit; negative: it is over at once
    /// (errc::timed_out).
    fetch_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::size_t concurrency_ = 4;
    std::uint64_t min_chunk_bytes_ = std::uint64_t{2} << 20;
    bool allow_short_ = false;
    std::chrono::nanoseconds timeout_{0};
};

/// How scattered ranges are put together for the service.
class fetch_ranges_options {
public:
    fetch_ranges_options() = default;

    /// Ranges at most this far apart are read as one, and the bytes between them dropped. In bytes; 0 joins
    /// those that touch or overlap. Default: off, every range is read for itself.
    fetch_ranges_options& max_gap_bytes(std::optional<std::uint64_t> bytes) {
        max_gap_bytes_ = bytes;
        return *this;
    }
    std::optional<std::uint64_t> max_gap_bytes() const noexcept { return max_gap_bytes_; }

    /// Ranges are not joined beyond this length. In bytes, at least 1. Default 64 MiB.
    fetch_ranges_options& max_merged_bytes(std::uint64_t bytes) {
        max_merged_bytes_ = bytes;
        return *this;
    }
    std::uint64_t max_merged_bytes() const noexcept { return max_merged_bytes_; }

    /// Longer ones are split into requests of this length, which travel on several streams. In bytes, at
    /// least 1. Default 8 MiB.
    fetch_ranges_options& unit_bytes(std::uint64_t bytes) {
        unit_bytes_ = bytes;
        return *this;
    }
    std::uint64_t unit_bytes() const noexcept { return unit_bytes_; }

    /// Wall time for all ranges together. Default zero: no limit; negative: it is over at once (errc::timed_out).
    fetch_ranges_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::optional<std::uint64_t> max_gap_bytes_;
    std::uint64_t max_merged_bytes_ = std::uint64_t{64} << 20;
    std::uint64_t unit_bytes_ = std::uint64_t{8} << 20;
    std::chrono::nanoseconds timeout_{0};
};

/// One of several ranges, and the memory for its bytes.
class range_request {
public:
    range_request() = default;
    range_request(byte_range wanted, std::span<std::byte> memory) : range(wanted), destination(memory) {}

    byte_range range;
    /// At least as long as the range.
    std::span<std::byte> destination;
};

/// The end of an object.
class object_tail {
public:
    object_tail() = default;

    /// Where `bytes` begin in the object.
    std::uint64_t offset = 0;
    byte_block bytes;
};

/// Reads one byte range of the pool's object into the front of `destination`, in parts, on several streams at
/// once.
///
/// Starts:     lazily, at `co_await`; initializes the pool if nobody has.
/// Returns:    the bytes read: as many as the range has, or with allow_short() as many as the object has.
/// Resumes on: the awaiting coroutine's executor; never inline from this call.
/// Lifetimes:  `destination` until completion. The pool's handle may go earlier: the read then fails.
/// Cancels:    with whatever types the awaiting coroutine lets through (by Asio's default: terminal), at any
/// stage.
///             What was read is discarded. The streams stay open; what still arrives is dropped there.
/// Errors:     errc::range_not_satisfiable (past the end), errc::not_found, errc::short_read,
///             errc::data_corrupted, errc::protocol_error, errc::timed_out, errc::pool_closed,
///             errc::stream_closed, errc::generation_changed (it was replaced or deleted),
///             errc::invalid_argument, asio::error::operation_aborted (cancelled), or a gRPC status. Of the part
///             that failed first; the others are cancelled and over by then: nothing touches `destination` after
///             completion, whatever the outcome.
/// Throws:     `rangeio::error` carrying one of these, or boost::system::errc::not_enough_memory; `try_fetch` returns
///             them instead. std::bad_alloc.
/// Guarantee:  basic: the front of `destination` may have been written. The pool stays usable, and reads of others
///             go on; a stream that had no memory is resumed as one that broke.
/// Threads:    any number of reads may run on one pool.
/// Growing:    the size of an object that is being appended to is that of info(), and a lower bound. What lies
///             beyond is asked for all the same, and read if the stream knows of it; mrd_pool::refresh_size() makes
///             sure.
/// Units:      bytes.
asio::awaitable<std::size_t> fetch(
    const mrd_pool& pool, byte_range range, std::span<std::byte> destination, fetch_options options = {}
);

/// The same into a view of a `direct_buffer`: the range goes where the view has room, and is committed if it
/// succeeds.
///
/// Errors:    also errc::buffer_misuse if the view has less room than the range has bytes.
/// Guarantee: as above, and nothing is committed: the view's region is free again.
asio::awaitable<std::size_t> fetch(
    const mrd_pool& pool, byte_range range, direct_buffer::view destination, fetch_options options = {}
);

/// The same into fresh memory, which is as long as what was read. None is had for bytes that are not there: where the
/// range is much longer than the object as it is known, and that is being appended to, its size is asked for first.
asio::awaitable<byte_block> fetch(const mrd_pool& pool, byte_range range, fetch_options options = {});

/// As `fetch`, with the failure as a value.
asio::awaitable<result<std::size_t>> try_fetch(
    const mrd_pool& pool, byte_range range, std::span<std::byte> destination, fetch_options options = {}
);

/// Reads the last `length` bytes of the object, or all of it if it has fewer.
///
/// Of an object that is being appended to, these are the last ones at the moment at which the service is asked,
/// whatever info() said before: one round trip on an open pool, on one stream, which goes on with another call; another
/// only for an object that has more than doubled since. Memory is had for what there is, not for `length`. If
/// the call breaks, the same bytes are read on, however much the object has grown since.
///
/// Returns, resumes, lifetimes, cancels, errors: as `fetch`; past the end there is nothing.
asio::awaitable<object_tail> fetch_tail(
    const mrd_pool& pool, std::uint64_t length, fetch_options options = {}
);

/// Reads adjacent chunks from `start` on, all at once, each into memory of its own. The concurrency is shared
/// out among them in proportion to their lengths, at least one part each.
///
/// Errors:    as `fetch`; errc::range_not_satisfiable if the last chunk ends past the end of the object.
/// Guarantee: strong, but for what the pool has opened: there are all chunks or none.
asio::awaitable<std::vector<byte_block>> fetch_split(
    const mrd_pool& pool,
    std::uint64_t start,
    std::vector<std::uint64_t> chunk_lengths,
    fetch_options options = {}
);

/// Reads scattered ranges, all at once, each into its own destination. They may overlap and come in any
/// order.
///
/// Lifetimes: all destinations until completion.
/// Errors:    as `fetch`; a range that reaches past the end is errc::range_not_satisfiable, and nothing is
/// read.
/// Guarantee: basic: any destination may have been written.
asio::awaitable<void> fetch_ranges(
    const mrd_pool& pool, std::vector<range_request> ranges, fetch_ranges_options options = {}
);

}  // namespace rangeio
