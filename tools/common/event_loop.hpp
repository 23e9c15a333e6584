#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <functional>

namespace rangeio::tool {

namespace asio = boost::asio;

/// Runs `work` on this thread until all of it has ended.
///
/// Throws: the exception of `work`.
void run(asio::io_context& loop, asio::awaitable<void> work);

/// As run(), but signals that would end this process by default cancel the work; its exception is then discarded.
/// Signals that this process was started to ignore stay ignored. Not caught: SIGKILL, and the signals of program errors
/// (SIGSEGV, SIGABRT and the like).
///
/// Returns: the signal, 0 if there was none.
int run_interruptible(asio::io_context& loop, asio::awaitable<void> work);

/// A group of coroutines on one thread: started, cancelled and awaited by their owner.
///
/// Requires: the owner awaits `drain()` before the group is destroyed.
class task_group {
public:
    explicit task_group(const asio::any_io_executor& executor);
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    void spawn(asio::awaitable<void> work);
    /// Cancels all running tasks.
    void cancel();
    /// Returns when a task has ended since the last suspension, and may also return spuriously: check the state that
    /// you wait for.
    ///
    /// Throws: when the awaiting coroutine was cancelled.
    asio::awaitable<void> changed();
    /// Returns when no task is running.
    ///
    /// Requires: the awaiting coroutine has turned throw_if_cancelled off: if it was cancelled, drain() would otherwise
    ///           not even start.
    asio::awaitable<void> drain();

    std::size_t running() const noexcept { return running_; }
    /// The exception of the first task that failed.
    const std::exception_ptr& failure() const noexcept { return failure_; }

private:
    struct task {
        asio::cancellation_signal signal;
        bool running = false;
    };

    asio::any_io_executor executor_;
    asio::steady_timer wake_;
    std::deque<task> tasks_;
    std::size_t running_ = 0;
    std::exception_ptr failure_;
};

/// A thread for calls that may block: writing to a pipe without a reader, to a slow disk. Time limits run on the event
/// loop, and time in which the loop is blocked would be charged to the service.
class blocking_thread {
public:
    blocking_thread() = default;

    /// Makes the call on that thread; returns or throws when the call does.
    ///
    /// Cancels: not supported, because a system call cannot be interrupted either.
    asio::awaitable<void> run(std::function<void()> call);

private:
    asio::thread_pool thread_{1};
};

}  // namespace rangeio::tool
