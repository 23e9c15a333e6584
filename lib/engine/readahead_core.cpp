#include "engine/readahead_core.hpp"

#include "error_text.hpp"
#include "option_range.hpp"

#include <boost/asio/error.hpp>

namespace rangeio::engine {

readahead_core::readahead_core(object_reader reader, readahead_options options)
    : reader_(std::move(reader)), options_(options) {
    throw_if(reader_ ? error_value() : no_reader());
    throw_if(check_range("block_bytes", options.block_bytes(), 1, readahead_options::max_block_bytes));
}

error_value readahead_core::enter() noexcept {
    if (state().closed() || pool()->closing()) return errc::pool_closed;
    const std::lock_guard lock(mutex_);
    if (!std::exchange(in_use_, true)) return {};
    const auto code = make_error_code(asio::error::in_progress);
    return described(code, "readahead cache: another read is under way");
}

void readahead_core::leave() noexcept {
    const std::lock_guard lock(mutex_);
    in_use_ = false;
}

readahead_window readahead_core::window() const noexcept {
    const std::lock_guard lock(mutex_);
    return window_;
}

void readahead_core::count_hit() noexcept {
    const std::lock_guard lock(mutex_);
    ++stats_.hits;
}

void readahead_core::count_miss() noexcept {
    const std::lock_guard lock(mutex_);
    ++stats_.misses;
}

void readahead_core::replace(readahead_window window, std::uint64_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    std::swap(window_, window);  // the old one is freed without the lock
    ++stats_.misses;
    stats_.requested_bytes += bytes;
}

readahead_stats readahead_core::stats() const noexcept {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace rangeio::engine
