#include "engine/cache_wait.hpp"

namespace rangeio::engine {

void cache_wait::start() noexcept {
    const auto alive = std::static_pointer_cast<cache_wait>(shared_from_this());
    try {
        cache_->close(alive);
    } catch (...) {
        answered(make_error_code(boost::system::errc::not_enough_memory));
    }
}

void cache_wait::stop(const failure& why) noexcept {
    cache_->cancel(*this, why);
}

void cache_wait::answered(const failure& why) noexcept {
    why_ = why;
    complete();
}

}  // namespace rangeio::engine
