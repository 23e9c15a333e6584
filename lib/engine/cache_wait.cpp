#include "engine/cache_wait.hpp"

#include "error_text.hpp"

namespace rangeio::engine {

void cache_wait::start() noexcept {
    if (cache_ == nullptr) return answered(no_cache());
    const auto alive = std::static_pointer_cast<cache_wait>(shared_from_this());
    try {
        cache_->close(alive);
    } catch (...) {
        answered(make_error_code(boost::system::errc::not_enough_memory));
    }
}

void cache_wait::stop(const error_value& why) noexcept {
    if (cache_ != nullptr) cache_->cancel(*this, why);
}

void cache_wait::answered(const error_value& why) noexcept {
    why_ = why;
    complete();
}

error_value cache_wait::outcome() noexcept {
    if (!why_ || cache_ == nullptr) return why_;
    return guarded([this] { return why_.with_context("closing a cache of pools"); });
}

}  // namespace rangeio::engine
