#pragma once

#include <rangeio/sim/state_search.hpp>

#include "fsm/budget_fsm.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::states {

/// `budget_fsm`, and everything that may happen to it, for sim::search_states().
///
/// Readers request bytes in any lane, cancel, come to wait, leave; holders mark what they hold, answer to reclaims, and
/// release. The shell performs the actions in order, at once or, with `late`, at any later moment: then grants and
/// reclaims meet cancellations and releases.
class budget_model {
public:
    fsm::budget_fsm::options options{2, 2};
    fsm::reader_id readers = 2;
    int requests = 3;
    int marks = 2;
    int ranks = 1;  // that a mark may bring
    int promotes = 1;
    int keeps = 1;
    int leaves = 1;
    bool hinted = true;  // the hinted lane is used, too
    bool late = false;

    enum class phase : std::uint8_t { waiting, decided, granted };
    enum class question : std::uint8_t { none, decided, asked };  // a reclaim
    /// A request as its reader and its holder know it.
    struct request {
        fsm::reservation_id id = 0;
        fsm::reader_id reader = 0;
        fsm::request_class lane = fsm::request_class::demand;
        std::uint64_t bytes = 0;
        std::uint64_t turn = 0;  // in its lane
        phase at = phase::waiting;
        fsm::budget_use use = fsm::budget_use::held;
        std::uint64_t rank = 0;
        question reclaim = question::none;
        bool above = false;
    };
    struct state {
        fsm::budget_fsm machine{fsm::budget_fsm::options()};
        std::vector<fsm::budget_action> queue;  // not performed yet
        std::vector<request> alive;             // by id
        int requests = 0;
        int marks = 0;
        int promotes = 0;
        int keeps = 0;
        int leaves = 0;
        std::uint64_t last = 0;    // id or turn
        std::uint32_t broken = 0;  // the rules that the last step broke
    };

    enum class kind : std::uint8_t { request, promote, cancel, leave, mark, keep, release, perform };
    struct event {
        kind what = kind::request;
        std::uint64_t who = 0;  // a request or, of request and leave, a reader
        fsm::request_class lane = fsm::request_class::demand;
        std::uint64_t bytes = 0;
        fsm::budget_use use = fsm::budget_use::held;
        std::uint64_t rank = 0;
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
    void feed(state& s, const event& e, fsm::budget_actions& out) const;
    void perform(state& s, const fsm::budget_action& a) const;
};

/// Null: it was cancelled or released.
const budget_model::request* find_request(const budget_model::state& s, fsm::reservation_id id);

}  // namespace rangeio::states
