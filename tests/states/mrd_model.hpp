#pragma once

#include <rangeio/sim/state_search.hpp>

#include "fsm/mrd_fsm.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rangeio::states {

/// `mrd_fsm` and everything that may happen to it, for sim::search_states().
///
/// The owner opens the stream, adds ranges, cancels them, closes, at any moment. The shell performs the actions in
/// order, at once or, with `late`, whenever it likes. The service sends what it was asked for, in any pieces, and
/// whatever else it likes: wrong offsets, surplus bytes, damage, range_end early, doubled or never, ids that were never
/// given out, are not sent yet or are out of use. It may end the call at any moment: well or ill, for a while or for
/// good, with a redirect, naming ranges. It may say nothing for so long that the stall check barks. All but the end of
/// the call also happens while a chunk is being copied.
///
/// The limits of the policy are as low as they can be without being none: one attempt, one redirect, one rejected
/// chunk, one orphan byte.
class mrd_model {
public:
    static constexpr unsigned bad_limit = 1;
    static constexpr std::uint64_t orphan_limit = 2;
    static constexpr std::size_t orphan_range_limit = 1;
    /// Sizes of the object are 1 to this. No range begins before: what a call does not know of is unknown to all.
    static constexpr std::uint8_t max_size = 2;

    std::size_t max_per_message = 2;
    int ranges = 3;
    std::uint8_t max_length = 2;
    bool late = false;
    bool rejected_chunks = true;
    bool stalls = true;
    bool names = true;          // the service names ranges when it ends a call
    bool unnamed = false;       // or because of a range, and does not name it
    bool tails = false;         // the owner asks for tails, too, and the object grows
    bool reopens = false;       // the owner has the stream reopened
    bool sizes = false;         // the owner learns of sizes of the object, and calls may report older ones
    bool memory_fails = false;  // the shell has no memory once, for a message or a timer
    /// The budget of time may run out.
    bool aging = false;
    /// Calls may be slow, or crowded out of their connections, and there may be no connection.
    bool connections = false;
    /// What counts as fair is a service that says nothing any more; else one that does its work.
    bool silent = false;

    struct range {
        std::int64_t number = 0;
        std::uint8_t length = 0;
        std::uint8_t sent = 0;   // where the service is with it, on this call and under its present name
        std::uint8_t good = 0;   // bytes that were copied and undamaged
        std::uint8_t bad = 0;    // rejected chunks in a row
        std::uint32_t asks = 0;  // its present name
        std::uint64_t base = 0;  // where it begins, as far as the service is concerned
        bool tail = false;
        bool placed = false;   // the stream knows where it begins
        bool asked = false;    // the service knows of it
        bool over = false;     // the service has said that it is done
        bool cut = false;      // it said so too early
        bool right = true;     // nothing wrong has been sent under this name
        bool stopped = false;  // the owner has cancelled it, or the stream has ended for it
        bool refused = false;  // the service has named it
        bool answered = false;

        std::int64_t read_id() const { return number + (std::int64_t{asks} << 40); }
    };
    /// The policy's decision after the end of a call.
    enum class sequel : std::uint8_t { none, call, wait, sleep, fail };
    struct state {
        explicit state(const fsm::mrd_fsm::options& o) : machine(o) {}

        fsm::mrd_fsm machine;
        std::vector<fsm::mrd_action> queue;  // not performed yet
        std::vector<range> ranges;
        int adds = 0;
        std::int64_t copying = 0;
        std::uint8_t copy_size = 0;
        bool call = false;             // there is one
        bool writing = false;          // a message is on its way, write_done has not come
        bool answers = false;          // the call has had a response
        bool cancelled = false;        // the call
        fsm::timer_id wait_timer = 0;  // the shell's two timers, 0: not set
        fsm::timer_id stall_timer = 0;
        bool aged = false;          // the budget is over
        bool started_aged = false;  // the first attempt came after that
        bool slept = false;         // since that attempt
        bool trying = false;        // there has been one since the last progress
        fsm::silence heard =
            fsm::silence::stalled;  // what the connection will say of the silence that was seen last
        bool grown = false;         // the object
        bool closed_in_order = false;
        bool failed = false;  // ended otherwise, or is about to
        bool ended = false;   // the machine has said so
        bool opened = false;  // what the owner has heard
        bool reconnecting = false;
        bool progress = false;      // of the call
        bool moved = false;         // bytes since the last look
        std::uint8_t required = 0;  // the size that the owner knows of
        std::uint8_t assumed = 0;   // the same when the call began
        std::uint8_t seen = 0;      // the size that the call knows of
        std::uint8_t attempts = 0;  // without progress, in a row
        std::uint8_t redirects = 0;
        bool memory_failing = false;  // the next that the shell needs memory for goes without
        bool memory_failed = false;   // that has been, or is about to be

        // Of the last step.
        std::ptrdiff_t under_way = 0;  // ranges that the call knew of when it ended
        sequel expected = sequel::none;
        std::uint32_t broken = 0;

        std::size_t room = 0;  // for actions, as the last newcomer made it

        bool outdated() const { return answers && seen < assumed; }
    };

    enum class kind : std::uint8_t {
        open,
        add,
        cancel,
        close,
        close_with,
        reopen,
        grow,
        require,
        perform,
        wait_timer,
        check,
        check_slow,
        check_crowded,
        judged,
        time_passes,
        memory_runs_out,
        response,
        chunk,
        stale_chunk,
        copied,
        damaged,
        write_done,
        call_cancelled,  // the end that was asked for
        broke,
        broke_aborted,
        broke_for_good,
        broke_well,
        unconnected,
        redirected,
        names_failed,
        names_excused,
        names_all,
        refuses_unnamed,
    };
    struct event {
        kind what = kind::open;
        bool end = false;        // of a range that is added: it is a tail
        std::int8_t offset = 0;  // from the one that is due
        std::uint8_t size = 0;   // of a chunk, a range, or the object; 0: not in the response
        std::int64_t number = 0;
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
    fsm::mrd_fsm::options options() const;
    void call_events(const state& s, std::vector<event>& out) const;
    void range_events(const state& s, const range& r, std::vector<event>& out) const;
    void feed(state& s, const event& e, fsm::mrd_actions& out) const;
    void send_chunk(state& s, const event& e, fsm::mrd_actions& out) const;
    void end_chunk(state& s, bool damaged, fsm::mrd_actions& out) const;
    void end_call(state& s, const event& e, fsm::mrd_actions& out) const;
    sequel judge(state& s, kind how) const;
    void perform(state& s, const fsm::mrd_action& a) const;
    void ask(state& s) const;
};

/// The sink of range `number`.
std::shared_ptr<range_sink> sink_of(std::int64_t number);

}  // namespace rangeio::states
