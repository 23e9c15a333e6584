#pragma once

#include <rangeio/testing/state_search.hpp>

#include "fsm/mrd_fsm.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::states {

/// `mrd_fsm` and everything that may happen to it, for testing::search_states().
///
/// The owner opens the stream, adds ranges of one or two bytes, cancels them, closes, at any moment. The
/// shell performs the actions in order, at once or, with `late`, whenever it likes. The service sends what it
/// was asked for, in any pieces, and whatever else it likes: wrong offsets, surplus bytes, damage, range_end
/// early, doubled or never, ids that were never given out or are not sent yet; and it may end the call at any
/// moment. All that also happens while a chunk is being copied.
class mrd_model {
public:
    std::size_t max_per_message = 2;
    int ranges = 3;
    bool late = false;

    struct range {
        std::int64_t id = 0;
        std::uint8_t length = 0;
        std::uint8_t sent = 0;  // bytes that the service has sent of it
        std::uint8_t good = 0;  // bytes that were copied and undamaged
        bool asked = false;     // the service knows of it
        bool over = false;      // the service has said that it is done
        bool cut = false;       // it said so too early
        bool right = true;      // nothing wrong has been sent of it
        bool stopped = false;   // the owner has cancelled it, or the stream has ended for it
        bool answered = false;
    };
    struct state {
        explicit state(std::size_t max_per_message) : machine(max_per_message) {}

        fsm::mrd_fsm machine;
        std::vector<fsm::mrd_action> queue;  // not performed yet
        std::vector<range> ranges;
        std::vector<fsm::wire_range> on_wire;  // the message that is being written
        int adds = 0;
        std::int64_t copying = 0;
        std::uint8_t copy_size = 0;
        bool started = false;    // the call
        bool writing = false;    // start or write was performed, write_done has not come
        bool responded = false;  // the first response has come
        bool cancelled = false;  // the call
        bool over = false;       // the call
        bool closed_in_order = false;
        bool failed = false;  // ended otherwise, or is about to
        bool ended = false;   // the machine has said so
        std::uint32_t broken = 0;
    };

    enum class kind : std::uint8_t {
        open,
        add,
        cancel,
        close,
        close_with,
        perform,
        response,
        chunk,
        copied,
        damaged,
        write_done,
        call_broke,
        call_ended,
    };
    struct event {
        kind what = kind::open;
        bool end = false;
        std::int8_t offset = 0;  // from the one that is due
        std::uint8_t size = 0;
        std::int64_t id = 0;
    };

    state initial() const;
    void events(const state& s, std::vector<event>& out) const;
    void apply(state& s, const event& e) const;
    std::string name(const event& e) const;
    std::string key(const state& s) const;
    std::vector<testing::state_rule<state>> rules() const;
    std::vector<testing::state_goal<state>> goals() const;
    bool fair(const event& e) const;

private:
    void feed(state& s, const event& e, fsm::mrd_actions& out) const;
    void send_chunk(state& s, const event& e, fsm::mrd_actions& out) const;
    void end_chunk(state& s, bool damaged, fsm::mrd_actions& out) const;
    void check_actions(const fsm::mrd_fsm& before, const event& e, const fsm::mrd_actions& out, state& s)
        const;
    void check_state(state& s) const;
    void perform(state& s, const fsm::mrd_action& a) const;
};

}  // namespace rangeio::states
