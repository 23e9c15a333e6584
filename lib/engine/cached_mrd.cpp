#include "engine/cached_mrd.hpp"

#include "engine/pool_cache_core.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::engine {

cached_factory::cached_factory(
    std::shared_ptr<pool_cache_core> cache, std::shared_ptr<mrd_factory> fresh, const object_ref& object
)
    : cache_(std::move(cache)), fresh_(std::move(fresh)), pool_(cache_->enter(object)) {}

cached_factory::~cached_factory() {
    cache_->leave(pool_);
}

std::shared_ptr<multi_range_downloader> cached_factory::create() {
    return std::make_shared<cached_mrd>(cache_, shared_from_this(), pool_);
}

cached_mrd::cached_mrd(
    std::shared_ptr<pool_cache_core> cache, std::shared_ptr<cached_factory> factory, fsm::pool_id pool
)
    : cache_(std::move(cache)), factory_(std::move(factory)), pool_(pool) {}

void cached_mrd::open(std::shared_ptr<stream_listener> owner) {
    owner_ = std::move(owner);
    under_way_ = shared_from_this();
    try {
        cache_->open(*this, pool_);
    } catch (...) {
        owner_.reset();
        under_way_.reset();
        throw;
    }
}

std::int64_t cached_mrd::read(std::shared_ptr<range_sink> sink) {
    std::shared_ptr<multi_range_downloader> stream;
    {
        const std::lock_guard lock(mutex_);
        if (!closed_ && stream_ != nullptr) {
            runtime::interleave(runtime::without_a_lock);
            stream = stream_;
            ++reading_;
        }
    }
    if (stream == nullptr) {
        sink->done({errc::stream_closed, 0});
        return 0;
    }
    const auto leave = [this](void*) {
        const std::lock_guard lock(mutex_);
        --reading_;
    };
    const std::unique_ptr<void, decltype(leave)> inside(this, leave);
    runtime::interleave("before a range enters a stream");
    return stream->read(std::move(sink));
}

// Also valid after close(): a stream ignores the ids of ranges that are done.
void cached_mrd::cancel(std::int64_t read_id, const error_value& why) noexcept {
    if (const auto s = stream()) s->cancel(read_id, why);
}

void cached_mrd::close(const error_value& why) noexcept {
    std::shared_ptr<multi_range_downloader> stream;
    bool busy = false;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        stream = stream_;
        busy = reading_ > 0;
    }
    runtime::interleave("before a stream is given up");
    // No further range is accepted, so a stream that is idle now remains idle.
    const bool reusable = !busy && (stream == nullptr || stream->idle());
    cache_->give_up(*this, reusable, why);
}

std::uint64_t cached_mrd::outstanding_bytes() const noexcept {
    const auto s = stream();
    return s == nullptr ? 0 : s->outstanding_bytes();
}

bool cached_mrd::idle() const noexcept {
    const auto s = stream();
    return s != nullptr && s->idle();
}

void cached_mrd::reopen() noexcept {
    if (const auto s = stream()) s->reopen();
}

void cached_mrd::require(std::uint64_t size) noexcept {
    std::shared_ptr<multi_range_downloader> stream;
    {
        const std::lock_guard lock(mutex_);
        required_ = std::max(required_, size);
        stream = stream_;
    }
    if (stream != nullptr) stream->require(size);
}

std::shared_ptr<const object_info> cached_mrd::info() const noexcept {
    const auto s = stream();
    return s == nullptr ? nullptr : s->info();
}

void cached_mrd::attach(std::shared_ptr<multi_range_downloader> stream) noexcept {
    std::uint64_t required = 0;
    {
        const std::lock_guard lock(mutex_);
        stream_ = stream;
        required = required_;
    }
    stream->require(required);
}

void cached_mrd::detach(const error_value& why) noexcept {
    const auto alive = std::move(under_way_);
    std::shared_ptr<multi_range_downloader> stream;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        stream.swap(stream_);
    }
    const auto owner = std::move(owner_);
    owner->ended(why);
}

std::shared_ptr<multi_range_downloader> cached_mrd::stream() const noexcept {
    const std::lock_guard lock(mutex_);
    return stream_;
}

}  // namespace rangeio::engine
