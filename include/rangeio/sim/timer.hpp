#pragma once

#include <rangeio/sim/context.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace rangeio::sim {

/// A timer with the interface of asio::steady_timer, in the virtual time of a world. Code that is to be simulated takes
/// the type of its timers as a template parameter, or an alias.
///
/// A timer that expires at `time_point::max()`, or after more than `world_options::max_time`, is never due: only a
/// cancellation wakes an operation that waits for it.
///
/// Threads: as for a steady_timer, one at a time.
class timer {
public:
    using executor_type = asio::any_io_executor;
    using clock_type = std::chrono::steady_clock;
    using duration = std::chrono::steady_clock::duration;
    using time_point = world::time_point;

    /// Requires: `executor` is one of a sim::context.
    explicit timer(asio::any_io_executor executor);
    timer(asio::any_io_executor executor, duration after) : timer(std::move(executor)) {
        expires_after(after);
    }
    timer(asio::any_io_executor executor, time_point at) : timer(std::move(executor)) { expires_at(at); }
    timer(timer&&) noexcept = default;
    timer& operator=(timer&&) noexcept = delete;
    /// Cancels the pending waits.
    ~timer();

    executor_type get_executor() const noexcept;
    time_point expiry() const noexcept;
    /// Cancels the pending waits; returns their number.
    std::size_t expires_after(duration after);
    std::size_t expires_at(time_point at);
    std::size_t cancel();

    /// Waits for the expiry.
    ///
    /// Completes:  `void(error_code)`: no error at the expiry, asio::error::operation_aborted after a cancellation.
    /// Memory:     none that an `allocation_failures` could refuse: an exception of Asio's timer here would not reach
    ///             the coroutine.
    template <class Token>
    auto async_wait(Token&& token) {
        return asio::async_initiate<Token, void(boost::system::error_code)>(
            [waits = waits_, own = get_executor()](auto&& handler) {
                const allocation_exemption kit;
                const asio::any_io_executor where = asio::get_associated_executor(handler, own);
                begin_wait(waits, where, std::forward<decltype(handler)>(handler));
            },
            token
        );
    }

private:
    struct state;
    static void begin_wait(
        const std::shared_ptr<state>& waits,
        const asio::any_io_executor& where,
        asio::any_completion_handler<void(boost::system::error_code)> handler
    );

    std::shared_ptr<state> waits_;
};

}  // namespace rangeio::sim
