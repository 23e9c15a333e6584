#include "engine/cache_wait.hpp"

namespace rangeio::engine {

void cache_wait::start() noexcept {
    const auto alive = std::static_pointer_cast<cache_wait>(shared_from_this());
    try {
        cache_->close(alive);
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
    if (stop) cache_->cancel(*this, stop);
}

void cache_wait::cancel(const failure& why) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (!stop_) stop_ = why;
    }
    cache_->cancel(*this, why);
}

void cache_wait::answered(const failure& why) noexcept {
    why_ = why;
    complete();
}

}  // namespace rangeio::engine
