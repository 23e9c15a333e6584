#pragma once

#include <rangeio/byte_block.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace rangeio {

/// Memory that is written once, by parts, and read when all of it has been written.
///
/// The memory is the buffer's own, not zero-filled, or the caller's. It is written through views, each on a
/// region of its own. A byte that was never written can't be read through this class.
///
/// A region is *taken* by a live view, and stays taken as far as it has been written. When a view is
/// destroyed before it is complete, what it wrote stays written and the unwritten rest is free: a retry takes
/// a new view on exactly that rest.
///
/// Lifetimes: own memory lives as long as the buffer or any view on it, so a late writer never meets freed
/// memory;
///            what it writes after the buffer is gone is lost. Memory of the caller must outlive every view.
/// Errors:    errc::buffer_misuse, and the message says the ranges and numbers; no effect.
/// Threads:   `make_view()`, `size()` and `written()` may be called by several threads at once, also while
///            views are written and dropped; each view by one thread at a time. `data()` and `take()` see all
///            that was committed before. `close()`, `take()` and moving the buffer need it alone, views
///            excepted.
/// Units:     offsets, lengths and sizes in bytes.
class direct_buffer {
    struct state;
    struct region;

public:
    class view;

    /// A buffer with `size` bytes of its own.
    ///
    /// Throws: saying the size, boost::system::errc::not_enough_memory when there is no such memory, and
    ///         errc::invalid_argument when there never is.
    explicit direct_buffer(std::uint64_t size);

    /// A buffer on the caller's memory, which is used in place.
    explicit direct_buffer(std::span<std::byte> memory);

    /// A moved-from buffer is closed and has no bytes.
    direct_buffer(direct_buffer&&) noexcept = default;
    direct_buffer& operator=(direct_buffer&&) noexcept = default;
    ~direct_buffer() = default;

    /// Takes [offset, offset + length) for writing. An empty view takes nothing.
    ///
    /// Throws: errc::buffer_misuse when the region reaches out of the buffer, overlaps one that is taken
    ///         (both are in the message), or the buffer is closed; std::bad_alloc.
    view make_view(std::uint64_t offset, std::uint64_t length);

    std::size_t size() const noexcept;
    /// How many bytes have been committed, by all views together.
    std::size_t written() const noexcept;
    bool closed() const noexcept;

    /// The bytes, once all have been written.
    ///
    /// Throws: errc::buffer_misuse when some are missing (how many of how many, and the first hole) or the
    ///         buffer is closed.
    std::span<const std::byte> data() const;

    /// Hands the own memory over, once all has been written, and closes the buffer.
    ///
    /// Throws: errc::buffer_misuse as `data()`, and when the memory is the caller's; the buffer is unchanged.
    byte_block take() &&;

    /// Ends the use of the buffer: `make_view()`, `data()`, `take()` and every `prepare()`, `commit()` and
    /// `write()` on a live view are errors from here on. Does not wait for a view that is writing into a
    /// prepared span, and own memory is kept until the last view is gone. Idempotent.
    void close() noexcept;

private:
    std::shared_ptr<state> state_;
};

/// The right to write one region of a `direct_buffer`, in order, once. Move-only.
///
/// Destroying or overwriting a view gives its unwritten bytes back (see `direct_buffer`).
class direct_buffer::view {
public:
    /// An empty view of nothing; complete. So is a moved-from one.
    view() noexcept = default;
    view(view&& other) noexcept;
    view& operator=(view&& other) noexcept;
    ~view();

    std::size_t size() const noexcept { return size_; }
    std::size_t written() const noexcept { return written_; }
    bool complete() const noexcept { return written_ == size_; }

    /// The bytes of the region that have not been written, for writing in place; call `commit()` afterwards.
    ///
    /// The span is valid until the view is destroyed, moved from or complete. Empty when the view is
    /// complete.
    ///
    /// Throws: errc::buffer_misuse when the buffer is closed.
    std::span<std::byte> prepare() const;

    /// Declares the first `n` bytes of the prepared span as written. Takes no lock.
    ///
    /// Throws: errc::buffer_misuse when `n` is more than remains, or the buffer is closed.
    void commit(std::size_t n);

    /// Copies `bytes` into the region and commits them.
    ///
    /// Throws: errc::buffer_misuse as `commit()`; nothing is copied then.
    void write(std::span<const std::byte> bytes);

private:
    friend class direct_buffer;

    void check(std::size_t n) const;
    void release() noexcept;

    std::shared_ptr<state> state_;
    region* region_ = nullptr;  // null when the view is empty
    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::size_t written_ = 0;
};

}  // namespace rangeio
