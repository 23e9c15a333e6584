#pragma once

#include <rangeio/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rangeio {

class range_sink;

}

// The ranges of one stream, by the caller's number and by the ids on the wire. A part of mrd_fsm.
//
// clang-format off
// | range     | leaves by                                                                                  |
// |-----------|--------------------------------------------------------------------------------------------|
// | queued    | taken into a message -> sent; cancelled, failed -> forgotten                               |
// | sent      | last byte, range_end, its own error -> forgotten; cancelled or failed early -> orphaned;   |
// |           | the call ended, or a chunk was rejected: requested again -> queued                         |
// | orphaned  | last byte, range_end, end of the call -> forgotten; arriving bytes are dropped (S8)        |
// | forgotten | erased by a later add()                                                                    |
// clang-format on

namespace rangeio::fsm {

/// One range as encoded in a request; its length is never zero (S5). A negative offset counts from the end.
struct wire_range {
    std::int64_t read_id = 0;
    std::int64_t offset = 0;
    std::int64_t length = 0;
    friend bool operator==(const wire_range&, const wire_range&) = default;
};

enum class range_state : std::uint8_t { queued, sent, orphaned, forgotten };

/// A range keeps its number; on the wire it has another id each time that it is requested again, because the bytes of
/// the earlier request continue to arrive. The first id is the number.
struct stream_range {
    std::int64_t number = 0;
    std::shared_ptr<range_sink> sink;  // until the range is answered
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t received = 0;  // good bytes
    std::uint32_t asks = 0;      // the number of renamings
    std::uint32_t bad = 0;       // rejected chunks in a row
    std::uint32_t stale = 0;     // abandoned ids under which bytes are still due
    std::uint64_t orphans = 0;   // bytes that are due under those
    range_state state = range_state::queued;
    bool tail = false;     // the last `length` bytes, whose begin is unknown until one has arrived
    bool copying = false;  // between begin_chunk and end_chunk
    bool ending = false;   // the chunk that is being copied is the last one
    std::uint64_t copy_size = 0;
    std::uint64_t copy_offset = 0;
    error_value verdict;  // the answer after the copy

    std::int64_t read_id() const noexcept { return number + (std::int64_t{asks} << 40); }
    bool pending() const noexcept { return state == range_state::queued || state == range_state::sent; }
    bool under_way() const noexcept { return state == range_state::sent || stale != 0; }
    wire_range rest() const noexcept {
        const auto due = static_cast<std::int64_t>(length - received);
        if (tail) return {read_id(), -due, due};
        return {read_id(), static_cast<std::int64_t>(offset + received), due};
    }
};

/// Only add() may allocate.
class range_table {
public:
    /// Queues a new range.
    stream_range& add(
        std::shared_ptr<range_sink> sink, std::uint64_t offset, std::uint64_t length, bool tail
    );
    /// A number for a range that is not added.
    std::int64_t skip() noexcept { return ++last_number_; }
    stream_range* find(std::int64_t number) noexcept;
    /// By any of the ids that the range has had.
    stream_range* find_by_read_id(std::int64_t read_id) noexcept;

    /// Appends queued ranges to `message`, up to `room` in all; they are in state `sent` then.
    void take(std::vector<wire_range>& message, std::size_t room) noexcept;

    /// The range is answered. `service_is_done`: the service will send nothing more for it.
    void drop(stream_range& r, bool service_is_done) noexcept;
    /// Queues the range again, under another id. `piece`: bytes of the old id that have just been dropped.
    void rename(stream_range& r, std::uint64_t piece, bool service_is_done) noexcept;
    /// A chunk arrived under an abandoned id. False: nothing was due under this id.
    bool drop_chunk(stream_range& r, std::int64_t read_id, std::uint64_t size, bool range_end) noexcept;
    /// The call has ended: sent ranges are queued again, orphans are forgotten.
    void call_ended() noexcept;

    bool any_queued() noexcept;
    /// The number of ranges in flight on this call, orphans included.
    std::size_t under_way() const noexcept;
    /// Nothing is due of any range, orphans included.
    bool settled() const noexcept { return forgotten_ == ranges_.size(); }
    /// Orphan bytes that are still due on the call.
    std::uint64_t orphans_due() const noexcept { return orphans_due_; }
    /// The number of ids on the wire to which those bytes belong.
    std::size_t orphan_ranges_due() const noexcept { return stale_; }
    const std::vector<stream_range>& all() const noexcept { return ranges_; }
    std::vector<stream_range>& all() noexcept { return ranges_; }

private:
    void forget(stream_range& r) noexcept;
    void orphan(stream_range& r, std::uint64_t bytes) noexcept;
    void set_stale(stream_range& r, std::uint32_t names) noexcept;
    void settle(stream_range& r) noexcept;

    std::vector<stream_range> ranges_;  // in the order of their numbers; forgotten ones are erased in bulk
    std::size_t forgotten_ = 0;
    std::int64_t first_queued_ = 1;  // no range with a smaller number is queued
    std::int64_t last_number_ = 0;
    std::uint64_t orphans_due_ = 0;
    std::size_t stale_ = 0;  // abandoned ids of all ranges together
};

}  // namespace rangeio::fsm
