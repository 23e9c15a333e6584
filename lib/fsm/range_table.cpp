#include "fsm/range_table.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {

stream_range& range_table::add(
    std::shared_ptr<range_sink> sink, std::uint64_t offset, std::uint64_t length, bool tail
) {
    // Erasing is done here, where allocation is allowed; events from the wire only mark ranges.
    if (forgotten_ != 0 && 2 * forgotten_ >= ranges_.size()) {
        std::erase_if(ranges_, [](const stream_range& r) { return r.state == range_state::forgotten; });
        forgotten_ = 0;
    }
    stream_range r;
    r.number = last_number_ + 1;
    r.sink = std::move(sink);
    r.offset = tail ? 0 : offset;
    r.length = length;
    r.tail = tail;
    ranges_.push_back(std::move(r));
    ++last_number_;
    return ranges_.back();
}

stream_range* range_table::find(std::int64_t number) noexcept {
    const auto it = std::ranges::lower_bound(ranges_, number, {}, &stream_range::number);
    const bool found = it != ranges_.end() && it->number == number && it->state != range_state::forgotten;
    return found ? &*it : nullptr;
}

stream_range* range_table::find_by_read_id(std::int64_t read_id) noexcept {
    constexpr std::int64_t number_bits = (std::int64_t{1} << 40) - 1;
    return read_id > 0 ? find(read_id & number_bits) : nullptr;
}

void range_table::take(std::vector<wire_range>& message, std::size_t room) noexcept {
    auto it = std::ranges::lower_bound(ranges_, first_queued_, {}, &stream_range::number);
    for (; it != ranges_.end() && message.size() < room; ++it) {
        if (it->state != range_state::queued) continue;
        it->state = range_state::sent;
        message.push_back(it->rest());
    }
    first_queued_ = it == ranges_.end() ? last_number_ + 1 : it->number;
}

void range_table::drop(stream_range& r, bool service_is_done) noexcept {
    if (r.state == range_state::sent && !service_is_done) orphan(r, r.length - r.received);
    r.state = range_state::orphaned;
    settle(r);
}

void range_table::rename(stream_range& r, std::uint64_t piece, bool service_is_done) noexcept {
    const std::uint64_t rest = r.length - r.received;
    if (!service_is_done) orphan(r, rest - std::min(piece, rest));
    ++r.asks;
    r.state = range_state::queued;
    first_queued_ = std::min(first_queued_, r.number);
}

bool range_table::drop_chunk(
    stream_range& r, std::int64_t read_id, std::uint64_t size, bool range_end
) noexcept {
    if (r.stale == 0 || (read_id == r.read_id() && r.state != range_state::orphaned)) return false;
    const std::uint64_t paid = std::min(size, r.orphans);
    r.orphans -= paid;
    orphans_due_ -= paid;
    // After the last byte nothing more is due, even if range_end never arrives.
    set_stale(r, r.orphans == 0 ? 0 : r.stale - (range_end ? 1 : 0));
    settle(r);
    return true;
}

void range_table::call_ended() noexcept {
    for (stream_range& r : ranges_) {
        set_stale(r, 0);
        settle(r);
        if (r.state == range_state::sent) r.state = range_state::queued;
    }
    first_queued_ = 1;
}

bool range_table::any_queued() noexcept {
    auto it = std::ranges::lower_bound(ranges_, first_queued_, {}, &stream_range::number);
    it = std::ranges::find(it, ranges_.end(), range_state::queued, &stream_range::state);
    first_queued_ = it == ranges_.end() ? last_number_ + 1 : it->number;
    return it != ranges_.end();
}

std::size_t range_table::under_way() const noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(ranges_, &stream_range::under_way));
}

void range_table::forget(stream_range& r) noexcept {
    r.state = range_state::forgotten;
    ++forgotten_;
}

void range_table::orphan(stream_range& r, std::uint64_t bytes) noexcept {
    if (bytes == 0) return;
    set_stale(r, r.stale + 1);
    r.orphans += bytes;
    orphans_due_ += bytes;
}

void range_table::set_stale(stream_range& r, std::uint32_t names) noexcept {
    stale_ += names;
    stale_ -= std::exchange(r.stale, names);
}

void range_table::settle(stream_range& r) noexcept {
    if (r.stale != 0) return;
    orphans_due_ -= std::exchange(r.orphans, 0);
    if (r.state == range_state::orphaned) forget(r);
}

}  // namespace rangeio::fsm
