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
    );  // a time point has to hold it
    auto stay = std::make_shared<runtime::context_core::stay>(core_);
    {
        const std::lock_guard lock(mutex_);
        if (over_) return out;
        entered_ = entered_ || core_->enter(*this);
        if (!entered_) return out;  // the context is going, and the streams with it
    }
    out.alarm_ = core_->set_alarm(executor_, after, std::move(then));
    out.stay_ = std::move(stay);
    out.due_ = core_->now() + after;
    return out;
}

void close_deadline::keep(armed deadline) noexcept {
    const std::lock_guard lock(mutex_);
    if (over_ || deadline.alarm_ == nullptr) return;
    if (alarm_ != nullptr && due_ <= deadline.due_) return;
    alarm_.swap(deadline.alarm_);
    due_ = deadline.due_;
}

void close_deadline::drop() noexcept {
    const auto alive = shared_from_this();
    std::shared_ptr<runtime::alarm> gone;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(over_, true)) return;
        gone.swap(alarm_);
    }
    gone.reset();
    if (entered_) core_->leave(*this);
}

}  // namespace rangeio::engine
