#pragma once

#include "engine/pool_core.hpp"
#include "runtime/operation.hpp"

#include <memory>

namespace rangeio::engine {

/// A coroutine that waits for a pool: for it to be initialized, for a lease, or for its end.
class pool_wait final : public runtime::operation, public pool_waiter {
public:
    using request = void (pool_core::*)(std::shared_ptr<pool_waiter>);

    pool_wait(std::shared_ptr<pool_core> pool, request what) : pool_(std::move(pool)), what_(what) {}
    /// Closes the pool.
    pool_wait(std::shared_ptr<pool_core> pool, std::chrono::nanoseconds deadline)
        : pool_wait(std::move(pool), &pool_core::close) {
        deadline_after = deadline;
    }

    // The result, once complete.
    const failure& why() const noexcept { return why_; }
    lease take_lease() noexcept { return std::move(lease_); }

private:
    void start() noexcept override;
    void stop(const failure& why) noexcept override;
    void reject(const failure& why) noexcept override { why_ = why; }
    void granted(lease granted) noexcept override;
    void answered(const failure& why) noexcept override;

    const std::shared_ptr<pool_core> pool_;
    const request what_;
    failure why_;
    lease lease_;
};

}  // namespace rangeio::engine
