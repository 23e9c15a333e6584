#include "engine/pool_wait.hpp"

#include <utility>

namespace rangeio::engine {

void pool_wait::start() noexcept {
    const auto alive = std::static_pointer_cast<pool_wait>(shared_from_this());
    try {
        ((*pool_).*what_)(alive);
    } catch (...) {
        answered(make_error_code(boost::system::errc::not_enough_memory));
        return;
    }
    // A cancellation may have come before there was something to cancel.
    failure stop;
    {
        const std::lock_guard lock(mutex_);
        stop = stop_;
    }
    if (stop) pool_->cancel(*this, stop);
}

void pool_wait::cancel(const failure& why) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (!stop_) stop_ = why;
    }
    pool_->cancel(*this, why);
}

void pool_wait::granted(lease granted) noexcept {
    lease_ = std::move(granted);
    complete();
}

void pool_wait::answered(const failure& why) noexcept {
    why_ = why;
    complete();
}

}  // namespace rangeio::engine
