#pragma once

#include <rangeio/sim/state_search.hpp>

#include "fsm/pool_cache_fsm.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::states {

/// The one of this number, if there is one.
template <class Things, class Id>
auto* find(Things& things, Id id) {
    const auto it = std::ranges::find_if(things, [id](const auto& x) { return x.id == id; });
    return it == things.end() ? nullptr : &*it;
}

/// `pool_cache_fsm` and everything that may happen to it, for sim::search_states().
///
/// Pools open and close on one or two objects, with a generation named or none. Each opens streams, returns them at any
/// moment, idle or not, and leaves when its last user has got the end. Streams open, fail, reconnect, fail while
/// they are idle or pass from one pool to the next, and end in order or not. Time passes; the object grows, is
/// finalized and is replaced; the cache is closed. The shell performs the actions in order, at once or, with
/// `late`, at any later moment.
class pool_cache_model {
public:
    fsm::pool_cache_fsm::options options;
    int names = 1;
    int named_pools = 2;     // on generation 1
    int nameless_pools = 0;  // on the live one
    int opens = 3;
    int ticks = 0;
    int closes = 1;
    bool grows = false;     // the object is unfinalized first
    bool replaced = false;  // generation 2 comes at some time
    bool faults = true;     // streams reconnect and die once they are up
    bool late = false;

    enum class status : std::uint8_t { asked, opening, up, reconnecting, closing, ended };
    struct stream {
        fsm::cached_id id = 0;
        fsm::pool_id pool = 0;  // that opened it
        int name = 0;
        status at = status::asked;
        // According to the machine's actions, performed or not.
        fsm::caller_id user = 0;
        bool idle = false;
        int idle_since = 0;
        std::uint64_t given = 0;  // a count: the largest was returned last
        bool close_asked = false;
        bool forgotten = false;
        std::int64_t generation = 0;  // 0: not opened
        int size = 0;
        bool finalized = false;
    };
    struct user {
        fsm::caller_id id = 0;
        fsm::pool_id pool = 0;
        bool opened = false;
        bool given_up = false;
        bool ended = false;  // the end has been reported, or is about to be
        bool gone = false;   // the end has been reported
    };
    struct pool {
        fsm::pool_id id = 0;
        int name = 0;
        std::int64_t generation = 0;  // named or learned
        bool opened = false;
        int size = 0;
    };
    struct unused {
        int name = 0;
        std::int64_t generation = 0;
    };
    struct state {
        fsm::pool_cache_fsm machine{fsm::pool_cache_fsm::options()};
        std::vector<fsm::cache_action> queue;  // not performed yet
        std::vector<stream> streams;
        std::vector<user> users;
        std::vector<pool> pools;
        std::vector<unused> left;  // keys without pools, in the order in which their last one left
        std::vector<fsm::caller_id> closers;
        int named_pools = 0;
        int nameless_pools = 0;
        int opens = 0;
        int ticks = 0;
        int closes = 0;
        int now = 0;
        int size = 1;
        bool finalized = true;
        std::int64_t live = 1;
        bool close_failed = false;
        std::uint64_t last_id = 0;
        std::uint64_t gifts = 0;
        std::uint32_t broken = 0;  // the rules that the last step broke
    };

    enum class kind : std::uint8_t {
        enter_named,
        enter_nameless,
        leave,
        open,
        give_up,
        give_up_busy,
        close,
        cancel,
        perform,
        opened,
        ended,
        failed,
        reconnecting,
        reconnected,
        pass,
        tick,
        grow,
        finalize,
        replace,
    };
    struct event {
        kind what = kind::perform;
        std::uint64_t who = 0;  // a pool, a user, a stream, or a name
    };

    state initial() const;
    void events(const state& s, std::vector<event>& out) const;
    void apply(state& s, const event& e) const;
    std::string name(const event& e) const;
    std::string key(const state& s) const;
    std::vector<sim::state_rule<state>> rules() const;
    std::vector<sim::state_goal<state>> goals() const;
    bool fair(const event& e) const;

    static fsm::pool_cache_fsm::time_point time(int now) {
        return fsm::pool_cache_fsm::time_point(std::chrono::seconds(now));
    }

private:
    void feed(state& s, const event& e, fsm::cache_actions& out) const;
    void account(state& s, const fsm::cache_actions& out) const;
    void perform(state& s, const fsm::cache_action& a) const;
};

}  // namespace rangeio::states
