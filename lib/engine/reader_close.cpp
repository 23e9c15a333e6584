#include "engine/reader_close.hpp"

#include "error_text.hpp"

#include <mutex>
#include <utility>

namespace rangeio::engine {

void reader_close::start() noexcept {
    if (reader_ == nullptr) {
        why_ = no_reader();
        return complete();
    }
    const auto self = std::static_pointer_cast<reader_close>(shared_from_this());
    left_ = reader_->owns_pool() ? 2 : 1;
    reader_->close();
    try {
        reader_->when_reads_end(std::shared_ptr<reader_closer>(self, this));
    } catch (...) {
        ended(current_error());
    }
    if (!reader_->owns_pool()) return;
    try {
        reader_->pool()->close(std::shared_ptr<pool_waiter>(self, this));
    } catch (...) {
        ended(current_error());
    }
}

void reader_close::stop(const error_value& why) noexcept {
    if (reader_ == nullptr) return;
    reader_->cancel(*this, why);
    if (reader_->owns_pool()) reader_->pool()->cancel(*this, why);
}

void reader_close::ended(const error_value& why) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (why && !why_) why_ = why;
        if (--left_ != 0) return;
    }
    complete();
}

}  // namespace rangeio::engine
