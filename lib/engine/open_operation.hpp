#pragma once

#include <rangeio/mrd_pool.hpp>

#include "engine/pool_core.hpp"
#include "runtime/mutex.hpp"
#include "runtime/operation.hpp"

#include <memory>

namespace rangeio::engine {

/// Makes a pool and opens its first stream.
class open_operation : public runtime::operation, public detail::outcome_of<mrd_pool>, private pool_waiter {
public:
    error_value outcome(mrd_pool& pool) noexcept override;

protected:
    ~open_operation() override = default;

    /// Makes the pool to be opened. May throw.
    virtual mrd_pool make() = 0;
    /// Whether make() can make another pool after this one has failed to open with the given failure. On any thread.
    virtual bool has_another(const error_value& /*why*/) noexcept { return false; }

private:
    void start() noexcept override { next(); }
    void stop(const error_value& why) noexcept override;
    void reject(const error_value& why) noexcept override { why_ = why; }
    void granted(lease) noexcept override {}
    void answered(const error_value& why) noexcept override;

    void next() noexcept;

    mrd_pool pool_;
    error_value why_;

    runtime::mutex mutex_;
    error_value stop_;
    std::shared_ptr<pool_core> core_;  // of the pool that is being opened
};

}  // namespace rangeio::engine
