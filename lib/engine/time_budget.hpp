#pragma once

#include "runtime/context_service.hpp"

#include <algorithm>
#include <chrono>
#include <memory>

namespace rangeio::engine {

/// What is left of a timeout that began when this was made. Zero stands for none, so what is left never is; a negative one
/// is over from the beginning.
class time_budget {
public:
    time_budget(const asio::any_io_executor& executor, std::chrono::nanoseconds timeout) : timeout_(timeout) {
        if (timeout_ <= std::chrono::nanoseconds::zero()) return;
        core_ = runtime::core_of(executor);
        start_ = core_->now();
    }
    std::chrono::nanoseconds left() const {
        if (core_ == nullptr) return timeout_;
        return std::max<std::chrono::nanoseconds>(
            timeout_ - (core_->now() - start_), std::chrono::nanoseconds(1)
        );
    }

private:
    const std::chrono::nanoseconds timeout_;
    std::shared_ptr<runtime::context_core> core_;
    std::chrono::steady_clock::time_point start_;
};

}  // namespace rangeio::engine
