#pragma once

#include "runtime/context_service.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace testing {

/// Time that passes when the test says so, on contexts that this is installed on before their first use.
class manual_time final : public rangeio::runtime::context_core {
public:
    static std::shared_ptr<manual_time> install(boost::asio::io_context& context) {
        auto out = std::make_shared<manual_time>();
        boost::asio::make_service<rangeio::runtime::context_service>(context, out);
        return out;
    }

    std::shared_ptr<rangeio::runtime::alarm> set_alarm(
        const boost::asio::any_io_executor&, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        auto out = std::make_shared<pending>();
        out->due = now() + delay;
        out->then = std::move(then);
        const std::lock_guard lock(mutex_);
        alarms_.push_back(out);
        return out;
    }

    std::chrono::steady_clock::time_point now() const noexcept override {
        const std::lock_guard lock(mutex_);
        return now_;
    }

    /// Alarms that have neither rung nor been cancelled.
    std::size_t alarms() {
        const std::lock_guard lock(mutex_);
        std::erase_if(alarms_, [](const auto& a) { return a.expired(); });
        return static_cast<std::size_t>(std::ranges::count_if(alarms_, [](const auto& a) {
            const auto alive = a.lock();
            return alive != nullptr && !alive->over;
        }));
    }

    /// Lets time pass, and rings what is due on the calling thread.
    void pass(std::chrono::nanoseconds time) {
        std::vector<std::shared_ptr<pending>> due;
        {
            const std::lock_guard lock(mutex_);
            now_ += time;
            for (const auto& weak : alarms_) {
                auto a = weak.lock();
                if (a != nullptr && !a->over && a->due <= now_) due.push_back(std::move(a));
            }
        }
        for (const auto& a : due) {
            if (!a->over.exchange(true)) a->then();
        }
    }

private:
    struct pending final : rangeio::runtime::alarm {
        void cancel() noexcept override { over = true; }
        std::chrono::steady_clock::time_point due;
        std::function<void()> then;
        std::atomic<bool> over{false};
    };

    mutable std::mutex mutex_;
    std::chrono::steady_clock::time_point now_{};
    std::vector<std::weak_ptr<pending>> alarms_;
};

}  // namespace testing
