#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/pool_cache_stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

// The cache of pools as a machine: which stream a pool gets, which streams are kept, and for how long (rule P13: no
// idle stream has two users, and no key in use is dropped).
//
// clang-format off
// | stream       | user | leaves by                                                                                  |
// |--------------|------|--------------------------------------------------------------------------------------------|
// | opening      | yes  | opened -> up; ended -> removed; give_up -> closing                                         |
// | up           | yes  | give_up: may be kept -> idle, else -> closing; reconnecting; ended -> removed              |
// | reconnecting | yes  | reconnected -> up; ended -> removed; give_up -> closing                                    |
// | idle         | no   | taken -> up; too old, too many, reconnecting, close -> closing; ended -> removed           |
// | closing      | some | ended -> removed, and reported to the user, if there is one                                |
//
// | key      | has                             | leaves by                                                        |
// |----------|---------------------------------|------------------------------------------------------------------|
// | nameless | one pool, no generation yet     | first stream opened -> in use, joins a key of that generation    |
// | in use   | pools, perhaps idle streams     | the last pool leaves -> unused, or removed without idle streams  |
// | unused   | idle streams only               | enter -> in use; too many keys, least recently used -> its       |
// |          |                                 | streams close; the last idle stream is removed -> removed        |
//
// | cache   | enter, open                     | leaves by                                                         |
// |---------|---------------------------------|-------------------------------------------------------------------|
// | open    | idle stream that fits, else new | close -> closing: idle streams close at once                      |
// | closing | rejected                        | the last stream ended -> closed                                   |
// | closed  | rejected                        | (the end)                                                         |
// clang-format on

namespace rangeio::fsm {

using cached_id = std::uint64_t;  // a stream on the wire
using pool_id = std::uint64_t;    // a pool of the cache; 0 is none
using caller_id = std::uint64_t;  // a user of a stream, or a caller that waits for close(); 0 is none

enum class cached_state : std::uint8_t { opening, up, reconnecting, idle, closing };
enum class cache_state : std::uint8_t { open, closing, closed };

enum class cache_action_kind : std::uint8_t {
    open_stream,   // make `stream` for `caller`, and begin to open it
    attach,        // give `caller` `stream`, which is open
    opened,        // report to `caller`: its stream has opened
    reconnecting,  // report to `caller`
    reconnected,   // report to `caller`
    detach,        // report to `caller`: ended, with `why`; it has no stream any more
    close_stream,  // end `stream`, with `why`
    forget,        // drop `stream`, which has ended
    complete,      // complete the close() of `caller`, with `why`
    closed,        // no stream is left
};

struct cache_action {
    cache_action_kind kind;
    cached_id stream = 0;
    caller_id caller = 0;
    error_value why{};
};
using cache_actions = std::vector<cache_action>;

class pool_cache_fsm {
public:
    using time_point = std::chrono::steady_clock::time_point;

    struct options {
        std::size_t max_idle_keys = 16;
        std::size_t max_idle_streams_per_key = 4;
        std::chrono::nanoseconds idle_timeout{0};        // 0: none
        std::chrono::nanoseconds generation_max_age{0};  // 0: no known generation is used as the live one
    };

    explicit pool_cache_fsm(options o) : options_(o) {}

    // Events from pools. The callers choose their ids; each is used once at a time.
    /// A pool on `object` is made. 0: rejected, the cache is closed.
    pool_id enter(const object_ref& object);
    /// The pool is destroyed, and so are the users that opened for it.
    void leave(pool_id pool, cache_actions& out);
    /// `user` requests a stream for `pool`.
    void open(caller_id user, pool_id pool, time_point now, cache_actions& out);
    /// `user` releases its stream, which may be kept if it is `reusable`. No effect without a stream.
    void give_up(caller_id user, bool reusable, const error_value& why, time_point now, cache_actions& out);

    /// The generation that was live at most `generation_max_age` ago, to be used as the live one; 0: ask the service.
    std::int64_t known_generation(const object_ref& object, time_point now) const noexcept;
    /// The generation that `object` names does not exist any more.
    void forget_generation(const object_ref& object) noexcept;

    // Events from streams.
    struct sight {
        std::int64_t generation = 0;
        std::uint64_t size = 0;
        bool finalized = false;
    };
    /// `seen` is the object as the first response reported it.
    void opened(cached_id id, const sight& seen, cache_actions& out);
    void reconnecting(cached_id id, cache_actions& out);
    void reconnected(cached_id id, cache_actions& out);
    /// The stream has to end, although its user, if any, has not released it.
    void fail(cached_id id, const error_value& why, cache_actions& out);
    void ended(cached_id id, const error_value& why, cache_actions& out);

    // Events from the owner. `who` may be 0.
    void close(caller_id who, cache_actions& out);
    /// Removes a caller that waits for close(). False: it has been answered already.
    bool cancel(caller_id who);
    void tick(time_point now, cache_actions& out);

    /// When a tick is due; none while nothing can expire.
    std::optional<time_point> next_expiry() const noexcept;
    pool_cache_stats stats() const noexcept;
    cache_state state() const noexcept { return state_; }
    const options& config() const noexcept { return options_; }
    /// The number of actions that can still follow from the current state (see pool_fsm), plus one. Events that may
    /// allocate: enter, open, close, reconnecting and reconnected.
    std::size_t action_bound() const noexcept { return 4 * streams_.size() + closers_.size() + 2; }

    // The state, for checkers.
    struct key {
        std::uint64_t id = 0;
        object_ref object;  // its generation is 0 until it is reported
        std::size_t pools = 0;
        std::uint64_t last_used = 0;  // when the last pool left: a count, not a time
    };
    struct pool {
        pool_id id = 0;
        std::uint64_t key = 0;
        bool opened = false;     // its first stream has reported the object
        std::uint64_t size = 0;  // as reported by that stream
    };
    struct stream {
        cached_id id = 0;
        cached_state state = cached_state::opening;
        caller_id user = 0;
        pool_id pool = 0;       // of the user
        std::uint64_t key = 0;  // 0: it cannot be kept
        sight seen;
        time_point asked;  // the start of its opening
        time_point idle_since;
        std::uint64_t turn = 0;  // the largest of the idle streams was released last
    };
    const std::vector<key>& keys() const noexcept { return keys_; }
    const std::vector<pool>& pools() const noexcept { return pools_; }
    const std::vector<stream>& streams() const noexcept { return streams_; }
    const std::vector<caller_id>& closers() const noexcept { return closers_; }

private:
    key* find_key(std::uint64_t id);
    key* find_key(const object_ref& object);
    pool* find_pool(pool_id id);
    stream* find(cached_id id);
    std::size_t idle_streams(std::uint64_t id) const;
    stream* newest_that_fits(const pool& p);
    std::uint64_t update_key(pool& p, std::int64_t generation);
    void remember_question(const object_ref& object, time_point now);
    void remember_answer(const object_ref& object, const stream& s) noexcept;
    void keep(stream& s, time_point now, cache_actions& out);
    void expire(time_point now, cache_actions& out);
    void evict_keys(cache_actions& out);
    void start_close(stream& s, const error_value& why, cache_actions& out);
    void forget_key_if_over(std::uint64_t id);
    void finish_close_if_over(cache_actions& out);

    options options_;
    cache_state state_ = cache_state::open;
    std::vector<key> keys_;
    std::vector<pool> pools_;
    std::vector<stream> streams_;
    std::vector<caller_id> closers_;
    struct live {
        object_ref object;  // its generation is 0 until the service has reported it
        time_point asked;
    };
    std::vector<live> live_;     // one for each name, if generation_max_age is not 0
    std::uint64_t last_id_ = 0;  // of keys, pools and streams
    std::uint64_t turns_ = 0;
    std::uint64_t hits_ = 0, misses_ = 0;
    std::uint64_t donated_ = 0, expired_ = 0, evicted_ = 0, died_ = 0, closed_ = 0;
    error_value first_close_error_;
};

}  // namespace rangeio::fsm
