#pragma once

#include <rangeio/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rangeio {

class range_sink;

}

// The ranges of one stream, by the names that its caller and the service have for them. A part of mrd_fsm.
//
// clang-format off
// | range     | leaves by                                                                                  |
// |-----------|--------------------------------------------------------------------------------------------|
// | queued    | taken into a message -> sent; cancelled, failed -> forgotten                               |
// | sent      | last byte, range_end, its own error -> forgotten; cancelled or failed early -> orphaned;   |
// |           | the call ended, or a piece was bad: asked for again -> queued                              |
// | orphaned  | last byte, range_end, end of the call -> forgotten; what arrives is dropped (S8)           |
// | forgotten | erased with the next newcomer                                                              |
// clang-format on

namespace rangeio::fsm {

/// One range as it stands in a request: a length of zero never does (S5). A negative offset counts from the end.
struct wire_range {
    std::int64_t read_id = 0;
    std::int64_t offset = 0;
    std::int64_t length = 0;
    friend bool operator==(const wire_range&, const wire_range&) = default;
};

enum class range_state : std::uint8_t { queued, sent, orphaned, forgotten };

/// A range keeps its number; on the wire it has another name each time that it is asked for anew on one call, for
/// what was asked before goes on arriving. The first name is the number.
struct stream_range {
    std::int64_t number = 0;
    std::shared_ptr<range_sink> sink;  // until the range is answered
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t received = 0;  // good bytes
    std::uint32_t asks = 0;      // how often it has been renamed
    std::uint32_t bad = 0;       // rejected chunks in a row
    std::uint32_t stale = 0;     // names that the service still uses and nobody wants
    std::uint64_t orphans = 0;   // bytes that it still owes under those
    range_state state = range_state::queued;
    bool tail = false;     // the last `length` bytes: until one has come nobody knows where they begin
    bool copying = false;  // between begin_chunk and end_chunk
    bool ending = false;   // the chunk that is being copied is the last one
    std::uint64_t copy_size = 0;
    std::uint64_t copy_offset = 0;
    failure verdict;  // what to answer with once the copy is over

    std::int64_t read_id() const noexcept { return number + (std::int64_t{asks} << 40); }
    bool pending() const noexcept { return state == range_state::queued || state == range_state::sent; }
    bool under_way() const noexcept { return state == range_state::sent || stale != 0; }
    wire_range rest() const noexcept {
        const auto due = static_cast<std::int64_t>(length - received);
        if (tail) return {read_id(), -due, due};
        return {read_id(), static_cast<std::int64_t>(offset + received), due};
    }
};

/// Only add() may need memory.
class range_table {
public:
    /// The newcomer is queued.
    stream_range& add(
        std::shared_ptr<range_sink> sink, std::uint64_t offset, std::uint64_t length, bool tail
    );
    /// A number for a range that is not added.
    std::int64_t skip() noexcept { return ++last_number_; }
    stream_range* find(std::int64_t number) noexcept;
    /// By any of the names that it has had.
    stream_range* find_by_read_id(std::int64_t read_id) noexcept;

    /// Into `message`, as many of the queued as it has room for; they are sent then.
    void take(std::vector<wire_range>& message, std::size_t room) noexcept;

    /// Nobody wants it any more. `service_is_done`: nor does the service speak of it again.
    void drop(stream_range& r, bool service_is_done) noexcept;
    /// Back into the queue, under another name. `piece`: bytes of the old one that have just been dropped.
    void rename(stream_range& r, std::uint64_t piece, bool service_is_done) noexcept;
    /// A piece came under a name that nobody wants. False: the service had no reason to use it.
    bool drop_piece(stream_range& r, std::int64_t read_id, std::uint64_t size, bool range_end) noexcept;
    /// The call is over: what was sent is queued again, orphans are forgotten.
    void call_ended() noexcept;

    bool any_queued() noexcept;
    /// Those that the service knows of on this call, wanted or not.
    std::size_t under_way() const noexcept;
    /// Nothing is due of any range, wanted or not.
    bool settled() const noexcept { return forgotten_ == ranges_.size(); }
    /// Bytes that the call still owes and nobody wants.
    std::uint64_t orphans_due() const noexcept { return orphans_due_; }
    /// Ranges, by the names on the wire, that those bytes belong to.
    std::size_t orphan_ranges_due() const noexcept { return stale_; }
    const std::vector<stream_range>& all() const noexcept { return ranges_; }
    std::vector<stream_range>& all() noexcept { return ranges_; }

private:
    void forget(stream_range& r) noexcept;
    void orphan(stream_range& r, std::uint64_t bytes) noexcept;
    void set_stale(stream_range& r, std::uint32_t names) noexcept;
    void settle(stream_range& r) noexcept;

    std::vector<stream_range> ranges_;  // in the order of their numbers; the forgotten leave in bulk
    std::size_t forgotten_ = 0;
    std::int64_t first_queued_ = 1;  // no range with a smaller number is queued
    std::int64_t last_number_ = 0;
    std::uint64_t orphans_due_ = 0;
    std::size_t stale_ = 0;  // names of all ranges together
};

}  // namespace rangeio::fsm
