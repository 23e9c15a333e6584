#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>
#include <rangeio/pool_cache_stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

// The cache of pools as a machine: which stream a pool gets, which are kept, and for how long (rule P13: no idle
// stream goes to two, and no key that is in use is dropped).
//
// clang-format off
// | stream       | user | leaves by                                                                                  |
// |--------------|------|--------------------------------------------------------------------------------------------|
// | opening      | yes  | opened -> up; ended -> gone; given up -> closing                                           |
// | up           | yes  | given up: may be kept -> idle, else -> closing; reconnecting; ended -> gone                |
// | reconnecting | yes  | reconnected -> up; ended -> gone; given up -> closing                                      |
// | idle         | no   | taken -> up; too old, too many, reconnecting, close -> closing; ended -> gone              |
// | closing      | some | ended -> gone; its user, if it has one, is told then                                       |
//
// | key      | has                             | leaves by                                                        |
// |----------|---------------------------------|------------------------------------------------------------------|
// | nameless | one pool, no generation yet     | first stream opened -> in use, joins a key of that generation    |
// | in use   | pools, perhaps idle streams     | the last pool leaves -> unused, or forgotten without idle ones   |
// | unused   | idle streams only               | enter -> in use; too many keys, used longest ago -> its streams  |
// |          |                                 | close; the last idle stream is gone -> forgotten                 |
//
// | cache   | enter, open                     | leaves by                                                         |
// |---------|---------------------------------|-------------------------------------------------------------------|
// | open    | idle stream that fits, else new | close -> closing: idle streams close at once                      |
// | closing | refused                         | the last stream ended -> closed                                   |
// | closed  | refused                         | (the end)                                                         |
// clang-format on

namespace rangeio::fsm {

using cached_id = std::uint64_t;  // a stream on the wire
using pool_id = std::uint64_t;    // a pool of the cache; 0 is none
using caller_id = std::uint64_t;  // a user of a stream, or somebody who waits for close(); 0 is nobody

enum class cached_state : std::uint8_t { opening, up, reconnecting, idle, closing };
enum class cache_state : std::uint8_t { open, closing, closed };

enum class cache_action_kind : std::uint8_t {
    open_stream,   // make `stream` for `caller`, and begin to open it
    attach,        // `caller` gets `stream`, which is open
    opened,        // tell `caller`: its stream has opened
    reconnecting,  // tell `caller`
    reconnected,   // tell `caller`
    detach,        // tell `caller`: ended, with `why`; it has no stream any more
    close_stream,  // end `stream`, with `why`
    forget,        // `stream` is no more
    complete,      // `caller` waited for close(): done, with `why`
    closed,        // nothing is left
};

struct cache_action {
    cache_action_kind kind;
    cached_id stream = 0;
    caller_id caller = 0;
    failure why{};
};
using cache_actions = std::vector<cache_action>;

class pool_cache_fsm {
public:
    using time_point = std::chrono::steady_clock::time_point;

    struct options {
        std::size_t max_idle_keys = 16;
        std::size_t max_idle_streams_per_key = 4;
        std::chrono::nanoseconds idle_timeout{0};        // 0: none
        std::chrono::nanoseconds generation_max_age{0};  // 0: no generation is taken for the live one
    };

    explicit pool_cache_fsm(options o) : options_(o) {}

    // Events from pools. Ids of callers are theirs, each used once at a time.
    /// A pool on `object` is made. 0: not any more, the cache is closed.
    pool_id enter(const object_ref& object);
    /// The pool is gone, and so are the users that opened for it.
    void leave(pool_id pool, cache_actions& out);
    /// `user` wants a stream for `pool`.
    void open(caller_id user, pool_id pool, time_point now, cache_actions& out);
    /// `user` is done with its stream, which may be kept if it is `reusable`. No effect if it has none.
    void give_up(caller_id user, bool reusable, const failure& why, time_point now, cache_actions& out);

    /// The generation that was live so recently that it may be taken for the live one; 0: the service has to say.
    std::int64_t known_generation(const object_ref& object, time_point now) const noexcept;
    /// The generation that `object` names is gone.
    void forget_generation(const object_ref& object) noexcept;

    // Events from streams.
    struct sight {
        std::int64_t generation = 0;
        std::uint64_t size = 0;
        bool finalized = false;
    };
    /// `seen` is the object as the first response told of it.
    void opened(cached_id id, const sight& seen, cache_actions& out);
    void reconnecting(cached_id id, cache_actions& out);
    void reconnected(cached_id id, cache_actions& out);
    /// It is to be ended, though nobody has given it up.
    void fail(cached_id id, const failure& why, cache_actions& out);
    void ended(cached_id id, const failure& why, cache_actions& out);

    // Events from the owner. `who` may be nobody.
    void close(caller_id who, cache_actions& out);
    /// Forgets somebody who waits for close(). False: answered already.
    bool cancel(caller_id who);
    void tick(time_point now, cache_actions& out);

    /// When a tick is due; none while nothing can expire.
    std::optional<time_point> next_expiry() const noexcept;
    pool_cache_stats stats() const noexcept;
    cache_state state() const noexcept { return state_; }
    const options& config() const noexcept { return options_; }
    /// So many actions at the most can still come of what is known now (see pool_fsm), and one to spare. Events that
    /// may ask for memory: enter, open, close, reconnecting and reconnected.
    std::size_t action_bound() const noexcept { return 4 * streams_.size() + closers_.size() + 2; }

    // The state, for checkers.
    struct key {
        std::uint64_t id = 0;
        object_ref object;  // its generation is 0 until it is learned
        std::size_t pools = 0;
        std::uint64_t last_used = 0;  // when the last pool left: a count, not a time
    };
    struct pool {
        pool_id id = 0;
        std::uint64_t key = 0;
        bool opened = false;     // its first stream has told of the object
        std::uint64_t size = 0;  // as that one told it
    };
    struct stream {
        cached_id id = 0;
        cached_state state = cached_state::opening;
        caller_id user = 0;
        pool_id pool = 0;       // of the user
        std::uint64_t key = 0;  // 0: it cannot be kept
        sight seen;
        time_point asked;  // when it was to be opened
        time_point idle_since;
        std::uint64_t turn = 0;  // of those that are idle, the largest was given last
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
    void start_close(stream& s, const failure& why, cache_actions& out);
    void forget_key_if_over(std::uint64_t id);
    void finish_close_if_over(cache_actions& out);

    options options_;
    cache_state state_ = cache_state::open;
    std::vector<key> keys_;
    std::vector<pool> pools_;
    std::vector<stream> streams_;
    std::vector<caller_id> closers_;
    struct live {
        object_ref object;  // its generation is 0 until the service has told it
        time_point asked;
    };
    std::vector<live> live_;     // by name, if generations may be taken for the live ones
    std::uint64_t last_id_ = 0;  // of keys, pools and streams
    std::uint64_t turns_ = 0;
    std::uint64_t hits_ = 0, misses_ = 0;
    std::uint64_t donated_ = 0, expired_ = 0, evicted_ = 0, died_ = 0, closed_ = 0;
    failure first_close_error_;
};

}  // namespace rangeio::fsm
