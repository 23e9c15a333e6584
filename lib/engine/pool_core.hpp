#pragma once

#include <rangeio/mrd_pool.hpp>

#include "engine/close_deadline.hpp"
#include "fsm/pool_fsm.hpp"
#include "runtime/context_service.hpp"
#include "runtime/machine_host.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>

namespace rangeio::engine {

/// A waiter for a pool. One of the two functions is called, once, on any thread, without a lock held; neither may block
/// or throw.
class pool_waiter {
public:
    virtual void granted(lease granted) noexcept = 0;
    /// Also the answer to close and, unless the waiter rides, to initialize: then `why` may be empty.
    virtual void answered(const error_value& why) noexcept = 0;

    /// For the pool: keeps the object alive while it waits.
    std::shared_ptr<pool_waiter> under_way;
    /// For acquire(): what the lease is for.
    fsm::request_class what = fsm::request_class::demand;
    /// For acquire(): to take a busy stream rather than wait for a new one.
    bool shares = false;
    /// For close(): the time after which leased streams are ended; zero: no limit.
    std::chrono::nanoseconds deadline_after{0};

protected:
    ~pool_waiter() = default;
};

/// The shell around `pool_fsm`: shared by the pool's handle, its leases, its streams and its waiters.
class pool_core : public std::enable_shared_from_this<pool_core> {
public:
    pool_core(
        asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, const pool_options& options
    );
    ~pool_core();

    // These may throw std::bad_alloc, without effect then.
    void initialize(std::shared_ptr<pool_waiter> who);
    /// As initialize(), but a waiter that causes the first open is granted a lease on the unopened stream: the ranges
    /// that it adds from inside of granted() are part of the opening message (P12).
    void ride(std::shared_ptr<pool_waiter> who);
    void acquire(std::shared_ptr<pool_waiter> who);
    void close(std::shared_ptr<pool_waiter> who);

    /// A caller has come to wait for the lease of the waiter. No effect on one that has its answer.
    void promote(pool_waiter& who) noexcept;
    /// Answers the waiter with `why`, unless it has its answer already.
    void cancel(pool_waiter& who, const error_value& why) noexcept;
    void close_now() noexcept;
    void release(fsm::stream_id id) noexcept;

    pool_stats stats() const;
    /// The object as reported by the first stream, or by the last reopened one; null before that.
    std::shared_ptr<const object_info> info() const;
    /// `from` has continued with a call that reports the object anew; if the object has grown, all streams require the
    /// new size when this returns: P14.
    void update(const multi_range_downloader& from) noexcept;
    const object_ref& object() const noexcept { return factory_->object(); }
    /// Whether a stream takes several ranges at once.
    bool shares_streams() const noexcept { return factory_->supports_multi_request(); }
    /// The largest number of streams.
    std::size_t max_streams() const noexcept { return max_streams_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }
    /// Whether close() was called, or close_now().
    bool closing() const noexcept { return closing_; }
    /// `why` with the object's name and `doing` before its message, as reported to callers; unchanged without memory.
    error_value explain(const error_value& why, std::string_view doing) const noexcept;

private:
    class link;

    template <class Event>
    void enter(std::shared_ptr<pool_waiter> who, Event event);
    template <class F>
    void for_each_stream(F f) noexcept;
    void refresh_loads() noexcept;
    template <class Event>
    void act(Event&& event) noexcept;
    void perform(fsm::pool_action& action) noexcept;
    void grant(fsm::pool_action& action) noexcept;
    lease lease_on(fsm::stream_id id, std::shared_ptr<multi_range_downloader> stream) noexcept;
    void report_wait(std::chrono::steady_clock::time_point since) noexcept;
    void note_if_closed() noexcept;
    void open_stream(fsm::stream_id id) noexcept;
    void ended(fsm::stream_id id, const error_value& why) noexcept;

    const asio::any_io_executor executor_;
    const std::shared_ptr<mrd_factory> factory_;
    const std::shared_ptr<runtime::context_core> core_;
    const std::shared_ptr<observer> observer_;
    const std::shared_ptr<close_deadline> deadline_;
    std::atomic<bool> closing_ = false;
    std::atomic<bool> closed_ = false;
    const bool by_load_;
    const std::size_t max_streams_;
    runtime::machine_host<fsm::pool_fsm, fsm::pool_action> machine_;
};

/// The failure of every operation on a handle without a pool.
error_value no_pool() noexcept;
/// The executor of the pool, for handlers without one; for a handle without a pool Asio's system executor.
asio::any_io_executor executor_of(const std::shared_ptr<pool_core>& pool);

/// Access from the public handles to their implementation.
struct pool_access {
    static const std::shared_ptr<pool_core>& core(const mrd_pool& pool) noexcept { return pool.core_; }
    static const std::shared_ptr<pool_core>& core(const lease& held) noexcept { return held.pool_; }
    static const std::shared_ptr<multi_range_downloader>& stream(const lease& held) noexcept {
        return held.stream_;
    }
};

}  // namespace rangeio::engine
