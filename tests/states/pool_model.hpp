#pragma once

#include <rangeio/sim/state_search.hpp>

#include "fsm/pool_fsm.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::states {

/// `pool_fsm` and everything that may happen to it, for sim::search_states().
///
/// A limited number of callers arrive, wait, cancel, hold a lease and release it. The shell performs the
/// actions in order, at once or, with `late`, at any later moment: then pending completions meet
/// everything else. Streams open, fail, break, reconnect, and end in order or not, whenever
/// their state allows it.
class pool_model {
public:
    fsm::pool_fsm::options options;
    int acquires = 4;
    int initializes = 2;
    int speculations = 0;  // callers that acquire for what nobody has asked for; one may come to be asked for
    int rides = 0;         // callers that initialize and have ranges for the opening message
    int sharers = 0;       // callers that share a busy stream rather than wait for a new one
    int closes = 2;
    bool close_now = true;
    bool faults = true;  // streams reconnect and die once they are up
    bool late = false;
    int growths = 0;  // so often something is appended, and reported by a newer call

    enum class status : std::uint8_t {
        opening,
        up,
        reconnecting,
        closing_unopened,  // close requested; the report that it opened before may still be on its way
        closing,
        ended,
    };
    struct stream {
        fsm::stream_id id = 0;
        status at = status::opening;
        std::uint8_t holders = 0;
        bool ridden = false;
    };
    struct caller {
        fsm::waiter_id id = 0;
        bool answered = false;   // its answer is on its way
        std::uint64_t rank = 0;  // its arrival, or the moment since which it is a demand
    };
    struct state {
        fsm::pool_fsm machine{fsm::pool_fsm::options()};
        std::vector<fsm::pool_action> queue;  // not performed yet
        std::vector<stream> streams;          // as the network and the callers know them
        std::vector<caller> callers;          // the waiters
        int acquires = 0;
        int initializes = 0;
        int speculations = 0;
        int rides = 0;
        int sharers = 0;
        int closes = 0;
        int growths = 0;
        bool close_now = false;
        bool close_failed = false;  // some stream has not ended in order
        fsm::waiter_id last_id = 0;
        std::uint64_t last_rank = 0;
        bool initialized = false;  // some stream has opened
        fsm::stream_id last_granted = 0;
        unsigned passed = 0;       // grants in a row past a waiting speculative caller
        fsm::waiter_id rider = 0;  // caused the first open, and has no lease yet
        std::uint32_t broken = 0;  // the rules that the last step broke
    };

    enum class kind : std::uint8_t {
        acquire,
        share,
        speculate,
        promote,
        initialize,
        ride,
        close,
        close_now,
        cancel,
        perform,
        release,
        opened,
        ended,
        hung_up,
        failed,
        refused,  // as failed, for a range that rode
        reconnecting,
        reconnected,
        load,
        updated,
    };
    struct event {
        kind what = kind::acquire;
        std::uint64_t who = 0;  // a caller or a stream
    };

    state initial() const;
    void events(const state& s, std::vector<event>& out) const;
    void apply(state& s, const event& e) const;
    std::string name(const event& e) const;
    std::string key(const state& s) const;
    std::vector<sim::state_rule<state>> rules() const;
    std::vector<sim::state_goal<state>> goals() const;
    bool fair(const event& e) const;

private:
    void feed(state& s, const event& e, fsm::pool_actions& out) const;
    void perform(state& s, const fsm::pool_action& a) const;
};

}  // namespace rangeio::states
