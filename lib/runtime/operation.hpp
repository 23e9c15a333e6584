#pragma once

#include <rangeio/detail/initiation.hpp>
#include <rangeio/error.hpp>

#include "runtime/context_service.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace rangeio::runtime {

/// An asynchronous operation: the one place where handlers are kept and called.
///
/// A derived class starts its work in `start()`, ends it early in `stop()`, and calls `complete()` when nothing of the
/// work is left. It keeps itself alive (`shared_from_this`) as long as other objects may call it. Its result is an
/// `outcome_of<T>`.
class operation : public tracked_operation, public detail::operation_base {
public:
    using clock_duration = std::chrono::nanoseconds;

    /// The time limit, to be set before the launch; when it expires, the operation is cancelled with errc::timed_out.
    /// Zero, the default: no limit. Negative: the operation fails with errc::timed_out without a start.
    void limit(clock_duration timeout) noexcept { timeout_ = timeout; }

    /// The work has ended. Called once, on any thread; the handler is called on its own executor, never from in here.
    void complete() noexcept;

    /// Ends the work early. On any thread, any number of times: the first call counts. A call before start() has
    /// returned takes effect then.
    void cancel(const error_value& why) noexcept;

protected:
    /// Begins the work. Must not throw: a failure is the operation's result.
    virtual void start() noexcept = 0;

    /// Ends the work early. Called at most once, after start(), perhaps after complete().
    virtual void stop(const error_value& why) noexcept = 0;

    /// Called instead of start() if the operation cannot start: records `why` as the result.
    virtual void reject(const error_value& why) noexcept = 0;

    /// Whether the operation has had no side effect and has not touched memory of the caller, and will not from now on:
    /// then cancellation of the type `total` is honored. On any thread.
    virtual bool untouched() noexcept { return true; }

    /// That of the handler, from start() to complete().
    const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    friend class completion_batch;

    void launch(asio::any_io_executor executor, asio::cancellation_slot slot) noexcept override;
    void cancel_by(asio::cancellation_type type) noexcept;
    void leave_context() noexcept;
    static void resume(std::shared_ptr<operation> op);
    void on_shutdown() noexcept override;

    clock_duration timeout_{0};
    asio::cancellation_slot slot_;  // of the handler; outlives the suspension
    asio::any_io_executor executor_;
    std::optional<asio::executor_work_guard<asio::any_io_executor>> work_;
    std::shared_ptr<context_core> core_;
    std::shared_ptr<timer> timer_;
    error_value cancellation_;
    std::atomic<bool> cancelled_ = false;
    std::atomic<bool> second_ =
        false;  // start() has returned, or cancel() was called: the later of the two stops the work
    std::shared_ptr<operation> self_;  // from launch to complete
    std::shared_ptr<operation> next_;  // in a completion_batch
    // For the completion in the queue of an io_context.
    alignas(std::max_align_t) std::byte post_memory_[96];
};

/// The initiation that a public function passes to a completion token. `executor`: for handlers without one of their
/// own.
template <class T, class Op>
detail::initiation<T> to_initiate(const std::shared_ptr<Op>& op, asio::any_io_executor executor) {
    return {op, *op, std::move(executor)};
}

/// While a batch is on a thread's stack, operations that complete on this thread are collected, and its destructor
/// posts them together: the post to the executor is the expensive part.
class completion_batch {
public:
    completion_batch() noexcept;
    completion_batch(const completion_batch&) = delete;
    completion_batch& operator=(const completion_batch&) = delete;
    ~completion_batch();

    static void add(std::shared_ptr<operation> op) noexcept;

private:
    static void post(std::shared_ptr<operation> first) noexcept;
    static void post_list(std::shared_ptr<operation> first) noexcept;
    static void resume_all(std::shared_ptr<operation> first);
    static void abandon(std::shared_ptr<operation> first) noexcept;

    class delivery;
    template <class T>
    class post_allocator;

    completion_batch* outer_;
    std::shared_ptr<operation> first_;
    operation* last_ = nullptr;
};

}  // namespace rangeio::runtime
