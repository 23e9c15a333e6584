#include "engine/transfer.hpp"

#include <rangeio/crc32c.hpp>

#include "described.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rangeio::engine {

// A part waits for a lease, then reads, then is done. What has to be undone when the transfer is cancelled
// depends on which of these it is in, and it moves on from any thread: so each step is taken under the
// transfer's lock, and whoever takes one looks at `why_` afterwards, in case the cancellation came before.
struct transfer::part final : public range_read, public pool_waiter {
    enum class stage { idle, waiting, reading, done };

    transfer* owner = nullptr;
    transfer_part what;
    stage at = stage::idle;
    lease held;
    std::shared_ptr<multi_range_downloader> stream;
    std::int64_t read_id = 0;
    std::uint64_t received = 0;
    std::uint64_t offset = 0;

    byte_range range() const noexcept override { return what.range; }
    bool tail() const noexcept override { return what.tail; }

    std::uint32_t deliver(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept override {
        if (what.into == nullptr) {
            return crc32c_copy(std::span(what.memory + position, bytes.size()), bytes, crc);
        }
        const std::uint64_t begin = what.range.offset() + position;
        const auto copy = [&](std::byte* to, std::uint64_t from, std::uint64_t until) {
            std::memcpy(to, bytes.data() + (from - begin), until - from);
        };
        what.into->for_each_shared(begin, begin + bytes.size(), copy);
        return crc32c_extend(crc, bytes);
    }

    void done(const range_outcome& outcome) noexcept override { owner->finish(*this, outcome); }

    void granted(lease granted) noexcept override {
        {
            const std::lock_guard lock(owner->mutex_);
            held = std::move(granted);
            stream = pool_access::stream(held);
        }
        owner->send(*this);
    }

    void answered(const failure& why) noexcept override { owner->finish(*this, {why}); }
};

transfer::transfer(std::shared_ptr<pool_core> pool, std::vector<transfer_part> parts)
    : transfer(std::move(pool), nullptr, nullptr, std::move(parts)) {}

transfer::transfer(
    std::shared_ptr<multi_range_downloader> stream,
    std::shared_ptr<stream_listener> owner,
    std::vector<transfer_part> parts
)
    : transfer(nullptr, std::move(stream), std::move(owner), std::move(parts)) {}

transfer::transfer(
    std::shared_ptr<pool_core> pool,
    std::shared_ptr<multi_range_downloader> stream,
    std::shared_ptr<stream_listener> owner,
    std::vector<transfer_part> parts
)
    : pool_(std::move(pool)),
      stream_(std::move(stream)),
      owner_(std::move(owner)),
      size_(parts.size()),
      parts_(std::make_unique<part[]>(size_)),
      remaining_(size_) {
    for (std::size_t i = 0; i < size_; ++i) {
        parts_[i].owner = this;
        parts_[i].what = std::move(parts[i]);
    }
}

transfer::~transfer() = default;

std::uint64_t transfer::received(std::size_t index) const noexcept {
    return parts_[index].received;
}

std::uint64_t transfer::offset(std::size_t index) const noexcept {
    return parts_[index].offset;
}

void transfer::start() noexcept {
    for (std::size_t i = 0; i < size_; ++i) begin(parts_[i]);
    if (owner_ != nullptr) {
        try {
            stream_->open(owner_);
        } catch (...) {
            stream_->close(current_failure());
        }
    }
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
        if (remaining_ != 0) return;
    }
    end();
}

void transfer::begin(part& p) noexcept {
    if (stream_ != nullptr) {
        p.stream = stream_;
        send(p);
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        p.at = part::stage::waiting;
    }
    try {
        pool_->acquire(std::shared_ptr<pool_waiter>(self(), &p));
    } catch (...) {
        finish(p, {current_failure()});
        return;
    }
    bool late = false;
    failure why;
    {
        const std::lock_guard lock(mutex_);
        why = why_;
        late = p.at == part::stage::waiting && why;
    }
    if (late) pool_->cancel(p, why);
}

void transfer::send(part& p) noexcept {
    failure why;
    {
        const std::lock_guard lock(mutex_);
        why = why_;
        if (!why) p.at = part::stage::reading;
    }
    if (why) {
        finish(p, {why});
        return;
    }
    const auto stream = p.stream;
    std::int64_t id = 0;
    try {
        id = stream->read(std::shared_ptr<range_read>(self(), &p));
    } catch (...) {
        finish(p, {current_failure()});
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        p.read_id = id;
        why = p.at == part::stage::reading ? why_ : failure();
    }
    if (why) stream->cancel(id, why);
}

void transfer::finish(part& p, const range_outcome& how) noexcept {
    const auto alive = self();
    lease released;
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        p.at = part::stage::done;
        p.received = how.received;
        p.offset = how.offset;
        p.stream.reset();
        released = std::move(p.held);
        first = how.why && !why_;
        if (first) why_ = how.why;
    }
    released.release();
    if (first) cancel_parts();
    one_less();
}

void transfer::one_less() noexcept {
    {
        const std::lock_guard lock(mutex_);
        const std::size_t left = remaining_ - 1;
        runtime::interleave(runtime::without_a_lock);
        remaining_ = left;
        if (left != 0 || !started_) return;
    }
    end();
}

void transfer::end() noexcept {
    if (owner_ != nullptr) stream_->close({});
    complete();
}

void transfer::cancel(const failure& why) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (why_ || remaining_ == 0) return;
        why_ = why;
    }
    cancel_parts();
}

void transfer::cancel_parts() noexcept {
    const auto alive = self();
    for (std::size_t i = 0; i < size_; ++i) {
        part& p = parts_[i];
        std::shared_ptr<multi_range_downloader> stream;
        std::int64_t id = 0;
        bool waiting = false;
        failure why;
        {
            const std::lock_guard lock(mutex_);
            waiting = p.at == part::stage::waiting;
            if (p.at == part::stage::reading) stream = p.stream;
            id = p.read_id;
            why = why_;
        }
        if (waiting) pool_->cancel(p, why);
        if (stream != nullptr && id != 0) stream->cancel(id, why);
    }
}

}  // namespace rangeio::engine
