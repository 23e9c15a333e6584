#include "fsm/linear_ramp.hpp"

#include <cassert>
#include <functional>
#include <numeric>
#include <utility>

namespace rangeio::fsm {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t least_streak = 3;
constexpr std::size_t most_sizes = 10;
constexpr std::uint64_t least_cap_bytes = 128 * mib;
constexpr std::uint64_t least_block_bytes = 5 * mib;  // of windows that have room for one
constexpr std::uint64_t max_variable_bytes = 64 * mib;

void drop(byte_range range, prefetch_plan& out) {
    if (!range.empty()) out.drop.push_back(range);
}

}  // namespace

void linear_ramp::read_begins(const prefetch_read& read, prefetch_plan& out) {
    assert(!read.range.empty() && read.range.end() <= size_);
    if (random_) return;
    waiting_.push_back(read.range);
    proceed(out);
}

void linear_ramp::read_ended(byte_range range, bool ok, prefetch_time, prefetch_plan& out) {
    if (read_ == range) {
        delivered_ = ok;
        if (!ok) {
            drop_planned(out);
            reset();
        }
    }
    proceed(out);
}

void linear_ramp::arrived(const prefetch_arrival& arrival, prefetch_plan& out) {
    change_blocks(arrival.range, [&](block& b) {
        b.missing -= std::min(b.missing, b.range.intersect(arrival.range).length());
    });
    proceed(out);
}

// The reader does not continue here: it may be the one whose read fails because of it.
void linear_ramp::lost(byte_range range, prefetch_plan&) {
    change_blocks(range, [](block& b) { b.missing = 0; });
}

void linear_ramp::reset() noexcept {
    read_.reset();
    start_at(planned_);
}

void linear_ramp::advise(access_pattern pattern, prefetch_plan& out) {
    random_ = pattern == access_pattern::random;
    if (!random_) return;
    drop_planned(out);
    waiting_.clear();
    reset();
}

std::uint64_t linear_ramp::window() const noexcept {
    return ahead() ? multiplied(mean()) : 0;
}

bool linear_ramp::ahead() const noexcept {
    if (streak_ < least_streak) return false;
    if (variable() && mean() > max_variable_bytes) return false;
    return !options_.max_prefetch_bytes || mean() <= *options_.max_prefetch_bytes;
}

std::uint64_t linear_ramp::mean() const noexcept {
    assert(!sizes_.empty());
    return std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t{0}) / sizes_.size();
}

bool linear_ramp::variable() const noexcept {
    return std::ranges::adjacent_find(sizes_, std::not_equal_to()) != sizes_.end();
}

std::uint64_t linear_ramp::cap() const noexcept {
    return std::min(
        std::max(2 * mean(), least_cap_bytes), options_.max_prefetch_bytes.value_or(byte_range::max_end)
    );
}

std::uint64_t linear_ramp::multiplied(std::uint64_t bytes) const noexcept {
    const std::uint64_t times = ahead() ? streak_ - least_streak + 1 : 1;
    return bytes > cap() / times ? cap() : times * bytes;
}

template <class Change>
void linear_ramp::change_blocks(byte_range range, Change change) {
    const auto end_of = [](const block& b) { return b.range.end(); };
    for (auto b = std::ranges::upper_bound(queue_, range.offset(), {}, end_of);
         b != queue_.end() && b->range.offset() < range.end();
         ++b) {
        change(*b);
    }
}

void linear_ramp::proceed(prefetch_plan& out) {
    for (;;) {
        if (!read_) {
            if (waiting_.empty()) return;
            read_ = waiting_.front();
            waiting_.pop_front();
            delivered_ = false;
            seek(read_->offset(), out);
        }
        if (!reach_target(out)) return;
        if (target_ == read_->offset()) {
            if (sizes_.size() == most_sizes) sizes_.pop_front();
            sizes_.push_back(read_->length());
            target_ = read_->end();
        } else {
            read_.reset();
            suspend(out);
        }
    }
}

void linear_ramp::seek(std::uint64_t to, prefetch_plan& out) {
    if (to < current_.offset() || to > planned_) {
        drop_planned(out);
        start_at(to);
    }
    offset_ = std::min(offset_, to);
    target_ = to;
}

/// False: the reader waits for a block.
bool linear_ramp::reach_target(prefetch_plan& out) {
    while (offset_ < target_) {
        bool wakes = false;
        if (offset_ == current_.end()) {
            if (queue_.empty()) {
                woken_ = true;
                suspend(out);
            }
            if (queue_.front().missing > 0 && !delivered_) {
                suspend(out);
                return false;
            }
            drop(current_, out);
            current_ = queue_.front().range;
            queue_.pop_front();
            ++streak_;
            wakes = ahead();
        }
        offset_ = std::min(target_, current_.end());
        woken_ = woken_ || wakes;
    }
    return true;
}

void linear_ramp::start_at(std::uint64_t offset) noexcept {
    queue_.clear();
    current_ = byte_range(offset, 0);
    offset_ = target_ = planned_ = offset;
    streak_ = 0;
    sizes_.clear();
}

void linear_ramp::drop_planned(prefetch_plan& out) {
    out.fetch.clear();  // planned by the same event: drops come before fetches, so it would not be dropped
    drop(byte_range::from_to(current_.offset(), planned_), out);
}

/// The planner runs when the reader has to wait, not when it is woken: then it sees how far the reader has come.
void linear_ramp::suspend(prefetch_plan& out) {
    if (std::exchange(woken_, false)) plan(out);
}

void linear_ramp::plan(prefetch_plan& out) {
    // A block that the reader waits for does not count.
    const bool queue_empty = queue_.size() <= (offset_ < target_ ? 1U : 0U);
    const std::uint64_t usual = queue_empty || !ahead() ? sizes_.back() : mean();
    const std::uint64_t window = std::max(multiplied(usual), target_ - offset_);
    // What the parts of a window are shared by: blocks of one size leave a rest.
    const std::uint64_t shared = variable() || window < usual ? window : window / usual * usual;

    while (planned_ - offset_ < window && planned_ < size_) {
        const std::uint64_t room = window - (planned_ - offset_);
        const bool large = window >= least_block_bytes;
        if (large && room < least_block_bytes) return;
        std::uint64_t bytes = std::min(large ? std::max(least_block_bytes, usual) : usual, size_ - planned_);
        if (bytes > room) {
            if (!variable() && room < window) return;
            bytes = room;
        }
        const std::uint64_t parts = streak_ < least_streak || bytes >= shared
                                        ? options_.concurrency
                                        : std::max<std::uint64_t>(1, bytes * options_.concurrency / shared);
        const byte_range range(planned_, bytes);
        queue_.push_back({range, bytes});
        out.fetch.push_back({range, static_cast<std::uint32_t>(parts)});
        planned_ += bytes;
    }
}

}  // namespace rangeio::fsm
