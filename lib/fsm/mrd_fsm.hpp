#pragma once

#include <rangeio/error.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

// One multi-range downloader as a machine: outbox, pending ranges, verdicts on what arrives (rules S1-S10).
//
// clang-format off
// | stream       | add_range     | leaves by                                                               |
// |--------------|---------------|-------------------------------------------------------------------------|
// | fresh        | queues        | open -> opening; close -> closed                                        |
// | opening      | queues, sends | first response -> ready; call ended -> failed; close -> closing         |
// | ready        | queues, sends | call ended -> failed; close -> closing                                  |
// | reconnecting | queues        | S7, S9: a break with ranges pending; not entered before resuming exists |
// | draining     | refused       | S8: too many orphan bytes; not entered before retiring exists           |
// | closing      | refused       | call ended -> closed, or failed if it was closed with a reason          |
// | closed       | refused       | (the end)                                                               |
// | failed       | refused       | (the end)                                                               |
//
// | range    | leaves by                                                                          |
// |----------|------------------------------------------------------------------------------------|
// | queued   | taken into a message -> sent; cancelled -> done                                    |
// | sent     | last byte, range_end, its own error -> done; cancelled or failed early -> orphaned |
// | orphaned | last byte, range_end, end of the call -> forgotten; what arrives is dropped (S8)   |
// clang-format on
//
// A range whose bytes are being copied answers only when the copy is over, whatever happens meanwhile.

namespace rangeio::fsm {

enum class mrd_state : std::uint8_t {
    fresh,
    opening,
    ready,
    reconnecting,
    draining,
    closing,
    closed,
    failed
};
enum class range_state : std::uint8_t { queued, sent, orphaned, forgotten };

/// One range as it stands in a request: a length of zero never does (S5).
struct wire_range {
    std::int64_t read_id = 0;
    std::int64_t offset = 0;
    std::int64_t length = 0;
    friend bool operator==(const wire_range&, const wire_range&) = default;
};

/// The service allows this many ranges in one message.
inline constexpr std::size_t max_ranges_per_message = 100;

/// What the service says of one range at the end of a call (S10).
struct range_error {
    std::int64_t read_id = 0;
    failure why;  // empty, or ABORTED: it is not this range's fault
};

enum class mrd_action_kind : std::uint8_t {
    start_call,   // open the call; its first message carries the spec and message()
    write,        // send message()
    cancel_call,  // end the call; call_ended() follows
    opened,       // tell the owner: ready
    complete,     // the range of `cookie` is done: `received` bytes are right, or `why`; nothing touches its
                  // memory
    ended,        // tell the owner: over; only ranges that come later are answered after it. `why` is empty
                  // after close()
};

struct mrd_action {
    mrd_action_kind kind;
    std::uintptr_t cookie = 0;
    std::uint64_t received = 0;
    failure why{};
};
using mrd_actions = std::vector<mrd_action>;

class mrd_fsm {
public:
    /// Another limit is for checkers, which cannot afford a hundred ranges.
    explicit mrd_fsm(std::size_t max_per_message = max_ranges_per_message);

    // Events from the owner.
    void open(mrd_actions& out);
    /// Queues a range of at least one byte and sends it as soon as the wire is free. Returns its read id.
    std::int64_t add_range(
        std::uintptr_t cookie, std::uint64_t offset, std::uint64_t length, mrd_actions& out
    );
    /// No effect on a range that is done.
    void cancel_range(std::int64_t read_id, const failure& why, mrd_actions& out);
    /// Ends the stream. Ranges that are under way fail with the one, `ended` tells the other; empty: closed
    /// as asked.
    void close(const failure& ranges_fail_with, const failure& stream_ends_with, mrd_actions& out);

    // Events from the wire, one at a time.
    void response(mrd_actions& out);
    struct verdict {
        bool accept = false;
        std::uintptr_t cookie = 0;
        std::uint64_t position = 0;  // where in the range the chunk belongs
    };
    /// A chunk has been parsed. Accepted: copy it, then call end_chunk. Else its bytes are to be dropped.
    verdict begin_chunk(
        std::int64_t read_id, std::int64_t offset, std::uint64_t size, bool range_end, mrd_actions& out
    );
    void end_chunk(std::int64_t read_id, const failure& damage, mrd_actions& out);
    void write_done(mrd_actions& out);
    void call_ended(const failure& why, mrd_actions& out);

    /// The ranges of the message that start_call or write has to send; unchanged until write_done().
    const std::vector<wire_range>& message() const noexcept { return message_; }

    mrd_state state() const noexcept { return state_; }
    std::uint64_t outstanding_bytes() const noexcept { return outstanding_bytes_; }
    std::uint64_t orphan_bytes() const noexcept { return orphan_bytes_; }
    std::uint64_t unknown_chunks() const noexcept { return unknown_chunks_; }
    /// So many actions at the most can still come of what is known now (see pool_fsm).
    std::size_t action_bound() const noexcept { return 2 * ranges_.size() + 5; }

    // The state, for checkers.
    struct range {
        std::int64_t read_id = 0;
        std::uintptr_t cookie = 0;
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        std::uint64_t received = 0;
        range_state state = range_state::queued;
        bool copying = false;  // between begin_chunk and end_chunk
        bool ending = false;   // the chunk that is being copied is the last one
        std::uint64_t copy_size = 0;
        failure verdict;  // what to answer with once the copy is over
    };
    const std::vector<range>& ranges() const noexcept { return ranges_; }
    bool writing() const noexcept { return writing_; }

private:
    range* find(std::int64_t read_id);
    void forget(range& r);
    void compact();
    void take_message();
    void send_if_possible(mrd_actions& out);
    void finish(range& r, const failure& why, bool service_is_done, mrd_actions& out);
    void fail_all(const failure& why, mrd_actions& out);
    void end_if_quiet(mrd_actions& out);

    std::size_t max_per_message_;
    mrd_state state_ = mrd_state::fresh;
    std::vector<range> ranges_;  // in the order of their ids; the forgotten leave in bulk
    std::size_t forgotten_ = 0;
    std::vector<wire_range> message_;
    std::int64_t first_queued_ = 1;  // no range with a smaller id is queued
    bool writing_ = false;
    bool call_over_ = false;
    failure end_;  // how the stream ended, or is to end
    std::int64_t last_id_ = 0;
    std::uint64_t outstanding_bytes_ = 0;
    std::uint64_t orphan_bytes_ = 0;
    std::uint64_t unknown_chunks_ = 0;
};

}  // namespace rangeio::fsm
