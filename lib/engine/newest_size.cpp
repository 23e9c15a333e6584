#include <rangeio/mrd_pool.hpp>

#include "engine/pool_core.hpp"
#include "engine/read_operation.hpp"
#include "engine/reads.hpp"
#include "error_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// Queries of an object that is being appended to: its current size, and its last bytes. Only a new call is certain to
// serve the newest bytes, so one stream of the pool continues with another call, and the query is sent in the first
// message of that call.

namespace rangeio {
namespace engine {
namespace {

using pool_ptr = std::shared_ptr<pool_core>;

class size_operation final : public read_operation, public detail::outcome_of<std::uint64_t> {
public:
    size_operation(pool_ptr pool, const read_options& options) : read_operation(std::move(pool)) {
        limit(options.timeout());
    }

    error_value outcome(std::uint64_t& size) noexcept override {
        const error_value why = end();
        if (!why) size = pool()->info()->size;
        return why;
    }

private:
    // A pool that is opened for this operation reports the current size anyway.
    void start() noexcept override {
        asked_ = pool() != nullptr && pool()->info() == nullptr;
        read_operation::start();
    }
    error_value plan(read_round& round) override {
        if (!object()->finalized && !std::exchange(asked_, true)) ask_size(round);
        return {};
    }
    bool writes_to_caller() const noexcept override { return false; }
    std::string doing() const override { return asked_ && has_read() ? ": size" : ""; }

    bool asked_ = false;
};

/// The last bytes. For a growing object, memory is allocated up to plausible_end().
class tail_operation final : public read_operation, public detail::outcome_of<object_tail> {
public:
    tail_operation(pool_ptr pool, std::uint64_t length, const fetch_options& options)
        : read_operation(std::move(pool)), length_(length), options_(options) {
        limit(options.timeout());
    }

    error_value outcome(object_tail& tail) noexcept override {
        const error_value why = end();
        if (why) return why;
        return guarded([&] {
            tail.offset = offset_;
            tail.bytes = shrink(std::move(memory_), total_);
            return error_value();
        });
    }

private:
    error_value plan_opening(read_round& round) override {
        if (length_ == 0 || length_ > max_opening_memory) return {};
        if (const error_value why = check_division(options_)) return why;
        ask_tail(round, length_);
        return {};
    }
    error_value plan(read_round& round) override {
        if (whole_) return {};
        if (object()->finalized || length_ == 0) return plan_known(round);
        const std::uint64_t room = std::min(length_, plausible_end(*object()));
        // Another round must request more bytes: a service that serves bytes beyond a size that it never corrects would
        // otherwise be asked without end.
        if (has_read() && room <= memory_.size()) {
            return {
                errc::protocol_error,
                fmt::format(
                    "the service served {} bytes at offset {} of an object that it says ends at {}",
                    memory_.size(),
                    offset_,
                    object()->size
                )
            };
        }
        ask_tail(round, room);
        round.anew = true;
        round.last = false;
        return {};
    }
    void ask_tail(read_round& round, std::uint64_t room) {
        memory_ = allocate(room);
        append_tail(round.parts, room, memory_.data());
    }
    error_value plan_known(read_round& round) {
        offset_ = object()->size - std::min(length_, object()->size);
        known_ = byte_range::from_to(offset_, object()->size);
        if (const error_value why = plan_fetch(known_, *object(), options_, ranges_)) return why;
        memory_ = allocate(known_.length());
        append_parts(round.parts, ranges_, offset_, memory_.data());
        return {};
    }
    error_value validate() override {
        if (!ranges_.empty()) {
            return validate_parts(known_, ranges_, *object(), options_.allow_short(), total_);
        }
        offset_ = offset(0);
        total_ = received(0);
        whole_ = total_ == length_ || offset_ == 0;
        // A stream without tails has read the front of the object. Of a finalized one the next plan asks by its size.
        const bool at_end = offset_ + total_ == object()->size;
        if (opening() && !at_end && (object()->finalized || total_ < memory_.size())) {
            whole_ = false;
            return {};
        }
        // Fewer bytes are right only if the object has no more.
        if (total_ == memory_.size() || (offset_ == 0 && total_ >= pool()->info()->size)) return {};
        return {errc::short_read, fmt::format("the service ended the tail after {} bytes", total_)};
    }
    bool writes_to_caller() const noexcept override { return false; }
    std::string doing() const override { return fmt::format(" last {} bytes", length_); }

    const std::uint64_t length_;
    const fetch_options options_;
    std::uint64_t offset_ = 0;
    std::size_t total_ = 0;
    bool whole_ = false;
    byte_range known_;
    range_list ranges_;
    byte_block memory_;
};

}  // namespace
}  // namespace engine

detail::initiation<std::uint64_t> mrd_pool::refresh_size(const read_options& options) {
    const auto op = std::make_shared<engine::size_operation>(core_, options);
    return runtime::to_initiate<std::uint64_t>(op, engine::executor_of(core_));
}

detail::initiation<object_tail> mrd_pool::fetch_tail(std::uint64_t length, const fetch_options& options)
    const {
    const auto op = std::make_shared<engine::tail_operation>(core_, length, options);
    return runtime::to_initiate<object_tail>(op, engine::executor_of(core_));
}

}  // namespace rangeio
