#pragma once

#include "engine/pool_cache_core.hpp"
#include "runtime/operation.hpp"

#include <chrono>
#include <memory>

namespace rangeio::engine {

/// A coroutine that closes a cache and waits for its end.
class cache_wait final : public runtime::operation, public cache_waiter {
public:
    cache_wait(std::shared_ptr<pool_cache_core> cache, std::chrono::nanoseconds deadline)
        : cache_(std::move(cache)) {
        deadline_after = deadline;
    }

    // The result, once complete.
    const failure& why() const noexcept { return why_; }

private:
    void start() noexcept override;
    void stop(const failure& why) noexcept override;
    void reject(const failure& why) noexcept override { why_ = why; }
    void answered(const failure& why) noexcept override;

    const std::shared_ptr<pool_cache_core> cache_;
    failure why_;
};

}  // namespace rangeio::engine
