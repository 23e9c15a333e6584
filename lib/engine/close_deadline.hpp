#pragma once

#include "runtime/context_service.hpp"
#include "runtime/mutex.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace rangeio::engine {

/// The time at which async_close() ends the remaining streams: the earliest deadline of its callers. It belongs to the
/// pool or cache that is being closed, so it remains in force after its caller has stopped waiting.
///
/// Usage: arm(), which may fail; begin to close; keep().
class close_deadline final : public runtime::tracked_operation {
public:
    close_deadline(asio::any_io_executor executor, std::shared_ptr<runtime::context_core> core)
        : executor_(std::move(executor)), core_(std::move(core)) {}

    class armed {
    public:
        armed() noexcept = default;

    private:
        friend close_deadline;
        std::shared_ptr<runtime::context_core::shutdown_hold>
            hold_;  // constructed first, destroyed last: the timer needs the context
        std::shared_ptr<runtime::timer> timer_;
        std::chrono::steady_clock::time_point due_;
    };

    /// Calls `then` after `after`, if the result is passed to keep() and drop() has not been called. Zero: never;
    /// negative: at once. May throw std::bad_alloc.
    armed arm(std::chrono::nanoseconds after, std::function<void()> then);
    void keep(armed deadline) noexcept;
    /// No stream is left to end: cancels the deadline permanently.
    void drop() noexcept;

private:
    void on_shutdown() noexcept override { drop(); }

    const asio::any_io_executor executor_;
    const std::shared_ptr<runtime::context_core> core_;
    runtime::mutex mutex_;
    bool entered_ = false;
    bool over_ = false;
    std::shared_ptr<runtime::timer> timer_;
    std::chrono::steady_clock::time_point due_;
};

}  // namespace rangeio::engine
