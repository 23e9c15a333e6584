#include "engine/open_operation.hpp"

#include "error_text.hpp"

#include <mutex>
#include <utility>

namespace rangeio::engine {

void open_operation::next() noexcept {
    const auto alive = std::static_pointer_cast<open_operation>(shared_from_this());
    error_value why;
    try {
        // The assignment closes a pool that has failed: without a lock held.
        pool_ = make();
        const auto core = pool_access::core(pool_);
        {
            const std::lock_guard lock(mutex_);
            core_ = core;
        }
        core->initialize(std::shared_ptr<pool_waiter>(alive, this));
        {
            const std::lock_guard lock(mutex_);
            why = stop_;
        }
        // The cancellation came before the pool had the wait.
        if (why) core->cancel(*this, why);
        return;
    } catch (...) {
        why = current_error();
    }
    why_ = why;
    complete();
}

void open_operation::stop(const error_value& why) noexcept {
    std::shared_ptr<pool_core> core;
    {
        const std::lock_guard lock(mutex_);
        stop_ = why;
        core = core_;
    }
    if (core != nullptr) core->cancel(*this, why);
}

void open_operation::answered(const error_value& why) noexcept {
    if (why && has_another(why)) return next();
    why_ = why ? core_->explain(why, "") : why;
    complete();
}

error_value open_operation::outcome(mrd_pool& pool) noexcept {
    if (!why_) pool = std::move(pool_);
    return why_;
}

}  // namespace rangeio::engine
