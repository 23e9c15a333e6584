#pragma once

#include "runtime/context_service.hpp"
#include "runtime/mutex.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace rangeio::engine {

/// When a async_close() ends what still keeps it waiting: the earliest time that a caller has named. It belongs to what is
/// being closed, so it holds when that caller does not wait any more.
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
            hold_;  // first to come, last to go: the timer needs the context
        std::shared_ptr<runtime::timer> timer_;
        std::chrono::steady_clock::time_point due_;
    };

    /// `then` is called after so long, if this is kept and not over. Zero: never; less: at once. May throw std::bad_alloc.
    armed arm(std::chrono::nanoseconds after, std::function<void()> then);
    void keep(armed deadline) noexcept;
    /// Nothing is left to be ended. For good.
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
