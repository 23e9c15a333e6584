#include "engine/pool_wait.hpp"

#include <utility>

namespace rangeio::engine {

void pool_wait::start() noexcept {
    const auto alive = std::static_pointer_cast<pool_wait>(shared_from_this());
    try {
        ((*pool_).*what_)(alive);
    } catch (...) {
        answered(make_error_code(boost::system::errc::not_enough_memory));
    }
}

void pool_wait::stop(const failure& why) noexcept {
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
