#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/detail/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace rangeio {

/// Memory that is written once, in parts, and read after all of it has been written.
///
/// The memory is the buffer's own, not zero-filled, or the caller's. It is written through views, each on a region of
/// its own. A byte that was never written cannot be read through this class.
///
/// A live view takes its region, and bytes that have been written remain taken. When a view is destroyed before it is
/// complete, its written bytes stay written and the unwritten rest is free: a retry takes a new view on exactly that
/// rest.
///
/// Lifetimes:  own memory lives as long as the buffer or any view on it, so a late writer never writes to freed memory;
///             bytes that it writes after the destruction of the buffer are lost. Memory of the caller must outlive
///             every view.
/// Errors:     errc::buffer_misuse, whose message has the ranges and numbers; the call has no effect.
/// Threads:    `make_view()`, `size()` and `written()` may be called by several threads at once, also while views are
///             written and destroyed; each view by one thread at a time. `data()` and `take()` see all bytes that were
///             committed before. `close()`, `take()` and moving the buffer require that no other thread uses it, except
///             through views.
/// Units:      offsets, lengths and sizes in bytes.
class RANGEIO_API direct_buffer {
    struct state;
    struct region;

public:
    class view;

    /// A buffer with `size` bytes of its own.
    ///
    /// Throws:  boost::system::errc::not_enough_memory if there is not enough memory, and errc::invalid_argument if
    ///          there never can be; the message has the size.
    explicit direct_buffer(std::uint64_t size);

    /// A buffer on the memory of the caller, which is used in place.
    explicit direct_buffer(std::span<std::byte> memory);

    /// A moved-from buffer is closed and has no bytes.
    direct_buffer(direct_buffer&&) noexcept = default;
    direct_buffer& operator=(direct_buffer&&) noexcept = default;
    ~direct_buffer() = default;

    /// Takes [offset, offset + length) for writing. An empty view takes nothing.
    ///
    /// Throws:  errc::buffer_misuse if the region extends past the end of the buffer, if it overlaps a taken one (the
    ///          message has both), or if the buffer is closed; std::bad_alloc.
    view make_view(std::uint64_t offset, std::uint64_t length);

    std::size_t size() const noexcept;
    /// The number of bytes that all views together have committed.
    std::size_t written() const noexcept;
    bool closed() const noexcept;

    /// Returns the bytes after all have been written.
    ///
    /// Throws:  errc::buffer_misuse if some are missing (the message has their number and the first hole) or if the
    ///          buffer is closed.
    std::span<const std::byte> data() const;

    /// Returns the buffer's own memory after all of it has been written, and closes the buffer.
    ///
    /// Throws:  errc::buffer_misuse as `data()`, and if the memory is the caller's; the buffer is unchanged then.
    byte_block take() &&;

    /// Closes the buffer: `make_view()`, `data()`, `take()` and every `prepare()`, `commit()` and `write()` on a live
    /// view fail from now on. Does not wait for a view that is writing into a prepared span; own memory lives until the
    /// last view is destroyed. Idempotent.
    void close() noexcept;

private:
    std::shared_ptr<state> state_;
};

/// The right to write one region of a `direct_buffer`, in order, once. Move-only.
///
/// Destroying or overwriting a view frees its unwritten bytes (see `direct_buffer`).
class RANGEIO_API direct_buffer::view {
public:
    /// An empty view without a region, which is complete. A moved-from view is the same.
    view() noexcept = default;
    view(view&& other) noexcept;
    view& operator=(view&& other) noexcept;
    ~view();

    std::size_t size() const noexcept { return size_; }
    std::size_t written() const noexcept { return written_; }
    bool complete() const noexcept { return written_ == size_; }

    /// The bytes of the region that have not been written, for writing in place; call `commit()` afterwards.
    ///
    /// The span is valid until the view is destroyed, moved from or complete. It is empty if the view is complete.
    ///
    /// Throws:  errc::buffer_misuse if the buffer is closed.
    std::span<std::byte> prepare() const;

    /// Marks the first `n` bytes of the prepared span as written. Takes no lock.
    ///
    /// Throws:  errc::buffer_misuse if `n` is more than remains, or if the buffer is closed.
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
