#pragma once

#include <rangeio/sim/state_search.hpp>

#include "fsm/connections_fsm.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace rangeio::states {

/// `connections_fsm` and everything that may happen to it, for sim::search_states().
///
/// Streams have one call after another, each placed by the machine. Answers, bytes and signs of life come at any
/// moment, or do not: a connection that is dead is one on which nothing comes any more. Calls end at any moment. Time
/// passes in checks: all calls that wait for something look then, in any order.
class connections_model {
public:
    std::size_t spread = 1;
    std::size_t room = 2;  // calls that a connection takes, as the option says
    std::size_t most = 2;  // connections
    int streams = 2;
    /// What is counted of the silent calls of a stream in a row: the time of the next one doubles as often.
    std::uint8_t max_excused = 0;
    std::uint64_t due = 0;  // bytes that may come before those of a call
    bool fast = false;      // they came so fast before that those take no look
    bool unaskable = true;  // a probe may be impossible

    enum class rule : std::uint8_t {
        room,
        most,
        left,
        dead,
        slow,
        time,
        crowded,
        probe,
        balance,
        gone,
        limit,
        count
    };

    struct line {
        fsm::connection_id id = 0;
        bool askable = true;
        int heard = 0;
        int asked = 0;  // when a sign of life was

        bool wait_timer_sign() const { return heard < asked; }
    };
    struct stream {
        fsm::connection_id on = 0;  // 0: no call
        int began = 0;
        std::uint8_t checks = 0;  // in a row, without a byte
        std::uint8_t excused = 0;
        bool answered = false;
        bool moved = false;
        bool idle = false;  // it waits for nothing
        bool given_up = false;

        bool waits() const { return on != 0 && !idle && !given_up; }
    };
    struct state {
        explicit state(const fsm::connections_fsm::options& o) : machine(o) {}

        fsm::connections_fsm machine;
        std::vector<stream> streams;
        std::vector<line> lines;
        std::set<fsm::connection_id> left;  // connections that get no call any more
        int now = 0;                        // in checks
        std::uint32_t broken = 0;
    };

    enum class kind : std::uint8_t {
        place,
        answer,
        bytes,
        last_bytes,
        ask_more,
        time_passes,
        time_passes_unasked,
        sign_of_life,
        ends,
        ends_as_told,
    };
    struct event {
        kind what = kind::place;
        std::size_t which = 0;  // stream or line
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
    void place(state& s, stream& on) const;
    int bytes_time(std::uint8_t excused) const;
    int answer_time(std::uint8_t excused) const;
    void look(state& s, stream& at, bool askable) const;
    void judge(state& s, stream& at, const fsm::connections_fsm::verdict& said, bool askable) const;
    void pass_time(state& s, std::size_t order, bool askable) const;
    void end(state& s, stream& of) const;
    void check(state& s) const;
};

}  // namespace rangeio::states
