#include "engine/close_deadline.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::engine {

close_deadline::armed close_deadline::arm(std::chrono::nanoseconds after, std::function<void()> then) {
    armed out;
    constexpr std::chrono::nanoseconds zero{0};
    if (after == zero) return out;
    after = std::clamp<std::chrono::nanoseconds>(
        after, zero, std::chrono::years(1)
    );  // the sum has to fit into a time point
    auto hold = std::make_shared<runtime::context_core::shutdown_hold>(core_);
    {
        const std::lock_guard lock(mutex_);
        if (over_) return out;
        entered_ = entered_ || core_->enter(*this);
        if (!entered_) return out;  // the context shuts down, and ends the streams
    }
    out.timer_ = core_->set_timer(executor_, after, std::move(then));
    out.hold_ = std::move(hold);
    out.due_ = core_->now() + after;
    return out;
}

void close_deadline::keep(armed deadline) noexcept {
    const std::lock_guard lock(mutex_);
    if (over_ || deadline.timer_ == nullptr) return;
    if (timer_ != nullptr && due_ <= deadline.due_) return;
    timer_.swap(deadline.timer_);
    due_ = deadline.due_;
}

void close_deadline::drop() noexcept {
    const auto alive = shared_from_this();
    std::shared_ptr<runtime::timer> gone;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(over_, true)) return;
        gone.swap(timer_);
    }
    gone.reset();
    if (entered_) core_->leave(*this);
}

}  // namespace rangeio::engine
