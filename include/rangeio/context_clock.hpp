#pragma once

#include <rangeio/detail/visibility.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace rangeio {

/// A timer that a `context_clock` has set. Destroying the last reference cancels it.
///
/// Threads: `cancel` may be called on any thread; the callback may already have begun.
class RANGEIO_API clock_timer {
public:
    virtual ~clock_timer() = default;
    virtual void cancel() noexcept = 0;
};

/// Time and threads of an execution context as the library sees them, for a program that simulates both. Without one
/// the library uses `std::chrono::steady_clock` and Asio's timers.
///
/// Header only: a simulation depends on Asio alone. `rangeio::sim` is one.
///
/// Threads:   every member may be called on any thread.
/// Lifetimes: pools and clients keep the clock of their context, and may outlive the context.
class RANGEIO_API context_clock {
public:
    virtual ~context_clock() = default;

    virtual std::chrono::steady_clock::time_point now() const noexcept = 0;

    /// Calls `then` once, on `executor` or on a thread that may call into the library, when `delay` has passed; not
    /// after `cancel`. Throws std::bad_alloc.
    virtual std::shared_ptr<clock_timer> call_after(
        const boost::asio::any_io_executor& executor,
        std::chrono::nanoseconds delay,
        std::function<void()> then
    ) = 0;

    /// What a call of `run_one_step` has achieved.
    enum class progress : unsigned char {
        blocks,  ///< Other threads make progress by themselves: the caller blocks until they have.
        made,  ///< One step of another thread of control was executed; the caller checks its condition again.
        none,  ///< No thread of control is left that could make progress; the caller stops waiting.
    };
    /// The destructor of the context waits for operations that other threads of control complete. A simulation, in
    /// which they have no thread of their own, executes one step of them here. No lock is held.
    virtual progress run_one_step() noexcept { return progress::blocks; }
};

namespace detail {

class RANGEIO_API clock_service final : public boost::asio::execution_context::service {
public:
    static inline boost::asio::execution_context::id id;

    explicit clock_service(
        boost::asio::execution_context& context, std::shared_ptr<context_clock> with = nullptr
    )
        : service(context), clock(std::move(with)) {}

    const std::shared_ptr<context_clock> clock;  // null: that of the machine

private:
    void shutdown() noexcept override {}
};

}  // namespace detail

/// The library uses `clock` on `context` from now on.
///
/// Requires: a clock; the library has not used `context` yet: no pool, cache or client was made for it, and no
///           operation has a handler on it.
/// Throws:   boost::asio::service_already_exists if it has, or if the context has a clock.
inline void use_clock(boost::asio::execution_context& context, std::shared_ptr<context_clock> clock) {
    boost::asio::make_service<detail::clock_service>(context, std::move(clock));
}

}  // namespace rangeio
