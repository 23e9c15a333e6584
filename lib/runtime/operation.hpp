#pragma once

#include <rangeio/error.hpp>

#include "runtime/context_service.hpp"
#include "runtime/resumption.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

namespace rangeio::runtime {

/// What a coroutine waits for: the one place where the engine suspends its callers and resumes them.
///
/// A derived class starts its work in `start()`, ends it early in `stop()`, and calls `complete()` when
/// nothing of the work is left. It keeps itself alive (`shared_from_this`) as long as somebody may call it.
class operation : public participant {
public:
    using clock_duration = std::chrono::nanoseconds;

    /// The work is over. Once, from any thread; the caller is resumed on its own executor, never from in
    /// here.
    void complete() noexcept;

    /// Ends the work early. From any thread, any number of times: the first one counts. One that arrives before start() has
    /// returned takes effect then.
    void cancel(const failure& why) noexcept;

protected:
    /// Begins the work. Must not throw: what goes wrong is the operation's result.
    virtual void start() noexcept = 0;

    /// Ends the work early. Once at the most, after start(), perhaps after complete().
    virtual void stop(const failure& why) noexcept = 0;

    /// In place of start(), when that is out of the question: notes `why` as the result.
    virtual void reject(const failure& why) noexcept = 0;

private:
    friend class completion_batch;
    template <class Op>
    friend asio::awaitable<void> await_operation(std::shared_ptr<Op> op, clock_duration timeout);

    void launch(const asio::any_io_executor& executor, clock_duration timeout) noexcept;
    void resume();
    void on_shutdown() noexcept override;
    static asio::awaitable<void> suspend(std::shared_ptr<operation> op, clock_duration timeout);

    resumption handler_;
    asio::cancellation_slot slot_;  // of the coroutine; it outlives the suspension
    asio::any_io_executor executor_;
    std::optional<asio::executor_work_guard<asio::any_io_executor>> work_;
    std::shared_ptr<context_core> core_;
    std::shared_ptr<alarm> alarm_;
    failure cancellation_;
    std::atomic<bool> cancelled_ = false;
    std::atomic<bool> second_ =
        false;  // start() has returned, or cancel() has come: the later of the two stops the work
    std::shared_ptr<operation> self_;  // from launch to complete
    std::shared_ptr<operation> next_;  // in a completion_batch
};

/// Runs `op` and suspends until it has completed. `timeout` of zero: none; when it is over, the operation is
/// cancelled with errc::timed_out. A negative one is over before the operation starts. Cancelling the awaiting coroutine cancels it with
/// asio::error::operation_aborted.
template <class Op>
asio::awaitable<void> await_operation(std::shared_ptr<Op> op, operation::clock_duration timeout) {
    return operation::suspend(std::move(op), timeout);
}

/// The failure of a coroutine that was cancelled when what it waited for had ended well already. Asked for before it
/// waits for something else: its next co_await would throw an exception of Asio's, where callers are promised ours, or a
/// value. `throws`: that it would, for Asio can be told not to.
failure late_cancellation(bool throws, const asio::cancellation_state& state) noexcept;

/// While one of these is on a thread's stack, operations that complete there are resumed together when it
/// goes: one hop to an executor for many, for the hop is what costs.
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

    completion_batch* outer_;
    std::shared_ptr<operation> first_;
    operation* last_ = nullptr;
};

}  // namespace rangeio::runtime
