#include "common/event_loop.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

namespace rangeio::tool {
namespace {

// All signals that by default end a process without a fault of its own, and that can be caught. Those that are raised
// by writing are ignored (prepare_process).
std::vector<int> ending_signals() {
    std::vector<int> all{
        SIGHUP,
        SIGINT,
        SIGQUIT,
        SIGUSR1,
        SIGUSR2,
        SIGALRM,
        SIGTERM,
        SIGSTKFLT,
        SIGXCPU,
        SIGVTALRM,
        SIGPROF,
        SIGIO,
        SIGPWR
    };
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) all.push_back(signal);
    return all;
}

asio::awaitable<void> make(std::function<void()> call) {
    call();
    co_return;
}

}  // namespace

void run(asio::io_context& loop, asio::awaitable<void> work) {
    std::exception_ptr thrown;
    asio::co_spawn(loop, std::move(work), [&thrown](std::exception_ptr e) { thrown = std::move(e); });
    loop.run();
    if (thrown) std::rethrow_exception(thrown);
}

int run_interruptible(asio::io_context& loop, asio::awaitable<void> work) {
    std::exception_ptr thrown;
    int caught = 0;
    asio::cancellation_signal stop;
    asio::signal_set signals(loop);
    for (const int signal : ending_signals()) {
        struct sigaction inherited{};
        const bool ignored = ::sigaction(signal, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN;
        if (!ignored) signals.add(signal);
    }
    signals.async_wait([&](const boost::system::error_code& problem, int signal) {
        if (problem) return;
        caught = signal;
        stop.emit(asio::cancellation_type::terminal);
    });
    const auto ended = [&](std::exception_ptr e) {
        thrown = std::move(e);
        signals.cancel();
    };
    asio::co_spawn(loop, std::move(work), asio::bind_cancellation_slot(stop.slot(), ended));
    loop.run();
    if (thrown && caught == 0) std::rethrow_exception(thrown);
    return caught;
}

task_group::task_group(const asio::any_io_executor& executor)
    : executor_(executor), wake_(executor, asio::steady_timer::time_point::max()) {}

void task_group::spawn(asio::awaitable<void> work) {
    const auto ended_one = std::ranges::find_if(tasks_, [](const task& t) { return !t.running; });
    task& started = ended_one == tasks_.end() ? tasks_.emplace_back() : *ended_one;
    started.running = true;
    ++running_;
    const auto ended = [this, &started](const std::exception_ptr& thrown) {
        started.running = false;
        --running_;
        if (thrown && !failure_) failure_ = thrown;
        wake_.cancel();
    };
    try {
        asio::co_spawn(
            executor_, std::move(work), asio::bind_cancellation_slot(started.signal.slot(), ended)
        );
    } catch (...) {
        // Out of memory: the task did not start, so drain() must not wait for it.
        started.running = false;
        --running_;
        throw;
    }
}

void task_group::cancel() {
    for (task& t : tasks_) {
        if (t.running) t.signal.emit(asio::cancellation_type::terminal);
    }
}

asio::awaitable<void> task_group::changed() {
    // When cancelled, the wait ends without an error here; the next co_await of the coroutine then throws.
    boost::system::error_code ignored;
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> task_group::drain() {
    while (running_ > 0) co_await changed();
}

asio::awaitable<void> blocking_thread::run(std::function<void()> call) {
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    asio::steady_timer wake(loop, asio::steady_timer::time_point::max());
    std::exception_ptr thrown;
    bool done = false;
    const auto ended = [&](std::exception_ptr e) {
        thrown = std::move(e);
        done = true;
        wake.cancel();
    };
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    asio::co_spawn(thread_, make(std::move(call)), asio::bind_executor(loop, ended));
    while (!done) {
        boost::system::error_code ignored;
        co_await wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace rangeio::tool
