#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace rangeio::emulator {

class call_reactor;
class call_timer;

/// The thread that wakes calls at exact times. gRPC's own timers are rounded to milliseconds; messages on a link may
/// follow one another sooner.
class timers {
public:
    using time_point = std::chrono::steady_clock::time_point;

    timers();
    /// Requires: no call_timer is left.
    ~timers();
    timers(const timers&) = delete;
    timers& operator=(const timers&) = delete;

private:
    friend class call_timer;
    using queue = std::multimap<time_point, call_timer*>;

    void work() noexcept;

    std::mutex mutex_;
    std::condition_variable earlier_;  // the first time in the queue, or the end
    bool ending_ = false;
    queue queue_;
    std::thread thread_;
};

/// The next time at which a call is woken, by call_reactor::due(). A call that has ended is not woken.
///
/// Threads: safe.
class call_timer {
public:
    using time_point = timers::time_point;

    explicit call_timer(timers& all);
    ~call_timer() { cancel(); }
    call_timer(const call_timer&) = delete;
    call_timer& operator=(const call_timer&) = delete;

    /// Replaces the time that was set before; the call may be woken for that one, too, if it is past already. Needs no
    /// memory.
    void set(const std::weak_ptr<call_reactor>& call, time_point at) noexcept;
    /// The same holds for the time that was set before.
    void cancel() noexcept;

private:
    friend class timers;
    void leave_queue() noexcept;

    timers& all_;
    // Protected by the mutex of `all_`.
    std::weak_ptr<call_reactor> call_;
    timers::queue::node_type spare_;  // while not in the queue
    timers::queue::iterator place_;   // while in the queue
};

}  // namespace rangeio::emulator
