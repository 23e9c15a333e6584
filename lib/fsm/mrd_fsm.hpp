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

// One multi-range downloader as a machine: what is sent when, what to make of what arrives, and what follows
// the end of a call (rules S1-S10).
//
// clang-format off
// | stream    | call          | add_range     | leaves by                                                              |
// |-----------|---------------|---------------|------------------------------------------------------------------------|
// | fresh     | none          | queues        | open -> opening; close -> closing                                      |
// | opening   | due or there  | queues, sends | first response -> ready; its end -> opening, waiting, failed; closing  |
// | ready     | there         | queues, sends | its end -> reopening, waiting, dormant, failed; close -> closing       |
// | waiting   | none          | queues        | timer -> opening, reopening; nothing is left -> dormant; close -> closed |
// | reopening | due or there  | queues, sends | first response -> ready; its end as ready; closing. Nothing is left:   |
// |           |               |               | given up, if the owner has been told of reconnecting and so waits      |
// | dormant   | none          | wakes it      | a range -> reopening, waiting; close -> closed                         |
// | closing   | due or there  | refused       | its end -> closed, or failed if it was closed with a reason            |
// |           | none          | refused       | open -> the same: it was closed before it was opened                   |
// | closed    | none          | refused       | (the end)                                                              |
// | failed    | none          | refused       | (the end)                                                              |
// clang-format on
//
// There is never more than one call (S7). range_table has the states of a range, reconnect_policy what follows the end
// of a call. A dormant stream is as good as an open one: its next range opens a call and rides in its first message,
// at no more cost than on a stream that is open. So an idle time-out of the service costs nothing.
//
// A service may refuse a range without a name that can be read: OUT_OF_RANGE alone, or details that are malformed or did
// not fit. Then the ranges are resumed in half the number, again and again, until the one that is alone under way when it
// happens is the one that is refused; meanwhile the others wait in the queue. With each range that goes well one more may
// be under way.
//
// A range whose bytes are being copied answers only when the copy is over, whatever happens meanwhile.
//
// A tail is asked for from the end of the object until a byte of it has come, then from where that lay: the object
// may have grown when it is asked for again.

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

/// What the service says of one range at the end of a call (S10).
struct range_error {
    std::int64_t read_id = 0;
    failure why;  // empty, or ABORTED: it is not this range's fault
};

/// Stall checks are stall_timeout / this apart: a stall is seen after the timeout, and no later than one check more.
inline constexpr unsigned checks_per_stall = 4;

/// What the connection of a call makes of its silence.
enum class silence : std::uint8_t {
    borne,    // it is to wait
    stalled,  // the connection is dead, or the call has had time enough
    slow,     // the same, but the connection may be alive and slow
    crowded,  // the call waits for its turn on a connection that serves others
};

using timer_id = std::uint64_t;  // 0 is none

enum class mrd_action_kind : std::uint8_t {
    start_call,  // ask begin_call(), then open a call; its first message has the spec and message(). `attempt`
    write,       // ask begin_write(), then send message()
    cancel_call,  // end the call; call_ended() follows. `fate` says why, `received` how many bytes it owes
    wait,  // call wait_over(timer) after `at_least` and a time drawn evenly from zero to `delay`. `attempt`
    set_stall_timer,  // call check_stall(timer) after `delay`
    classify_silence,  // ask the connection what it makes of `checks` without a byte, after so many calls that were
                       // excused in a row; call silence_classified(timer) with its answer
    cancel_wait,         // drop that timer
    cancel_stall_timer,  // and that one
    opened,              // report to the owner: ready
    reconnecting,        // report to the owner; reconnected or ended follows
    reconnected,
    call_over,  // tell who watches: a call ended by `fate` with `why`, `attempt` are used up; not if it was closed
    complete,  // the range `number` of `sink` is done: `received` bytes from `offset` on are right, or `why`; nothing
               // touches its memory. `refused`: `why` is what the service says of it
    ended,  // tell the owner: over; only ranges that come later are answered after it. `why` is empty after
            // close()
};

struct mrd_action {
    mrd_action_kind kind;
    timer_id timer = 0;
    failure why{};
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

    /// What an observer hears of it.
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
    /// `further`: a stream of the same pool has been open, so this opening is as patient as one that goes on.
    void open(mrd_actions& out, bool further = false);
    /// Queues a range of at least one byte and sends it as soon as the wire is free. Returns its number, also if it is
    /// refused at once. `tail`: the last `length` bytes are meant.
    std::int64_t add_range(
        std::shared_ptr<range_sink> sink,
        std::uint64_t offset,
        std::uint64_t length,
        time_point now,
        mrd_actions& out,
        bool tail = false
    );
    /// No effect on a range that is done.
    void cancel_range(std::int64_t number, const failure& why, mrd_actions& out);
    /// What has been opened continues with another call, which brings no read handle.
    void reopen(mrd_actions& out);
    /// Ranges are served by calls that know of so many bytes of the object: P14.
    void require(std::uint64_t size, mrd_actions& out);
    /// Ends the stream. Ranges that are under way fail with the one, `ended` tells the other; empty: closed
    /// as asked.
    void close(const failure& ranges_fail_with, const failure& stream_ends_with, mrd_actions& out);

    // Events from the shell, as it performs actions. True: do it, message() is what to send. False: it is not
    // wanted any more.
    bool begin_call(mrd_actions& out);
    bool begin_write();
    /// There was no memory to send that message on, or to set the watch: another call goes on.
    void out_of_memory(mrd_actions& out);
    void stall_timer_failed(timer_id timer, mrd_actions& out);
    // The timers, which may come late: those that were cancelled or have a successor have no effect.
    void wait_over(timer_id timer, mrd_actions& out);
    void check_stall(timer_id timer, mrd_actions& out);
    void silence_classified(timer_id timer, silence how, mrd_actions& out);

    // Events from the wire, one at a time.
    /// `size`: of the object, if the response tells it; the largest number if it will not grow.
    void response(std::optional<std::uint64_t> size, mrd_actions& out);
    void response(mrd_actions& out) { response(std::nullopt, out); }
    struct verdict {
        bool accept = false;
        range_sink* sink = nullptr;  // there until end_chunk()
        std::uint64_t position = 0;  // where in the range the chunk belongs
        // For those who watch.
        failure why;                           // not accepted: it is a rejected chunk; empty: nobody wants it
        std::uint64_t offset = 0, length = 0;  // of the range
    };
    /// A chunk has been parsed. Accepted: copy it, then call end_chunk. Else its bytes are to be dropped.
    verdict begin_chunk(
        std::int64_t read_id, std::int64_t offset, std::uint64_t size, bool range_end, mrd_actions& out
    );
    void end_chunk(std::int64_t read_id, const failure& damage, mrd_actions& out);
    void write_done(mrd_actions& out);
    struct call_end {
        failure why;                          // empty: the service said OK
        bool redirected = false;              // the next call has to go elsewhere, and the shell knows where
        std::span<const range_error> errors;  // those that the service names
        bool unconnected = false;             // there was no connection
        bool unreadable = false;              // it may have named others
    };
    /// Last of its call, and never during a copy.
    void call_ended(const call_end& end_of_call, time_point now, mrd_actions& out);

    /// Whether the call that has begun comes without the read handle.
    bool call_is_new() const noexcept { return sight_.anew(); }
    /// The ranges of the message to be sent; unchanged until begin_call() or begin_write().
    const std::vector<wire_range>& message() const noexcept { return message_; }

    mrd_state state() const noexcept { return state_; }
    /// The call has had no response yet, and nobody has given the stream up.
    bool awaits_response() const noexcept {
        return state_ == mrd_state::opening || state_ == mrd_state::reopening;
    }
    /// Whether the stream has been ready.
    bool has_opened() const noexcept { return opened_; }
    /// How the last call failed; empty if none has.
    const failure& last_failure() const noexcept { return last_; }
    std::uint64_t outstanding_bytes() const noexcept { return outstanding_bytes_; }
    /// Usable, with no range queued, under way or orphaned: nothing is due any more.
    bool idle() const noexcept {
        return (state_ == mrd_state::ready || state_ == mrd_state::dormant) && ranges_.settled();
    }

    /// Counts, since the stream was made.
    struct counts {
        std::uint64_t resumed = 0;     // calls begun after the one that opened the stream
        std::uint64_t redirected = 0;  // calls that ended with a redirect
        std::uint64_t stalled = 0;     // calls given up by the stall check, slow ones too
        std::uint64_t retired = 0;     // calls given up for their orphans
        std::uint64_t checksum_failures = 0;
        std::uint64_t orphan_bytes = 0;    // arrived and dropped
        std::uint64_t unknown_chunks = 0;  // of ranges that were not expected
    };
    const counts& counted() const noexcept { return counted_; }

    /// Room for so many actions, besides those that are waiting to be performed, is enough for whatever may
    /// happen before the next newcomer: each range is answered once, and of any other action no second one
    /// comes before the first has been performed.
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
    void fail(const failure& why, mrd_actions& out);
    void give_up(call_fate fate, mrd_actions& out);
    void give_up_behind(bool outdated, mrd_actions& out);
    bool ends_behind(const stream_range& r) const noexcept;
    bool vouches() const noexcept { return !awaits_response() && !sight_.outdated(); }
    void send_if_possible(mrd_actions& out);
    bool stall_checked() const noexcept;
    void start_stall_checks(mrd_actions& out);
    void stop_stall_checks(mrd_actions& out);
    void check_stall_later(mrd_actions& out);
    static failure unfit(const stream_range& r, std::int64_t offset, std::uint64_t size) noexcept;
    void reject_chunk(
        stream_range& r, const failure& why, std::uint64_t size, bool range_end, mrd_actions& out
    );
    void finish(
        stream_range& r, const failure& why, bool service_is_done, mrd_actions& out, bool refused = false
    );
    void fail_all(const failure& why, mrd_actions& out);
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
    std::size_t most_under_way_ = no_limit;  // less while a range is sought that is refused without a name
    call_state call_ = call_state::none;
    call_fate fate_ = call_fate::broken;  // why the call was given up, if it was
    wire_state wire_ = wire_state::free;  // of the call that is there
    bool opened_ = false;
    bool told_ = false;  // the owner knows of reconnecting
    timer_id last_timer_ = 0;
    timer_id wait_timer_ = 0;    // the timer that is to come, 0: none
    timer_id stall_timer_ = 0;   // the same
    bool moved_ = false;         // bytes have come since the last stall check
    unsigned stall_checks_ = 0;  // without bytes, in a row
    failure last_;               // how the last call failed
    failure end_;                // how the stream ended, or is to end
    std::uint64_t outstanding_bytes_ = 0;
    counts counted_;
};

}  // namespace rangeio::fsm
