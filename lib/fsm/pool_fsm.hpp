#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/pool_stats.hpp>

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

// The pool as a machine: leases, waiters, growth and close of the streams on one object (rules P1-P11), and what is known of
// the object's size (P14). It is the one owner of the pool's streams, and calls none of them: they belong to a transport.
//
// clang-format off
// | stream       | counted as     | takes leases | leaves by                                               |
// |--------------|----------------|--------------|---------------------------------------------------------|
// | opening      | opening        | no           | opened -> ready; ended -> gone; close -> closing        |
// | ready        | ready          | yes          | reconnecting; ended -> gone; closing                    |
// | reconnecting | reconnecting   | no           | reconnected -> ready; ended -> gone; closing            |
// | closing      | closed         | no           | ended -> gone                                           |
// | gone         | closed, failed | no           | kept only while leases on it are out                    |
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
using waiter_id = std::uint64_t;  // 0 is nobody

enum class stream_state : std::uint8_t { opening, ready, reconnecting, closing, gone };
enum class pool_state : std::uint8_t { fresh, open, closing, closed };

/// Which busy stream a caller shares when the pool cannot grow and none is idle (rule P4).
enum class share_policy : std::uint8_t { round_robin, least_outstanding };

enum class pool_action_kind : std::uint8_t {
    open_stream,   // begin to open `stream`
    close_stream,  // end `stream`: cancel its open, or its call
    grant,         // `waiter` gets a lease on `stream`; it is already counted
    complete,      // `waiter` (of initialize, acquire or close) is done, with `why`
    drop,          // the pool refers to `stream` no more: its `handle` may be the last
};

struct pool_action {
    pool_action_kind kind;
    stream_id stream = 0;
    waiter_id waiter = 0;
    failure why{};
    std::shared_ptr<multi_range_downloader> handle{};  // of grant and drop
    std::uint64_t size = 0;  // of grant: so much the stream is to know of before; 0: any
    std::optional<std::chrono::steady_clock::time_point> since{
    };  // of grant: when the waiter came, if it had to wait
};
using pool_actions = std::vector<pool_action>;

class pool_fsm {
public:
    struct options {
        std::size_t pool_size = 1;
        bool multi_request = true;
        share_policy sharing = share_policy::round_robin;
    };

    explicit pool_fsm(options o) : options_(o) {}

    // Events. Waiter ids are the caller's, each used once.
    void initialize(waiter_id who, pool_actions& out);
    void acquire(waiter_id who, std::chrono::steady_clock::time_point now, pool_actions& out);
    void close(waiter_id who, pool_actions& out);
    /// Ends leased streams too: the deadline of close() has passed, or nobody is left who could wait for it.
    void close_now(pool_actions& out);
    /// Forgets a waiter. False: it has been answered already, a lease that it was granted comes back by
    /// release().
    bool cancel(waiter_id who, pool_actions& out);
    void release(stream_id id, pool_actions& out);

    /// The stream exists; the machine keeps it until `drop`. Returns how much of the object it is to know of before it opens;
    /// 0: any.
    std::uint64_t made(stream_id id, std::shared_ptr<multi_range_downloader> handle);
    /// `info` counts if nothing was known of the object before.
    void opened(stream_id id, std::shared_ptr<const object_info> info, pool_actions& out);
    void reconnecting(stream_id id, pool_actions& out);
    void reconnected(stream_id id, pool_actions& out);
    /// The stream is no more: its open failed, it died, or it closed as it was told (then `why` is empty).
    void ended(stream_id id, const failure& why, pool_actions& out);

    /// Bytes outstanding on a stream, for share_policy::least_outstanding; refreshed before acquire() and ended(). The
    /// other events never choose between busy streams: before them, nobody waits beside a stream that is ready.
    void set_load(stream_id id, std::uint64_t bytes);

    /// A newer call has reported the object. Returns how much of it all streams are to know of from now on; 0: nothing new.
    std::uint64_t updated(std::shared_ptr<const object_info> info);
    /// A lease was handed to a caller that has waited for `time`.
    void count_wait(std::chrono::nanoseconds time);

    pool_state state() const noexcept { return state_; }
    /// The object as the first stream reported it, or a newer call; null before that.
    const std::shared_ptr<const object_info>& info() const noexcept { return info_; }
    /// Whether the stream is there, or is gone with leases on it still out.
    bool knows(stream_id id) const noexcept;
    /// As made() left it: when the close of a stream is decided it may not have been made yet.
    std::shared_ptr<multi_range_downloader> handle(stream_id id) const noexcept;
    /// The first stream behind `id` in the order of ids; 0: there is none.
    stream_id next(stream_id id) const noexcept;
    pool_stats stats() const noexcept;
    const options& config() const noexcept { return options_; }
    /// So many actions at the most can still come of what is known now; room for them makes every event but
    /// initialize, acquire and close free of allocation.
    std::size_t action_bound() const noexcept;

    // The state, for checkers.
    struct stream {
        stream_id id = 0;
        stream_state state = stream_state::opening;
        std::uint32_t leases = 0;
        waiter_id asker = 0;           // the waiter that a failure of this open belongs to
        std::uint64_t idle_since = 0;  // a count of releases, not a time: the largest was used last
        std::uint64_t load = 0;
        std::shared_ptr<multi_range_downloader> handle{};
    };
    struct waiter {
        waiter_id id = 0;
        std::chrono::steady_clock::time_point since{};
        stream_id open = 0;  // the open that this waiter asked for, 0: none
        failure declined{
        };  // why that has failed: it takes what others leave it, as long as there are others
        bool waited = false;  // it was not served at once
    };
    /// By their ids.
    const std::vector<stream>& streams() const noexcept { return streams_; }
    const std::deque<waiter>& waiters() const noexcept { return waiters_; }
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
    void fail_everybody(const failure& why, pool_actions& out);
    void finish_close_if_over(pool_actions& out);
    bool any_serves() const;
    void tell_declined(pool_actions& out);
    void forget_if_over(stream_id id, pool_actions& out);
    std::uint64_t size_to_know() const;

    options options_;
    pool_state state_ = pool_state::fresh;
    std::vector<stream> streams_;
    std::deque<waiter> waiters_;           // of acquire, first come first
    std::vector<waiter_id> initializers_;  // of initialize
    std::vector<waiter_id> closers_;       // of close
    stream_id last_stream_ = 0;
    stream_id last_shared_ = 0;
    std::uint64_t releases_ = 0;
    std::uint64_t opened_ = 0, closed_ = 0, failed_ = 0;
    std::uint64_t waits_ = 0;
    std::chrono::nanoseconds wait_time_{0};
    failure first_close_error_;
    std::shared_ptr<const object_info> info_;
};

}  // namespace rangeio::fsm
