#pragma once

#include "engine/pool_core.hpp"
#include "runtime/operation.hpp"

#include <memory>
#include <string_view>

namespace rangeio::engine {

/// Waits for a pool: for its initialization, for a lease, or for its end.
class pool_wait : public runtime::operation, public pool_waiter {
public:
    using request = void (pool_core::*)(std::shared_ptr<pool_waiter>);

    /// `doing` follows the object's name in error texts.
    pool_wait(std::shared_ptr<pool_core> pool, request what, std::string_view doing)
        : pool_(std::move(pool)), what_(what), doing_(doing) {}

    // The result, once complete.
    const error_value& why() const noexcept { return why_; }
    lease take_lease() noexcept { return std::move(lease_); }

protected:
    error_value end() const noexcept;

private:
    void start() noexcept override;
    void stop(const error_value& why) noexcept override;
    void reject(const error_value& why) noexcept override { why_ = why; }
    void granted(lease granted) noexcept override;
    void answered(const error_value& why) noexcept override;

    const std::shared_ptr<pool_core> pool_;
    const request what_;
    const std::string_view doing_;
    error_value why_;
    lease lease_;
};

class initialize_operation final : public pool_wait, public detail::outcome_of<void> {
public:
    explicit initialize_operation(std::shared_ptr<pool_core> pool)
        : pool_wait(std::move(pool), &pool_core::initialize, "") {}
    error_value outcome() noexcept override { return end(); }
};

class acquire_operation final : public pool_wait, public detail::outcome_of<lease> {
public:
    acquire_operation(std::shared_ptr<pool_core> pool, const acquire_options& options)
        : pool_wait(std::move(pool), &pool_core::acquire, ": no stream") {
        limit(options.timeout());
    }
    error_value outcome(lease& out) noexcept override {
        out = take_lease();
        return end();
    }
};

class close_operation final : public pool_wait, public detail::outcome_of<void> {
public:
    close_operation(std::shared_ptr<pool_core> pool, const close_options& options)
        : pool_wait(std::move(pool), &pool_core::close, ": close") {
        deadline_after = options.deadline_after();
    }
    error_value outcome() noexcept override { return end(); }

private:
    // The pool closes, whether or not a caller waits for it.
    bool untouched() noexcept override { return false; }
};

}  // namespace rangeio::engine
