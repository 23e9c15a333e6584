#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/pool_stats.hpp>

#include "fsm/request_class.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace rangeio {

class multi_range_downloader;

}

// The pool as a machine: leases, waiters, growth and close of the streams on one object (rules P1-P12), and the
// object's size as last reported (P14). It is the only owner of the pool's streams, and calls none of them: they belong
// to a transport.
//
// clang-format off
// | stream       | counted as     | takes leases | leaves by                                               |
// |--------------|----------------|--------------|---------------------------------------------------------|
// | opening      | opening        | its rider's  | opened -> ready; ended -> gone; close -> closing        |
// | ready        | ready          | yes          | reconnecting; ended -> gone; closing                    |
// | reconnecting | reconnecting   | no           | reconnected -> ready; ended -> gone; closing            |
// | closing      | closed         | no           | ended -> gone                                           |
// | gone         | closed, failed | no           | kept only while it has leases                           |
//
// | pool    | acquire, initialize          | leaves by                                                    |
// |---------|------------------------------|--------------------------------------------------------------|
// | fresh   | wait for one first open (P1) | first opened -> open; open failed -> fresh; close -> closing |
// | open    | P2; initialized already      | close -> closing                                             |
// | closing | fail with pool_closed (P9)   | every stream ended -> closed                                 |
// | closed  | fail with pool_closed        | (the end)                                                    |
// clang-format on

namespace rangeio::fsm {

using stream_id = std::uint32_t;
using waiter_id = std::uint64_t;  // 0 is none

enum class stream_state : std::uint8_t { opening, ready, reconnecting, closing, gone };
enum class pool_state : std::uint8_t { fresh, open, closing, closed };

/// Which busy stream a caller shares when the pool cannot grow and none is idle (rule P4).
enum class share_policy : std::uint8_t { round_robin, least_outstanding };

enum class pool_action_kind : std::uint8_t {
    open_stream,   // begin to open `stream`
    close_stream,  // end `stream`: cancel its open, or its call
    grant,         // give `waiter` a lease on `stream`; it is counted already
    complete,      // complete `waiter` (of initialize, acquire or close), with `why`
    drop,          // release `handle`, which may be the last reference to `stream`
};

struct pool_action {
    pool_action_kind kind;
    stream_id stream = 0;
    waiter_id waiter = 0;
    error_value why{};
    std::shared_ptr<multi_range_downloader> handle{};  // of grant and drop
    std::uint64_t size = 0;  // of grant: the size that the stream has to serve first; 0: any
    std::optional<std::chrono::steady_clock::time_point> since{
    };  // of grant: the arrival of the waiter, if it had to wait
};
using pool_actions = std::vector<pool_action>;

class pool_fsm {
public:
    struct options {
        std::size_t pool_size = 1;
        bool multi_request = true;
        share_policy sharing = share_policy::round_robin;
        /// Grants in a row that may pass a waiting class that is served later; the next one is for that class (P8).
        unsigned max_passes = 16;
    };

    explicit pool_fsm(options o) : options_(o) {}

    // Events. The callers choose the waiter ids, each used once.
    /// `rides`: if this call causes the first open, made() grants a lease on the unopened stream (P12).
    void initialize(waiter_id who, bool rides, pool_actions& out);
    /// `shares`: takes a busy stream rather than wait for a new one, which is opened all the same.
    void acquire(
        waiter_id who,
        std::chrono::steady_clock::time_point now,
        request_class what,
        pool_actions& out,
        bool shares = false
    );
    /// A caller has come to wait for what the waiter is for: it moves behind the other demands. No effect on one that
    /// has been answered.
    void promote(waiter_id who) noexcept;
    void close(waiter_id who, pool_actions& out);
    /// Ends leased streams, too: the deadline of close() has expired, or no caller is left that could wait for it.
    void close_now(pool_actions& out);
    /// Removes a waiter. False: it has been answered already; a lease that it was granted returns by release().
    bool cancel(waiter_id who, pool_actions& out);
    void release(stream_id id, pool_actions& out);

    /// What has to happen to a new stream before it opens.
    struct before_open {
        std::uint64_t size = 0;  // the size of the object that the stream has to require; 0: any
        waiter_id rider = 0;     // the waiter that gets a lease, which is counted already; 0: none
    };
    /// The stream exists; the machine keeps it until `drop`.
    before_open made(stream_id id, std::shared_ptr<multi_range_downloader> handle);
    /// `info` is used if no stream has reported the object before.
    void opened(stream_id id, std::shared_ptr<const object_info> info, pool_actions& out);
    void reconnecting(stream_id id, pool_actions& out);
    void reconnected(stream_id id, pool_actions& out);
    /// The stream has ended: its open failed, it failed, or it closed on request (then `why` is empty).
    void ended(stream_id id, const error_value& why, pool_actions& out);

    /// Bytes outstanding on a stream, for share_policy::least_outstanding; refreshed before acquire() and ended(). The
    /// other events never choose between busy streams: before them, no caller waits while a stream is ready.
    void set_load(stream_id id, std::uint64_t bytes);

    /// A newer call has reported the object. Returns the size that all streams have to require from now on; 0: nothing
    /// new.
    std::uint64_t updated(std::shared_ptr<const object_info> info);
    /// A lease was handed to a caller that has waited for `time`.
    void count_wait(std::chrono::nanoseconds time);

    pool_state state() const noexcept { return state_; }
    /// The object as reported by the first stream, or by a newer call; null before that.
    const std::shared_ptr<const object_info>& info() const noexcept { return info_; }
    /// Whether the machine has the stream, or it is gone but has leases.
    bool knows(stream_id id) const noexcept;
    /// The handle from made(); null before: the close of a stream may be decided before it is made.
    std::shared_ptr<multi_range_downloader> handle(stream_id id) const noexcept;
    /// The first stream after `id` in the order of ids; 0: none.
    stream_id next(stream_id id) const noexcept;
    pool_stats stats() const noexcept;
    const options& config() const noexcept { return options_; }
    /// The number of actions that can still follow from the current state; with room for them, no event except
    /// initialize, acquire and close allocates.
    std::size_t action_bound() const noexcept;

    // The state, for checkers.
    struct stream {
        stream_id id = 0;
        stream_state state = stream_state::opening;
        std::uint32_t leases = 0;
        waiter_id asker = 0;  // the waiter to which a failure of this open is reported
        waiter_id rider = 0;  // the waiter that caused this first open, and is to have a lease before it
        bool ridden = false;  // it has had one
        std::uint64_t idle_since = 0;  // a count of releases, not a time: the largest was used last
        std::uint64_t load = 0;
        std::shared_ptr<multi_range_downloader> handle{};
    };
    struct waiter {
        waiter_id id = 0;
        std::chrono::steady_clock::time_point since{};
        stream_id open = 0;  // the open that this waiter requested, 0: none
        error_value declined{
        };  // the failure of that open: the waiter may share other streams, as long as there are any
        bool waited = false;  // it was not served at once
        bool shares = false;  // a busy stream, although the pool can grow
        request_class what = request_class::demand;
    };
    /// By their ids.
    const std::vector<stream>& streams() const noexcept { return streams_; }
    /// In the order in which they are served: classes that were passed too often, then by class, then by arrival.
    const std::deque<waiter>& waiters() const noexcept { return waiters_; }
    /// Grants in a row that have passed waiters of the class.
    unsigned passes(request_class what) const noexcept { return passes_[static_cast<std::size_t>(what)]; }
    const std::vector<waiter_id>& initializers() const noexcept { return initializers_; }
    const std::vector<waiter_id>& closers() const noexcept { return closers_; }
    stream_id last_shared() const noexcept { return last_shared_; }

private:
    stream* find(stream_id id);
    waiter* find_waiter(waiter_id id);
    std::size_t live() const;
    void reserve_for_one_more();
    stream* most_recently_idle();
    stream* shared_by_policy();
    stream_id start_open(waiter_id asker, pool_actions& out);
    void start_close(stream& s, pool_actions& out);
    void grant(waiter& w, stream& s, pool_actions& out);
    void pump(pool_actions& out);
    int place_of(request_class what) const noexcept;
    bool move_to_place(request_class what) noexcept;
    bool count_passes(request_class granted) noexcept;
    void fail_everybody(const error_value& why, pool_actions& out);
    void finish_close_if_over(pool_actions& out);
    bool is_opening() const;
    bool any_serves() const;
    void tell_declined(pool_actions& out);
    void forget_if_over(stream_id id, pool_actions& out);
    std::uint64_t size_to_know() const;

    options options_;
    pool_state state_ = pool_state::fresh;
    std::vector<stream> streams_;
    std::deque<waiter> waiters_;                      // of acquire, in the order in which they are served
    std::array<unsigned, request_classes> passes_{};  // grants in a row that have passed each class
    std::vector<waiter_id> initializers_;             // of initialize
    std::vector<waiter_id> closers_;                  // of close
    stream_id last_stream_ = 0;
    stream_id last_shared_ = 0;
    std::uint64_t releases_ = 0;
    std::uint64_t opened_ = 0, closed_ = 0, failed_ = 0;
    std::uint64_t waits_ = 0;
    std::chrono::nanoseconds wait_time_{0};
    error_value first_close_error_;
    std::shared_ptr<const object_info> info_;
};

}  // namespace rangeio::fsm
