#include "engine/pool_wait.hpp"

#include <utility>

namespace rangeio::engine {

void pool_wait::start() noexcept {
    if (pool_ == nullptr) return answered(no_pool());
    const auto alive = std::static_pointer_cast<pool_wait>(shared_from_this());
    try {
        ((*pool_).*what_)(alive);
    } catch (...) {
        answered(make_error_code(boost::system::errc::not_enough_memory));
    }
}

void pool_wait::stop(const error_value& why) noexcept {
    if (pool_ != nullptr) pool_->cancel(*this, why);
}

void pool_wait::granted(lease granted) noexcept {
    lease_ = std::move(granted);
    complete();
}

void pool_wait::answered(const error_value& why) noexcept {
    why_ = why;
    complete();
}

error_value pool_wait::end() const noexcept {
    return why_ && pool_ != nullptr ? pool_->explain(why_, doing_) : why_;
}

}  // namespace rangeio::engine
