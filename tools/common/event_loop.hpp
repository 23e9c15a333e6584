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

/// Runs `work` on this thread until nothing of it is left, and throws what it threw.
void run(asio::io_context& loop, asio::awaitable<void> work);

/// The same, while signals that would end this process by default cancel the work: what it throws then does not
/// count. Returns the signal, 0 if there was none. Signals that this process was started to ignore stay ignored.
///
/// Not caught: SIGKILL, and those of programs gone wrong (SIGSEGV, SIGABRT and their like).
int run_interruptible(asio::io_context& loop, asio::awaitable<void> work);

/// Coroutines that belong together, all on one thread: started, cancelled and waited for by their owner.
///
/// The owner awaits `drain()` before it goes.
class task_group {
public:
    explicit task_group(const asio::any_io_executor& executor);
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    /// Starts `work`.
    void spawn(asio::awaitable<void> work);
    /// Cancels all that run.
    void cancel();
    /// Returns when a task has ended since the last suspension, and may also return without a reason: look at
    /// the state that you wait for. Throws when the awaiting coroutine was cancelled.
    asio::awaitable<void> changed();
    /// Returns when none is running. The awaiting coroutine must have turned throw_if_cancelled off: if it
    /// was cancelled, this would otherwise not even start.
    asio::awaitable<void> drain();

    std::size_t running() const noexcept { return running_; }
    /// What the first task that failed threw.
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

/// A thread for calls that may block: writing to a pipe that is not read, to a slow disk. Time limits run on the
/// event loop, and what the loop cannot do meanwhile would be charged to the service.
class blocking_thread {
public:
    blocking_thread() = default;

    /// Makes the call there; returns or throws what it did. Cancels: not at all, a system call goes on, too.
    asio::awaitable<void> run(std::function<void()> call);

private:
    asio::thread_pool thread_{1};
};

}  // namespace rangeio::tool
