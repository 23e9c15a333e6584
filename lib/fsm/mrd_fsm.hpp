#pragma once

#include <rangeio/error.hpp>
#include <rangeio/observer.hpp>
#include <rangeio/retry_policy.hpp>

#include "fsm/call_sight.hpp"
#include "fsm/range_table.hpp"
#include "fsm/reconnect_policy.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

// One multi-range downloader as a machine: the order of requests, the judgment of responses, and the successor of a
// call that ended (rules S1-S10).
//
// clang-format off
// | stream    | call          | add_range     | leaves by                                                              |
// |-----------|---------------|---------------|------------------------------------------------------------------------|
// | fresh     | none          | queues        | open -> opening; close -> closing                                      |
// | opening   | due or there  | queues, sends | first response -> ready; its end -> opening, waiting, failed; closing  |
// | ready     | there         | queues, sends | its end -> reopening, waiting, dormant, failed; close -> closing       |
// | waiting   | none          | queues        | timer -> opening, reopening; no range left -> dormant; close -> closed |
// | reopening | due or there  | queues, sends | first response -> ready; its end as ready; closing. No range left:     |
// |           |               |               | abandoned, if the owner has been told of reconnecting and so waits     |
// | dormant   | none          | wakes it      | a range -> reopening, waiting; close -> closed                         |
// | closing   | due or there  | rejected      | its end -> closed, or failed if it was closed with a reason            |
// |           | none          | rejected      | open -> the same: it was closed before it was opened                   |
// | closed    | none          | rejected      | (the end)                                                              |
// | failed    | none          | rejected      | (the end)                                                              |
// clang-format on
//
// There is never more than one call (S7). range_table has the states of a range; reconnect_policy decides what follows
// the end of a call. A dormant stream is as good as an open one: the next range opens a call and is sent in its first
// message, at the same cost as on an open stream. So an idle timeout of the service costs nothing.
//
// A service may refuse a range without a readable name: with OUT_OF_RANGE alone, or with details that are malformed or
// did not fit. Then the number of ranges in flight is halved on each resumption, until a range that is alone in flight
// is refused; meanwhile the others wait in the queue. Each range that completes allows one more in flight.
//
// A range whose bytes are being copied completes only after the copy, whatever happens meanwhile.
//
// A tail is requested from the end of the object until a byte of it has arrived, and from the position of that byte
// afterwards: the object may have grown when the tail is requested again.

namespace rangeio::fsm {

enum class mrd_state : std::uint8_t {
    fresh,
    opening,
    ready,
    waiting,
    reopening,
    dormant,
    closing,
    closed,
    failed
};

/// The service allows this many ranges in one message.
inline constexpr std::size_t max_ranges_per_message = 100;

/// The service's report on one range at the end of a call (S10).
struct range_error {
    std::int64_t read_id = 0;
    error_value why;  // empty, or ABORTED: this range is not at fault
};

/// The interval of stall checks is stall_timeout / checks_per_stall: a stall is seen after the timeout, at most one
/// interval later.
inline constexpr unsigned checks_per_stall = 4;

/// The classification of a call's silence by its connection.
enum class silence : std::uint8_t {
    borne,    // the call continues to wait
    stalled,  // the connection is dead, or the call has used up its time
    slow,     // the same, but the connection may be alive and slow
    crowded,  // the call waits for its turn on a connection that serves other calls
};

using timer_id = std::uint64_t;  // 0 is none

enum class mrd_action_kind : std::uint8_t {
    /// If begin_call(), open a call; its first message has the spec and message(). `attempt`: attempts used up.
    start_call,
    /// If begin_write(), send message().
    write,
    /// End the call; call_ended() follows. `fate`: the reason; `received`: the bytes that are still due on it.
    cancel_call,
    /// Call wait_over(timer) after `at_least` plus a time drawn uniformly from zero to `delay`. `attempt`: as above.
    wait,
    /// Call check_stall(timer) after `delay`.
    set_stall_timer,
    /// Have the connection classify `checks` stall checks without a byte, after `excused` silent calls in a row; call
    /// silence_classified(timer) with the result.
    classify_silence,
    cancel_wait,         // drop the timer of `wait`
    cancel_stall_timer,  // drop the timer of `set_stall_timer`
    opened,              // report to the owner: ready
    reconnecting,        // report to the owner; reconnected or ended follows
    reconnected,         // report to the owner
    /// Report to observers: a call ended by `fate` with `why`, `attempt` attempts are used up; not for a closed stream.
    call_over,
    /// The range `number` of `sink` is done: `received` bytes from `offset` on are right, and `why` is the failure, if
    /// any. Nothing touches its memory any more. `refused`: `why` is the service's error for this range.
    complete,
    /// Report to the owner: the end; only ranges that are added later are answered after it. `why` is empty after
    /// close().
    ended,
};

struct mrd_action {
    mrd_action_kind kind;
    timer_id timer = 0;
    error_value why{};
    std::chrono::nanoseconds delay{0};
    std::chrono::nanoseconds at_least{0};
    std::int64_t number = 0;
    std::shared_ptr<range_sink> sink{};
    std::uint64_t received = 0;
    std::uint64_t offset = 0;
    call_fate fate = call_fate::broken;
    unsigned attempt = 0;
    bool refused = false;
    unsigned checks = 0;
    unsigned excused = 0;
    bool first = false;   // start_call: the first one
    bool waited = false;  // start_call: after a wait

    /// The event that observers get for this action, if any.
    std::optional<event_kind> event() const noexcept;
};
using mrd_actions = std::vector<mrd_action>;

class mrd_fsm {
public:
    struct options {
        retry_policy retry;
        std::size_t max_per_message = max_ranges_per_message;
    };

    explicit mrd_fsm(const options& o);

    // Events from the owner.
    /// `further`: a stream of the same pool has been open, so this opening has the retry limits of a reopening.
    void open(mrd_actions& out, bool further = false);
    /// Queues a range of at least one byte and sends it as soon as the wire is free. Returns its number, even if the
    /// range is rejected at once. `tail`: the range is the last `length` bytes of the object.
    std::int64_t add_range(
        std::shared_ptr<range_sink> sink,
        std::uint64_t offset,
        std::uint64_t length,
        time_point now,
        mrd_actions& out,
        bool tail = false
    );
    /// No effect on a range that is done.
    void cancel_range(std::int64_t number, const error_value& why, mrd_actions& out);
    /// A stream that has been open continues with another call, without the read handle.
    void reopen(mrd_actions& out);
    /// From now on, ranges require calls that can serve the first `size` bytes of the object: P14.
    void require(std::uint64_t size, mrd_actions& out);
    /// Ends the stream. Pending ranges fail with `ranges_fail_with`; `ended` reports `stream_ends_with`, which is empty
    /// for an orderly close.
    void close(const error_value& ranges_fail_with, const error_value& stream_ends_with, mrd_actions& out);

    // Events from the shell, as it performs actions. True: perform the action with message(). False: the action is
    // obsolete.
    bool begin_call(mrd_actions& out);
    bool begin_write();
    /// There was no memory to send that message, or for the stall timer: the stream continues with another call.
    void out_of_memory(mrd_actions& out);
    void stall_timer_failed(timer_id timer, mrd_actions& out);
    // Timers, which may expire late: a timer that was cancelled or has a successor has no effect.
    void wait_over(timer_id timer, mrd_actions& out);
    void check_stall(timer_id timer, mrd_actions& out);
    void silence_classified(timer_id timer, silence how, mrd_actions& out);

    // Events from the wire, one at a time.
    /// `size`: of the object, if the response reports it; the largest number if the object will not grow.
    void response(std::optional<std::uint64_t> size, mrd_actions& out);
    void response(mrd_actions& out) { response(std::nullopt, out); }
    struct verdict {
        bool accept = false;
        range_sink* sink = nullptr;  // valid until end_chunk()
        std::uint64_t position = 0;  // where in the range the chunk belongs
        // For observers.
        error_value why;                       // not accepted: why the chunk is rejected; empty: orphan bytes
        std::uint64_t offset = 0, length = 0;  // of the range
    };
    /// A chunk has been parsed. If accepted, copy it, then call end_chunk(); else drop its bytes.
    verdict begin_chunk(
        std::int64_t read_id, std::int64_t offset, std::uint64_t size, bool range_end, mrd_actions& out
    );
    void end_chunk(std::int64_t read_id, const error_value& damage, mrd_actions& out);
    void write_done(mrd_actions& out);
    struct call_end {
        error_value why;                      // empty: status OK
        bool redirected = false;              // the next call follows a redirect that the shell has
        std::span<const range_error> errors;  // ranges that the service names
        bool unconnected = false;             // there was no connection
        bool unreadable = false;              // the details may have named other ranges
    };
    /// The last event of its call, and never during a copy.
    void call_ended(const call_end& end_of_call, time_point now, mrd_actions& out);

    /// Whether the current call was made without the read handle.
    bool call_is_new() const noexcept { return sight_.anew(); }
    /// The ranges of the message to be sent; unchanged until begin_call() or begin_write().
    const std::vector<wire_range>& message() const noexcept { return message_; }

    mrd_state state() const noexcept { return state_; }
    /// The call has had no response yet, and the stream has not been closed.
    bool awaits_response() const noexcept {
        return state_ == mrd_state::opening || state_ == mrd_state::reopening;
    }
    /// Whether the stream has been ready.
    bool has_opened() const noexcept { return opened_; }
    /// How the last call failed; empty if none has.
    const error_value& last_error() const noexcept { return last_; }
    std::uint64_t outstanding_bytes() const noexcept { return outstanding_bytes_; }
    /// Usable, with no range queued, in flight or orphaned: nothing is due any more.
    bool idle() const noexcept {
        return (state_ == mrd_state::ready || state_ == mrd_state::dormant) && ranges_.settled();
    }

    /// Counts since the stream was made.
    struct counts {
        std::uint64_t resumed = 0;     // calls begun after the one that opened the stream
        std::uint64_t redirected = 0;  // calls that ended with a redirect
        std::uint64_t stalled = 0;     // calls abandoned by the stall check, slow ones too
        std::uint64_t retired = 0;     // calls abandoned for their orphans
        std::uint64_t checksum_failures = 0;
        std::uint64_t orphan_bytes = 0;    // received and dropped
        std::uint64_t unknown_chunks = 0;  // with an id that was not expected
    };
    const counts& counted() const noexcept { return counted_; }

    /// Room for so many actions, besides those that wait to be performed, suffices for all events before the next
    /// add_range(): each range is answered once, and no other action is repeated before the first one has been
    /// performed.
    std::size_t action_bound() const noexcept { return ranges_.all().size() + 14; }

    // The state, for checkers.
    const std::vector<stream_range>& ranges() const noexcept { return ranges_.all(); }
    std::uint64_t orphans_due() const noexcept { return ranges_.orphans_due(); }
    std::size_t orphan_ranges_due() const noexcept { return ranges_.orphan_ranges_due(); }
    std::size_t most_under_way() const noexcept { return most_under_way_; }
    bool moved() const noexcept { return moved_; }
    const reconnect_policy& reconnect() const noexcept { return reconnect_; }
    const call_sight& sight() const noexcept { return sight_; }
    enum class call_state : std::uint8_t { none, due, there, given_up };
    call_state call() const noexcept { return call_; }
    call_fate fate() const noexcept { return fate_; }
    enum class wire_state : std::uint8_t { free, due, writing };
    wire_state wire() const noexcept { return wire_; }
    timer_id wait_timer() const noexcept { return wait_timer_; }
    timer_id stall_timer() const noexcept { return stall_timer_; }
    unsigned stall_checks() const noexcept { return stall_checks_; }
    bool told_reconnecting() const noexcept { return told_; }

private:
    void want_call(mrd_actions& out);
    void follow(const reconnect_policy::verdict& next, mrd_actions& out);
    void sleep(mrd_actions& out);
    void all_done(mrd_actions& out);
    void fail(const error_value& why, mrd_actions& out);
    void give_up(call_fate fate, mrd_actions& out);
    void give_up_behind(bool outdated, mrd_actions& out);
    bool ends_behind(const stream_range& r) const noexcept;
    bool vouches() const noexcept { return !awaits_response() && !sight_.outdated(); }
    void send_if_possible(mrd_actions& out);
    bool stall_checked() const noexcept;
    void start_stall_checks(mrd_actions& out);
    void stop_stall_checks(mrd_actions& out);
    void check_stall_later(mrd_actions& out);
    static error_value unfit(const stream_range& r, std::int64_t offset, std::uint64_t size) noexcept;
    void reject_chunk(
        stream_range& r, const error_value& why, std::uint64_t size, bool range_end, mrd_actions& out
    );
    void finish(
        stream_range& r, const error_value& why, bool service_is_done, mrd_actions& out, bool refused = false
    );
    void fail_all(const error_value& why, mrd_actions& out);
    call_fate fail_named(const call_end& end_of_call, mrd_actions& out);
    call_fate seek_refused(const call_end& end_of_call, mrd_actions& out);
    std::size_t room() const noexcept;
    void retire_if_due(mrd_actions& out);
    void end(mrd_actions& out);

    options options_;
    mrd_state state_ = mrd_state::fresh;
    range_table ranges_;
    reconnect_policy reconnect_;
    call_sight sight_;
    static constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

    std::vector<wire_range> message_;
    std::size_t most_under_way_ = no_limit;  // less during the search for a range refused without a name
    call_state call_ = call_state::none;
    call_fate fate_ = call_fate::broken;  // why the call was abandoned, if it was
    wire_state wire_ = wire_state::free;  // of the current call
    bool opened_ = false;
    bool told_ = false;  // `reconnecting` has been reported to the owner
    timer_id last_timer_ = 0;
    timer_id wait_timer_ = 0;    // the pending timer, 0: none
    timer_id stall_timer_ = 0;   // the same
    bool moved_ = false;         // bytes have arrived since the last stall check
    unsigned stall_checks_ = 0;  // without bytes, in a row
    error_value last_;           // how the last call failed
    error_value end_;            // how the stream ended, or is to end
    std::uint64_t outstanding_bytes_ = 0;
    counts counted_;
};

}  // namespace rangeio::fsm
