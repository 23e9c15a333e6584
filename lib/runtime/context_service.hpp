#pragma once

#include <rangeio/context_clock.hpp>

#include "kit_export.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace rangeio {

namespace asio = boost::asio;

}

namespace rangeio::runtime {

class context_core;

/// Work that must end before its execution context is destroyed: a suspended operation, a call.
class tracked_operation : public std::enable_shared_from_this<tracked_operation>,
                          public boost::intrusive::list_base_hook<> {
public:
    virtual ~tracked_operation() = default;

protected:
    /// The context is being destroyed. Must lead to `leave()` without the help of an executor.
    virtual void on_shutdown() noexcept = 0;

private:
    friend context_core;
    bool told_ = false;  // on_shutdown() has been called
};

using timer = clock_timer;

/// The state for each execution context: its tracked operations, its timers and its clock.
///
/// Outlives the context, because pools and clients do; then it rejects new operations.
class RANGEIO_KIT_EXPORT context_core {
public:
    virtual ~context_core() = default;

    /// False once the context is shutting down.
    bool enter(tracked_operation& p) noexcept;
    void leave(tracked_operation& p) noexcept;

    /// Delays the destruction of the context while it exists. Held by code that lets a tracked_operation leave and
    /// still has references to drop: the destructors that follow may need the context.
    class shutdown_hold {
    public:
        explicit shutdown_hold(std::shared_ptr<context_core> core) noexcept;
        shutdown_hold(const shutdown_hold&) = delete;
        shutdown_hold& operator=(const shutdown_hold&) = delete;
        ~shutdown_hold();

    private:
        const std::shared_ptr<context_core> core_;
    };

    /// Calls `then` on `executor` after `delay`, unless cancelled.
    virtual std::shared_ptr<timer> set_timer(
        const asio::any_io_executor& executor, std::chrono::nanoseconds delay, std::function<void()> then
    );

    virtual std::chrono::steady_clock::time_point now() const noexcept {
        return std::chrono::steady_clock::now();
    }

    /// Drops `thing` on `executor`, or on the thread that destroys the context: for objects that must not be destroyed
    /// on the thread that releases the last reference.
    void destroy_later(const asio::any_io_executor& executor, std::shared_ptr<void> thing) noexcept;

    /// Cancels all tracked operations and waits until they have left. Called once, by the context's destructor.
    void shut_down() noexcept;

protected:
    /// As `context_clock::run_one_step`.
    virtual context_clock::progress run_one_step() noexcept { return context_clock::progress::blocks; }

private:
    std::mutex mutex_;
    std::condition_variable all_left_;
    boost::intrusive::list<tracked_operation, boost::intrusive::constant_time_size<false>> inside_;
    std::atomic<std::size_t> holds_ = 0;
    std::vector<std::shared_ptr<void>> to_destroy_;  // from destroy_later() during the shutdown
    std::atomic<bool> shut_down_ = false;
    bool over_ = false;
};

/// Ties a `context_core` to the lifetime of an execution context.
class context_service : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit context_service(asio::execution_context& context);

    const std::shared_ptr<context_core>& core() const noexcept { return core_; }

private:
    void shutdown() noexcept override { core_->shut_down(); }

    const std::shared_ptr<context_core> core_;
};

/// The core of the context on which `executor` runs.
RANGEIO_KIT_EXPORT std::shared_ptr<context_core> core_of(const asio::any_io_executor& executor);

}  // namespace rangeio::runtime
