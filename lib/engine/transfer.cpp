#include "engine/transfer.hpp"

#include <rangeio/crc32c.hpp>

#include "error_text.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rangeio::engine {

using fsm::transfer_fsm;
using fsm::transfer_step;
using fsm::transfer_step_kind;

std::uint32_t transfer::part::take(
    std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
) noexcept {
    if (owner->units_ != nullptr && first == fsm::prefetch_time()) first = owner->units_->now();
    if (!owner->touch()) return crc32c_extend(crc, bytes);
    if (what.memory != nullptr)
        return crc32c_copy(std::span(what.memory + position, bytes.size()), bytes, crc);
    if (what.pieces != nullptr) {
        what.pieces->for_each_piece(
            what.position + position,
            bytes.size(),
            [&](std::byte* to, std::uint64_t at, std::uint64_t n) {
                crc = crc32c_copy(std::span(to, n), bytes.subspan(at, n), crc);
            }
        );
        return crc;
    }
    const std::uint64_t begin = what.range.offset() + position;
    const auto copy = [&](std::byte* to, std::uint64_t from, std::uint64_t until) {
        std::memcpy(to, bytes.data() + (from - begin), until - from);
    };
    what.into->for_each_shared(begin, begin + bytes.size(), copy);
    return crc32c_extend(crc, bytes);
}

std::span<std::byte> transfer::part::prepare(std::uint64_t position, std::size_t most) noexcept {
    most = std::min(most, static_cast<std::size_t>(what.range.length() - position));
    if (most == 0 || !owner->touch()) return {};
    if (what.memory != nullptr) return {what.memory + position, most};
    if (what.pieces != nullptr) return what.pieces->first_piece(what.position + position, most);
    return what.into->sole_piece(what.range.offset() + position, most);
}

void transfer::part::done(const range_outcome& outcome) noexcept {
    if (owner->units_ != nullptr && !outcome.why) owner->report_arrival(*this);
    owner->end(*this, outcome);
}

void transfer::part::granted(lease granted) noexcept {
    const auto step = owner->feed([&](transfer_fsm& m) {
        held = std::move(granted);
        stream = pool_access::stream(held);
        return m.granted(index);
    });
    owner->perform(*this, step);
}

void transfer::part::answered(const error_value& why) noexcept {
    owner->end(*this, {why});
}

void transfer::part::fetched(std::shared_ptr<prefetch_unit> unit, const error_value& why) noexcept {
    if (!why) what.fetched = std::move(unit);
    owner->end(*this, {why, why ? 0 : what.range.length()});
}

transfer::transfer() noexcept = default;
transfer::~transfer() = default;

void transfer::prepare(std::shared_ptr<pool_core> pool, transfer_parts parts) {
    pool_ = std::move(pool);
    set_parts(std::move(parts));
}

void transfer::prepare(
    std::shared_ptr<multi_range_downloader> stream,
    std::shared_ptr<stream_listener> owner,
    transfer_parts parts
) {
    stream_ = std::move(stream);
    owner_ = std::move(owner);
    set_parts(std::move(parts));
}

void transfer::set_parts(transfer_parts parts) {
    if (parts.size() == 1) {
        parts_ = &single_.emplace();
    } else {
        several_ = std::make_unique<part[]>(parts.size());
        parts_ = several_.get();
    }
    machine_ = transfer_fsm(parts.size(), pool_ != nullptr);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        parts_[i].owner = this;
        parts_[i].index = i;
        parts_[i].what = std::move(parts[i]);
        parts_[i].stream = stream_;
    }
}

void transfer::run() noexcept {
    for (std::size_t i = 0; i < machine_.size(); ++i) {
        perform(parts_[i], feed([i](transfer_fsm& m) { return m.begin(i); }));
    }
    if (owner_ != nullptr) {
        try {
            stream_->open(owner_);
        } catch (...) {
            stream_->close(current_error());
        }
    }
    if (feed([](transfer_fsm& m) { return m.started(); })) finish();
}

void transfer::perform(part& p, const transfer_step& step) noexcept {
    switch (step.kind) {
        case transfer_step_kind::none: break;
        case transfer_step_kind::acquire: acquire(p); break;
        case transfer_step_kind::read: read(p); break;
        case transfer_step_kind::end: end(p, {feed([](transfer_fsm& m) { return m.why(); })}); break;
        case transfer_step_kind::cancel_wait:
            cancel_wait(p, feed([](transfer_fsm& m) { return m.why(); }));
            break;
        case transfer_step_kind::cancel_read: {
            std::shared_ptr<multi_range_downloader> stream;
            const error_value why = feed([&](transfer_fsm& m) {
                stream = p.stream;
                return m.why();
            });
            if (stream != nullptr) stream->cancel(step.read_id, why);
            break;
        }
    }
}

void transfer::acquire(part& p) noexcept {
    if (p.what.fetched != nullptr) return end(p, {error_value(), p.what.range.length()});
    const fsm::request_class what = what_;
    try {
        if (p.what.unit != 0) {
            units_->wait(p.what.unit, std::shared_ptr<unit_waiter>(self(), &p));
        } else {
            p.pool_waiter::what = what;
            // What is fetched ahead occupies streams: a read must not wait for another one because of that.
            p.shares = units_ != nullptr;
            pool_->acquire(std::shared_ptr<pool_waiter>(self(), &p));
            // It may have been promoted before the pool knew it.
            if (what_ == fsm::request_class::demand && what != fsm::request_class::demand) pool_->promote(p);
        }
    } catch (...) {
        end(p, {current_error()});
        return;
    }
    perform(p, feed([&p](transfer_fsm& m) { return m.asked(p.index); }));
}

void transfer::cancel_wait(part& p, const error_value& why) noexcept {
    if (p.what.unit != 0) return units_->cancel_wait(p.what.unit, p, why);
    pool_->cancel(p, why);
}

void transfer::report_arrival(const part& p) noexcept {
    const auto stream = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(p.stream.get()));
    const auto now = units_->now();
    units_->arrived({p.what.range, stream, p.sent, p.first, now});
}

void transfer::read(part& p) noexcept {
    const auto stream = p.stream;
    if (units_ != nullptr) p.sent = units_->now();
    std::int64_t id = 0;
    try {
        id = stream->read(std::shared_ptr<range_sink>(self(), &p));
    } catch (...) {
        end(p, {current_error()});
        return;
    }
    perform(p, feed([&](transfer_fsm& m) { return m.sent(p.index, id); }));
}

void transfer::end(part& p, const range_outcome& how) noexcept {
    const auto alive = self();
    lease released;
    const bool first = feed([&](transfer_fsm& m) {
        p.stream.reset();
        released = std::move(p.held);
        return m.ended(p.index, how.received, how.offset, how.why);
    });
    released.release();
    if (first) cancel_parts();
    // After the release: when the caller continues, the lease has returned to the pool.
    if (feed([&p](transfer_fsm& m) { return m.released(p.index); })) finish();
}

void transfer::abort(const error_value& why) noexcept {
    if (feed([&why](transfer_fsm& m) { return m.cancel(why); })) cancel_parts();
}

void transfer::promote() noexcept {
    what_ = fsm::request_class::demand;
    if (pool_ == nullptr) return;
    for (std::size_t i = 0; i < machine_.size(); ++i) pool_->promote(parts_[i]);
}

void transfer::cancel_parts() noexcept {
    const auto alive = self();
    for (std::size_t i = 0; i < machine_.size(); ++i) {
        perform(parts_[i], feed([i](transfer_fsm& m) { return m.cancel_part(i); }));
    }
}

void transfer::finish() noexcept {
    if (owner_ != nullptr) stream_->close({});
    transferred();
}

}  // namespace rangeio::engine
