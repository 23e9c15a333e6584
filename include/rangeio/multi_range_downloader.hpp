#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/stream_stats.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace rangeio {

/// The outcome of one range.
class range_outcome {
public:
    /// Empty: no error, although `received` may be less than requested if the service ended the range early.
    error_value why;
    /// Bytes from the start of the range that passed their checksum.
    std::uint64_t received = 0;
    /// The offset of the range in the object; that of a tail is known only after a byte has arrived, and 0 before.
    std::uint64_t offset = 0;
};

/// The destination of the bytes of one range, implemented by the operation that reads the range and filled by a stream.
///
/// A stream has two ways to deliver bytes: `take`, for bytes in other memory, such as in a received message, and
/// `prepare` with `commit`, for a source that can read directly into the destination, such as a socket. It may use both
/// for one range, in the order of positions, and ends with one call of `done`. It makes these calls one at a time, on
/// any thread that uses the stream or the pool. They do not block, throw or allocate.
class RANGEIO_API range_sink {
public:
    virtual byte_range range() const noexcept = 0;
    /// Whether the range is the last `range().length()` bytes of the object, at any offset, or all of it if it has
    /// fewer; `range().offset()` is meaningless then.
    virtual bool tail() const noexcept { return false; }
    /// Takes bytes for `position`, relative to the start of the range, and returns `crc` extended by them, in one pass.
    /// The bytes count only after their checksum was correct: the same position may be taken again, with other bytes.
    virtual std::uint32_t take(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept = 0;
    /// Offers memory for bytes from `position` on, at most `most` of them, and never past the end of the range. It may
    /// be shorter than the remaining bytes, because a destination has several buffers. Empty: there is no memory here,
    /// and the stream has to use `take`. The memory belongs to the stream until it calls `commit`, even if the range is
    /// cancelled meanwhile. The default offers none.
    virtual std::span<std::byte> prepare(std::uint64_t /*position*/, std::size_t /*most*/) noexcept {
        return {};
    }
    /// Reports that the first `size` bytes of the memory offered at `position` have been written, and the rest is
    /// untouched. Zero if the source delivered nothing.
    virtual void commit(std::uint64_t /*position*/, std::size_t /*size*/) noexcept {}
    /// The last call: the stream does not touch this object or its memory afterwards.
    virtual void done(const range_outcome& outcome) noexcept = 0;

protected:
    ~range_sink() = default;
};

/// Receives the reports of a stream: `opened` at most once, and `ended` once and last. The calls are in order, one at a
/// time, on any thread, never under a lock of the stream.
class RANGEIO_API stream_listener {
public:
    /// The stream is ready for ranges, because the first response has arrived. `info` is the object as far as it is
    /// known, never null.
    virtual void opened(std::shared_ptr<const object_info> info) noexcept = 0;
    /// The stream broke and is being resumed; `reconnected` or `ended` follows.
    virtual void reconnecting() noexcept = 0;
    virtual void reconnected() noexcept = 0;
    /// The stream has ended, and nothing of it is alive any more. `why` is empty after a requested `close()`.
    virtual void ended(const error_value& why) noexcept = 0;

protected:
    ~stream_listener() = default;
};

/// A stream on one object, which serves ranges: the interface between the engine and its transports.
///
/// Threads:  all members may be called by any thread, return immediately, and never call back before they return to a
///           caller that holds a lock of its own.
class RANGEIO_API multi_range_downloader {
public:
    virtual ~multi_range_downloader() = default;

    /// Begins to open. If it throws, it has had no effect. Ranges that were added before are sent in the opening
    /// message: open and first read together cost one round trip.
    virtual void open(std::shared_ptr<stream_listener> owner) = 0;
    /// Queues a range of at least one byte, and keeps its sink until `done`. Returns an id for `cancel` that is unique
    /// among the ranges of this stream. `sink->done` may have been called before it returns, and then the id may be 0.
    /// If it throws, it has had no effect, and `done` is not called.
    virtual std::int64_t read(std::shared_ptr<range_sink> sink) = 0;
    /// Detaches a range: its `done` is called with `why`, at once or after a copy in progress has ended. No effect on a
    /// range that is done.
    virtual void cancel(std::int64_t read_id, const error_value& why) noexcept = 0;
    /// Closes the stream and all its ranges. `why` is the failure that `ended` will report; empty for an orderly end.
    virtual void close(const error_value& why) noexcept = 0;
    /// Bytes requested and not yet received.
    virtual std::uint64_t outstanding_bytes() const noexcept = 0;
    /// Whether the stream is open and healthy, with no pending range and no byte due, those of cancelled ranges
    /// included, so that another user could continue with it. The default is for a stream on which no byte arrives for
    /// a range that is done.
    virtual bool idle() const noexcept { return outstanding_bytes() == 0; }
    /// Continues with another call, which reports the object anew: a call that was opened before an append need not
    /// have the new bytes. Pending ranges are resumed there. The default is for streams that cannot do this.
    virtual void reopen() noexcept {}
    /// Serves ranges, from now on, by a call that reports at least `size` bytes of the object. A call that was opened
    /// before these bytes were appended is followed by another one; pending ranges are resumed there. The default is
    /// for streams that serve all bytes that exist.
    virtual void require(std::uint64_t /*size*/) noexcept {}
    /// The object as the newest response reported it; null before that, and on streams that do not keep it.
    virtual std::shared_ptr<const object_info> info() const noexcept { return nullptr; }
};

/// Makes the streams of one pool.
class RANGEIO_API mrd_factory {
public:
    virtual ~mrd_factory() = default;

    /// Returns a new, unopened stream. Any exception is the failure of that open, with its text.
    virtual std::shared_ptr<multi_range_downloader> create() = 0;
    /// Whether one stream takes several ranges at once; otherwise a full pool makes its callers wait.
    virtual bool supports_multi_request() const noexcept = 0;
    /// The object that is read, for messages.
    virtual const object_ref& object() const noexcept = 0;

    /// The counts of the streams of this factory.
    virtual stream_stats stats() const noexcept { return {}; }
    /// The observer of the streams, to which the pool reports its own events. Null: none.
    virtual std::shared_ptr<observer> observed_by() const noexcept { return nullptr; }
};

}  // namespace rangeio
