#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/object.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/pool_stats.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace rangeio {

namespace asio = boost::asio;

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

/// The right to send ranges on one stream of a pool. Move-only; its destructor gives it back, without
/// blocking.
///
/// Threads: one at a time. Lifetimes: keeps what it needs of the pool alive.
class lease {
public:
    lease() noexcept = default;
    lease(lease&& other) noexcept = default;
    lease& operator=(lease&& other) noexcept;
    ~lease() { release(); }

    /// Whether there is a stream behind it; false when default constructed, moved from or released.
    explicit operator bool() const noexcept { return stream_ != nullptr; }

    /// Reads `range` into the front of `destination` on this stream, undivided.
    ///
    /// Returns:    the bytes read: all of them.
    /// Lifetimes:  `destination` until completion; the lease may go earlier, the read goes on.
    /// Cancels:    whatever types the awaiting coroutine lets through; nothing touches `destination`
    /// afterwards. Errors:     as `fetch`, and errc::stream_closed when the stream has ended. Units: bytes;
    /// `timeout` of zero, the default: none; a negative one is over at once (errc::timed_out).
    /// Guarantee:  basic, as `fetch`; the lease stays, though its stream may have failed.
    asio::awaitable<std::size_t> read(
        byte_range range, std::span<std::byte> destination, std::chrono::nanoseconds timeout = {}
    );

    /// Gives the lease back; without effect if there is none.
    void release() noexcept;

private:
    friend engine::pool_core;
    friend engine::pool_access;

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
    /// No pool, as one that was moved from. It may be assigned to and destroyed; stats() are zero, info() and object()
    /// are empty, and every operation on it, `fetch` and its relatives too, fails with errc::invalid_argument.
    mrd_pool() noexcept;
    /// An unopened pool. `client::open()` makes one that is open.
    ///
    /// `executor` serves the open timeouts; callers are resumed on their own.
    /// Throws: `rangeio::error` with errc::invalid_argument for an option out of its range.
    mrd_pool(asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, pool_options options = {});
    mrd_pool(mrd_pool&&) noexcept = default;
    mrd_pool& operator=(mrd_pool&& other) noexcept;
    ~mrd_pool();

    /// Whether there is a pool.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// Opens the first stream, once, however many ask for it at once; immediate when one has been opened
    /// before.
    ///
    /// Cancels:    the waiting only; the open goes on for the others.
    /// Errors:     why the open failed, the same to all who wait, and the pool is ready for another try;
    ///             errc::timed_out (pool_options::open_timeout), errc::pool_closed.
    /// Guarantee:  strong, also without memory; an open that others wait for goes on.
    asio::awaitable<void> initialize();

    /// Leases a stream: an idle one, the one used last first; else a new one if the pool may grow; else a
    /// busy one by the sharing policy, if its streams take several requests; else waits, first come first
    /// served.
    ///
    /// Initializes the pool if nobody has. `timeout` is how long to wait, default 60 s; zero: no limit; negative:
    /// over at once (errc::timed_out).
    /// Cancels:    the waiting; a lease that was granted meanwhile goes to the next in line.
    /// Errors:     why the open that this call caused failed; errc::timed_out, errc::pool_closed.
    /// Guarantee:  strong, also without memory: no lease is lost, and none is kept from those who wait.
    asio::awaitable<lease> acquire(std::chrono::nanoseconds timeout = std::chrono::seconds(60));

    /// Ends the pool. From its first moment every acquire() fails, opens under way are cancelled, idle
    /// streams are closed, and leased ones with their last lease. Returns when every stream has ended. May be
    /// called by many, and again: all return with the same end.
    ///
    /// `deadline_after` is how long leased streams may go on; then they are cancelled. Zero, the default: no
    /// limit; negative: they are cancelled at once. Of several deadlines the earliest holds. It is the pool's: kept by the pool's executor, whether or not
    /// the caller still waits.
    /// Cancels:    the waiting only; the pool closes all the same, with the deadline that was named.
    /// Errors:     the first failure of a stream to end in order, after the last one has ended.
    /// Guarantee:  strong: without memory the pool goes on as it was. The destructor needs none.
    asio::awaitable<void> close(std::chrono::nanoseconds deadline_after = {});

    /// How large the object is by now: what a call that is opened for the question reports, one round trip. It is
    /// what info() says from then on, and what is read up to there is read from calls that know of it. A finalized
    /// object does not grow: then nothing is asked.
    ///
    /// A stream of the pool goes on with another call for this, and all of them do if the object has grown. So reads
    /// that are under way are resumed, and take a round trip longer.
    ///
    /// Initializes the pool if nobody has. `timeout` is for all of it, default 60 s; zero: no limit; negative: over at
    /// once (errc::timed_out).
    /// Cancels:    whatever types the awaiting coroutine lets through.
    /// Errors:     as acquire() and `fetch`; errc::generation_changed.
    asio::awaitable<std::uint64_t> refresh_size(std::chrono::nanoseconds timeout = std::chrono::seconds(60));

    pool_stats stats() const;

    /// The object as the first stream reported it, or refresh_size() or fetch_tail() since then; empty before a
    /// stream was opened.
    std::optional<object_info> info() const;

    const object_ref& object() const noexcept;

private:
    friend engine::pool_access;

    std::shared_ptr<engine::pool_core> core_;
};

}  // namespace rangeio
