#pragma once

#include <rangeio/context_clock.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

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

/// Something under way that must have ended before its execution context is gone: a suspended operation, a
/// call.
class tracked_operation : public std::enable_shared_from_this<tracked_operation>,
                          public boost::intrusive::list_base_hook<> {
public:
    virtual ~tracked_operation() = default;

protected:
    /// The context is being destroyed. Must lead to `leave()` without the help of an executor.
    virtual void on_shutdown() noexcept = 0;

private:
    friend context_core;
    bool told_ = false;  // of the shutdown
};

using timer = clock_timer;

/// What the engine keeps for each execution context: who is under way there, and what time it is.
///
/// Outlives the context, since pools and clients do; it then refuses newcomers.
class context_core {
public:
    virtual ~context_core() = default;

    /// False once the context is shutting down.
    bool enter(tracked_operation& p) noexcept;
    void leave(tracked_operation& p) noexcept;

    /// While one of these lives, the context's destruction does not go on. Held by whoever lets a tracked_operation leave
    /// and still has references to drop, for what those keep alive may need the context to die.
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

    /// Drops `thing` on `executor`, or on the thread that destroys the context: for what must not die on the thread
    /// that lets go of it last.
    void destroy_later(const asio::any_io_executor& executor, std::shared_ptr<void> thing) noexcept;

    /// Ends everything under way and waits for it. Called once, by the context's destructor.
    void shut_down() noexcept;

protected:
    /// As `context_clock::run_one_step`.
    virtual context_clock::progress run_one_step() noexcept { return context_clock::progress::blocks; }

private:
    std::mutex mutex_;
    std::condition_variable all_left_;
    boost::intrusive::list<tracked_operation, boost::intrusive::constant_time_size<false>> inside_;
    std::size_t stays_ = 0;
    std::vector<std::shared_ptr<void>> to_destroy_;  // to be destroyed while the context was shutting down
    bool shut_down_ = false;
    bool over_ = false;
};

/// Ties a `context_core` to the life of an execution context.
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
std::shared_ptr<context_core> core_of(const asio::any_io_executor& executor);

}  // namespace rangeio::runtime
