#include "engine/prefetch_unit.hpp"

#include "engine/prefetcher.hpp"
#include "engine/reads.hpp"
#include "error_text.hpp"

#include <boost/asio/error.hpp>

#include <mutex>
#include <utility>

namespace rangeio::engine {
namespace {

error_value abandoned() noexcept {
    return make_error_code(asio::error::operation_aborted);
}

}  // namespace

prefetch_unit::prefetch_unit(std::shared_ptr<reader_core> reader, const fsm::unit_action& what)
    : owner_(reader),
      core_(runtime::core_of(reader->pool()->executor())),
      id_(what.unit),
      range_(what.range),
      lane_(what.what),
      room_(reader->budget()),
      reader_(std::move(reader)) {
    use_class(lane_);
    use_units(*reader_->prefetch());
}

prefetch_unit::~prefetch_unit() = default;

// From the first entry on, another thread may end the unit.
void prefetch_unit::start() {
    const auto alive = std::static_pointer_cast<prefetch_unit>(shared_from_this());
    const auto reader = reader_;
    if (!core_->enter(*this)) throw error(abandoned());
    if (const error_value why = reader->enter_unit(*this)) {
        core_->leave(*this);
        throw error(why);
    }
    try {
        room_.request(std::shared_ptr<budget_holder>(alive, this), reader->id(), lane_, range_.length());
    } catch (...) {
        return end(current_error());
    }
    // Then its request was made after its end.
    bool failed = false;
    {
        const std::lock_guard lock(mutex_);
        failed = failed_;
    }
    if (failed) room_.release();
}

void prefetch_unit::granted() noexcept {
    const auto alive = shared_from_this();
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != phase::reserving) return;
        phase_ = phase::granted;
    }
    error_value why = abandoned();
    if (reader_->prefetch()->granted(id_)) {
        why = guarded([this] {
            begin_to_fetch();
            return error_value();
        });
    }
    if (!why) {
        const std::lock_guard lock(mutex_);
        if (stopped_) {
            why = abandoned();
        } else {
            phase_ = phase::running;
        }
        if (promoted_) use_class(fsm::request_class::demand);
    }
    if (why) return end(why);
    run();
}

void prefetch_unit::begin_to_fetch() {
    memory_ = std::make_unique_for_overwrite<std::byte[]>(range_.length());
    transfer_parts parts;
    parts.emplace_back().range = range_;
    parts.back().memory = memory_.get();
    prepare(reader_->pool(), std::move(parts));
}

void prefetch_unit::transferred() noexcept {
    error_value ended = why();
    if (!ended && received(0) < range_.length()) {
        ended = described(
            errc::short_read, "the service ended {} after {} bytes", to_string(range_), received(0)
        );
    }
    end(std::move(ended));
}

// Without its bytes a unit needs no room: only the error is kept.
void prefetch_unit::end(error_value why) noexcept {
    const auto alive = shared_from_this();
    const runtime::context_core::shutdown_hold hold(core_);
    std::shared_ptr<reader_core> reader;
    {
        const std::lock_guard lock(mutex_);
        phase_ = phase::over;
        failed_ = failed_ || why;
        reader = std::move(reader_);
    }
    if (reader == nullptr) return;
    if (why) {
        memory_.reset();
        room_.release();
    }
    reader->prefetch()->done(id_, why);
    reader->leave(*this);
    core_->leave(*this);
}

void prefetch_unit::cancel() noexcept {
    phase was;
    {
        const std::lock_guard lock(mutex_);
        was = phase_;
        stopped_ = true;
        if (was == phase::reserving) phase_ = phase::over;
    }
    if (was == phase::reserving) end(abandoned());
    if (was == phase::running) abort(abandoned());
}

void prefetch_unit::promote() noexcept {
    room_.promote();
    bool running = false;
    {
        const std::lock_guard lock(mutex_);
        promoted_ = true;
        running = phase_ == phase::running;
    }
    if (running) transfer::promote();
}

void prefetch_unit::mark(fsm::budget_use use, std::uint64_t rank) noexcept {
    room_.mark(use, rank);
}

void prefetch_unit::reclaim() noexcept {
    const auto reader = owner_.lock();
    if (reader == nullptr || !reader->prefetch()->reclaim(id_)) room_.keep();
}

byte_slice prefetch_unit::slice(byte_range range) noexcept {
    const std::shared_ptr<const std::byte[]> memory(shared_from_this(), memory_.get());
    return {memory, {memory_.get() + (range.offset() - range_.offset()), range.length()}};
}

std::shared_ptr<transfer> prefetch_unit::self() noexcept {
    return std::static_pointer_cast<prefetch_unit>(shared_from_this());
}

}  // namespace rangeio::engine
