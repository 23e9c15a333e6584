#pragma once

#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace rangeio::sim {

namespace asio = boost::asio;

/// The engine's time on an execution context that real threads run: it passes when the test says so, and open timeouts,
/// deadlines and expiry with it. For tests of what threads do to each other; `sim::context` has the time of a world, in
/// which there are none. Asio's own timers on the context go by the real clock as ever.
///
/// Threads:    all members are safe from several threads at once.
/// Lifetimes:  may outlive the context.
class manual_time {
public:
    /// From now on the context goes by this time. Requires: nothing of rangeio has used it. Throws
    /// asio::service_already_exists if something has.
    explicit manual_time(asio::execution_context& context);

    std::chrono::steady_clock::time_point now() const noexcept;
    /// Timers that are set: neither due nor cancelled.
    std::size_t timers() const;
    /// Lets time pass, and does what is due, all of it on this thread and before it returns. A timer that is set by one
    /// that is due counts from the new time. Time ends where the clock cannot count on; a timer beyond that is never due.
    void pass(std::chrono::nanoseconds time);

private:
    class core;
    std::shared_ptr<core> core_;
};

}  // namespace rangeio::sim
