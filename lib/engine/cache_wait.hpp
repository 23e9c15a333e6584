#pragma once

#include "engine/pool_cache_core.hpp"
#include "runtime/operation.hpp"

#include <memory>

namespace rangeio::engine {

/// Closes a cache and waits for its end.
class cache_wait final : public runtime::operation, public detail::outcome_of<void>, public cache_waiter {
public:
    cache_wait(std::shared_ptr<pool_cache_core> cache, const close_options& options)
        : cache_(std::move(cache)) {
        deadline_after = options.deadline_after();
    }

    error_value outcome() noexcept override;
    const error_value& why() const noexcept { return why_; }

private:
    void start() noexcept override;
    void stop(const error_value& why) noexcept override;
    void reject(const error_value& why) noexcept override { why_ = why; }
    void answered(const error_value& why) noexcept override;
    // The cache closes, whether or not a caller waits for it.
    bool untouched() noexcept override { return false; }

    const std::shared_ptr<pool_cache_core> cache_;
    error_value why_;
};

}  // namespace rangeio::engine
