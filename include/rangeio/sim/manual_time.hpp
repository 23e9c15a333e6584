#pragma once

#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace rangeio::sim {

namespace asio = boost::asio;

/// The engine's clock on an execution context that real threads run: time passes only when the test advances it, and
/// with it open timeouts, deadlines and expiry. For tests of how threads affect each other; `sim::context` has the time
/// of a world, in which there are no threads. Asio's own timers on the context still use the real clock.
///
/// Threads:    all members are safe from several threads at once.
/// Lifetimes:  may outlive the context.
class manual_time {
public:
    /// Makes this the clock of the context.
    ///
    /// Requires:   nothing of rangeio has used the context.
    /// Throws:     asio::service_already_exists if something has.
    explicit manual_time(asio::execution_context& context);

    std::chrono::steady_clock::time_point now() const noexcept;
    /// The number of timers that are set: neither due nor cancelled.
    std::size_t timers() const;
    /// Advances the time, and runs all timers that are due on this thread, before it returns. A timer that is set by a
    /// due timer counts from the new time. Time ends where the clock cannot count on; a timer beyond that is never due.
    void pass(std::chrono::nanoseconds time);

private:
    class core;
    std::shared_ptr<core> core_;
};

}  // namespace rangeio::sim
