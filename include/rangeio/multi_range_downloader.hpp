#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/stream_stats.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace rangeio {

/// How one range ended.
class range_outcome {
public:
    /// Empty: no error, though `received` may be less than asked if the service ended the range early.
    failure why;
    /// Bytes from the start of the range whose checksum was right.
    std::uint64_t received = 0;
    /// Where the range begins in the object: of a tail known only once bytes have come, and 0 before.
    std::uint64_t offset = 0;
};

/// Where the bytes of one range go. The operation that wants the range implements it, and a stream fills it.
///
/// A stream has two ways to bring bytes: `take`, for bytes that lie elsewhere, such as in a message that was received,
/// and `prepare` with `commit`, for a source that can read straight into the destination, such as a socket. It may use
/// both for one range, in the order of positions. Then it calls `done`, once and last. It makes these calls one at a time,
/// on any thread that uses the stream or the pool. They do not block, throw or allocate.
class range_sink {
public:
    virtual byte_range range() const noexcept = 0;
    /// Whether the last `range().length()` bytes of the object are meant, or all if it has fewer, wherever they
    /// begin; then `range().offset()` says nothing.
    virtual bool tail() const noexcept { return false; }
    /// Takes bytes that belong `position` bytes into the range, and extends `crc` by them, in one pass. The bytes count
    /// only once their checksum was right: the same position may be taken again, with other bytes.
    virtual std::uint32_t take(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept = 0;
    /// Offers memory for bytes from `position` on, at most `most` of them, and never behind the end of the range. It may
    /// be shorter than what is still due, for a destination has several buffers. Empty: there is no memory here, and the
    /// stream has to use `take`. The memory is the stream's until it calls `commit`, also if the range is cancelled
    /// meanwhile. The default offers none.
    virtual std::span<std::byte> prepare(std::uint64_t /*position*/, std::size_t /*most*/) noexcept {
        return {};
    }
    /// The first `size` bytes of what `prepare` offered at `position` have been written; the rest was not touched. Zero if
    /// the source brought nothing.
    virtual void commit(std::uint64_t /*position*/, std::size_t /*size*/) noexcept {}
    /// The last call: after it the stream does not touch this object or its memory.
    virtual void done(const range_outcome& outcome) noexcept = 0;

protected:
    ~range_sink() = default;
};

/// What a stream tells its owner: `opened` at most once, and `ended` once, last. In order, one at a time, on
/// any thread, never under a lock of the stream.
class stream_listener {
public:
    /// Ready for ranges: the first response has come. `info` is what is known of the object, never null.
    virtual void opened(std::shared_ptr<const object_info> info) noexcept = 0;
    /// Broken, and being resumed; `reconnected` or `ended` follows.
    virtual void reconnecting() noexcept = 0;
    virtual void reconnected() noexcept = 0;
    /// Nothing of the stream is alive any more. `why` is empty if `close()` was asked for.
    virtual void ended(const failure& why) noexcept = 0;

protected:
    ~stream_listener() = default;
};

/// One stream open on one object, which serves ranges: the seam between the engine and its transports.
///
/// All members are safe to call from any thread, return at once and never call back before they return to a
/// caller that holds a lock of its own.
class multi_range_downloader {
public:
    virtual ~multi_range_downloader() = default;

    /// Begins to open. If it throws, it has had no effect. Ranges that were added before ride in the opening message: open and first read
    /// together cost one round trip.
    virtual void open(std::shared_ptr<stream_listener> owner) = 0;
    /// Queues a range of at least one byte, and keeps its sink until `done`. Returns an id for `cancel`, which no other
    /// range on this stream has. `sink->done` may have been called by then, and then the id may be 0. If it throws, it has
    /// had no effect, and `done` is not called.
    virtual std::int64_t read(std::shared_ptr<range_sink> sink) = 0;
    /// Detaches a range: its `done` is called with `why`, at once or when a copy that is under way is over.
    /// No effect on a range that is done.
    virtual void cancel(std::int64_t read_id, const failure& why) noexcept = 0;
    /// Ends the stream and with it all its ranges. `why` is what `ended` will tell; empty for an orderly end.
    virtual void close(const failure& why) noexcept = 0;
    /// Bytes asked for and not yet received.
    virtual std::uint64_t outstanding_bytes() const noexcept = 0;
    /// Open and healthy, no range under way and no byte still to come, those of cancelled ranges included: somebody
    /// else could go on with it. The default suits a stream on which nothing comes for a range that is done.
    virtual bool idle() const noexcept { return outstanding_bytes() == 0; }
    /// Goes on with another call, whose response tells of the object anew: a call that was opened before something
    /// was appended need not know of it. What is under way is resumed there. The default is for streams that cannot.
    virtual void reopen() noexcept {}
    /// Serves ranges, from now on, by a call that knows of at least `size` bytes of the object. One that was opened before
    /// they were appended is followed by another; what is under way is resumed there. The default is for streams that
    /// serve what is there.
    virtual void require(std::uint64_t /*size*/) noexcept {}
    /// The object as the newest response told of it. Null before that, and on streams that do not keep it.
    virtual std::shared_ptr<const object_info> info() const noexcept { return nullptr; }
};

/// Makes the streams of one pool.
class mrd_factory {
public:
    virtual ~mrd_factory() = default;

    /// A fresh stream, not yet opened. What it throws, whatever it is, is the failure of that open, with its text.
    virtual std::shared_ptr<multi_range_downloader> create() = 0;
    /// True if one stream takes several ranges at once; else a full pool makes its callers wait.
    virtual bool supports_multi_request() const noexcept = 0;
    /// What is being read, for messages.
    virtual const object_ref& object() const noexcept = 0;

    /// What happened to the streams made here.
    virtual stream_stats stats() const noexcept { return {}; }
    /// Who hears of them; the pool tells it what concerns the pool. Null: nobody.
    virtual std::shared_ptr<observer> observed_by() const noexcept { return nullptr; }
};

}  // namespace rangeio
