#include <rangeio/context_clock.hpp>
#include <rangeio/sim/manual_time.hpp>

#include "sim/later.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace rangeio::sim {
namespace {

using time_point = std::chrono::steady_clock::time_point;

}  // namespace

class manual_time::core final : public context_clock {
public:
    std::shared_ptr<clock_timer> call_after(
        const asio::any_io_executor&, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        auto out = std::make_shared<pending>();
        out->then = std::move(then);
        const std::lock_guard lock(mutex_);
        out->due = later(now_, delay);
        std::erase_if(timers_, [](const auto& a) { return a.expired(); });
        timers_.push_back(out);
        return out;
    }

    std::chrono::steady_clock::time_point now() const noexcept override {
        const std::lock_guard lock(mutex_);
        return now_;
    }

    std::size_t timers() const {
        const std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(std::ranges::count_if(timers_, [](const auto& a) {
            const auto alive = a.lock();
            return alive != nullptr && !alive->over;
        }));
    }

    void pass(std::chrono::nanoseconds time) {
        std::vector<std::shared_ptr<pending>> due;
        {
            const std::lock_guard lock(mutex_);
            now_ = std::min(later(now_, time), time_point::max() - std::chrono::nanoseconds(1));
            for (const auto& weak : timers_) {
                auto a = weak.lock();
                if (a != nullptr && !a->over && a->due <= now_) due.push_back(std::move(a));
            }
        }
        std::ranges::stable_sort(due, {}, &pending::due);
        for (const auto& a : due) {
            if (!a->over.exchange(true)) a->then();
        }
    }

private:
    struct pending final : clock_timer {
        void cancel() noexcept override { over = true; }
        std::chrono::steady_clock::time_point due;
        std::function<void()> then;
        std::atomic<bool> over{false};
    };

    mutable std::mutex mutex_;
    std::chrono::steady_clock::time_point now_{};
    std::vector<std::weak_ptr<pending>> timers_;
};

manual_time::manual_time(asio::execution_context& context) : core_(std::make_shared<core>()) {
    use_clock(context, core_);
}

std::chrono::steady_clock::time_point manual_time::now() const noexcept {
    return core_->now();
}

std::size_t manual_time::timers() const {
    return core_->timers();
}

void manual_time::pass(std::chrono::nanoseconds time) {
    core_->pass(time);
}

}  // namespace rangeio::sim
