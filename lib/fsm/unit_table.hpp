#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>

#include "fsm/budget_fsm.hpp"
#include "fsm/prefetch_policy.hpp"
#include "fsm/request_class.hpp"

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace rangeio::engine {

class prefetch_unit;

}  // namespace rangeio::engine

// What a reader has of an object, in memory or under way, as a machine: so that no byte is requested twice (R3), a read
// uses what was fetched ahead, and a failure is reported to the read that asks for its bytes (R5). A policy decides
// which ranges are fetched ahead.
//
// clang-format off
// | unit      | is                                           | leaves by                                          |
// |-----------|----------------------------------------------|----------------------------------------------------|
// | waiting   | planned, and costs nothing                   | fetch_next -> reserving; a read, a drop -> gone    |
// | reserving | in the queue of the budget                   | granted -> sent; a read -> waiting; drop -> gone   |
// | sent      | requested; an orphan if it was dropped since | done -> ready, failed; gone if an orphan           |
// | ready     | in memory                                    | drop, reclaim -> gone                              |
// | failed    | the error for the read that asks for it      | that read, drop -> gone                            |
// | direct    | requested by a read, into its own memory     | the end of the read -> gone                        |
// clang-format on
//
// A read pins the units that it uses: those remain until it ends, although they are dropped. An orphan that a read or a
// plan covers is adopted: it is no orphan any more.

namespace rangeio::fsm {

using unit_id = std::uint64_t;
using unit_waiter = std::uintptr_t;

enum class unit_state : std::uint8_t { waiting, reserving, sent, ready, failed, direct };

/// A part of a read: bytes in memory, bytes of a unit for which it has to wait, or bytes that it has to request.
struct read_piece {
    byte_range range;
    unit_id unit = 0;  // 0: missing, and also requested by another read
    unit_state state = unit_state::direct;
    std::shared_ptr<engine::prefetch_unit> bytes{};  // of `ready`
};
using read_pieces = boost::container::small_vector<read_piece, 2>;

enum class unit_action_kind : std::uint8_t {
    fetch,    // ask the budget for room, then request `range` of `unit`
    promote,  // a read waits for `handle`, which has its room
    cancel,   // end the fetch of `handle`, whose unit is gone
    answer,   // answer `waiter`: `handle` has the bytes, unless `why` says otherwise
    mark,     // report to the budget how `handle` is used
    keep,     // the answer to a reclaim of `handle`
    release,  // drop `handle`
};

struct unit_action {
    unit_action_kind kind;
    unit_id unit = 0;
    byte_range range{};
    request_class what = request_class::speculative;
    unit_waiter waiter = 0;
    std::shared_ptr<engine::prefetch_unit> handle{};
    error_value why{};
    budget_use use = budget_use::held;
    std::uint64_t rank = 0;
};
using unit_actions = std::vector<unit_action>;

class unit_table {
public:
    struct options {
        /// The number of orphan bytes that are waited for: their memory is used, but they may be adopted.
        std::uint64_t max_orphan_bytes = std::uint64_t{32} << 20;
        /// The length of the units into which a planned range is divided. A range for several requests is divided into
        /// smaller ones.
        std::uint64_t max_unit_bytes = std::uint64_t{1} << 20, min_unit_bytes = std::uint64_t{256} << 10;
    };

    unit_table() : unit_table(options{}) {}
    explicit unit_table(options o) : options_(o) {}

    // Reads. Only the events that may throw allocate; if they throw, they have had no effect.
    /// Divides a read into pieces, in order. `lent`: what is missing becomes a unit, whose memory is lent to the caller
    /// and which is given up at the end of the read, but for bytes that another read requests into its own memory.
    /// Then the range must be one piece. May throw.
    void begin(byte_range range, bool lent, read_pieces& pieces, unit_actions& out);
    /// A read waits for a unit that was neither ready nor direct; it is answered, perhaps by this call. May throw.
    void wait(unit_id unit, unit_waiter who, unit_actions& out);
    /// False: it has been answered.
    bool cancel_wait(unit_id unit, unit_waiter who) noexcept;
    /// The read has ended. `delivered`: its caller has the bytes.
    void end(const read_pieces& pieces, bool delivered, unit_actions& out) noexcept;

    /// The front of `range` that is one piece, and at most one unit.
    byte_range first_piece(byte_range range) const noexcept;

    // Plans.
    /// Appends to `in_memory` what was planned and is in memory already. May throw, after a part of its effect.
    void apply(const prefetch_plan& plan, std::vector<byte_range>& in_memory, unit_actions& out);
    /// The same for one range that a caller has announced: its units are given up when they have been read.
    void hint(byte_range range);
    void drop(byte_range range, unit_actions& out) noexcept;
    void drop_all(unit_actions& out) noexcept;
    /// Begins to fetch planned units, announced ones first, while fewer bytes than the limit of their class are under
    /// way. May throw, after a part of its effect.
    void fetch_next(std::uint64_t max_speculative, std::uint64_t max_hinted, unit_actions& out);

    // Fetches.
    /// The shell is about to fetch the unit. False: it is gone. Otherwise the machine keeps the handle until `cancel`
    /// or `release`.
    bool made(unit_id unit, std::shared_ptr<engine::prefetch_unit> handle) noexcept;
    /// The budget has room. False: the unit is gone, and must not be requested.
    bool granted(unit_id unit) noexcept;
    /// The end of a fetch, which has all bytes of the unit, or `why` it has not.
    void done(unit_id unit, const error_value& why, unit_actions& out) noexcept;
    /// The fetch could not begin: nobody but a read that waits hears of it. Returns what is lost.
    byte_range refused(unit_id unit, const error_value& why, unit_actions& out) noexcept;
    /// The budget needs the room of a unit. Returns what is lost: unread bytes, or nothing; empty if the unit is gone.
    std::optional<byte_range> reclaim(unit_id unit, unit_actions& out) noexcept;

    /// The number of bytes that were requested, dropped, and never read, since the last call.
    std::uint64_t take_wasted() noexcept { return std::exchange(wasted_, 0); }
    std::uint64_t requested_bytes() const noexcept { return requested_; }
    std::uint64_t under_way_bytes() const noexcept { return under_way_; }
    std::uint64_t orphan_bytes() const noexcept { return orphaned_; }
    /// As machine_host requires.
    std::size_t action_bound() const noexcept { return 4 * units_.size() + waiters_; }

    // The state, for checkers.
    struct unit {
        unit_id id = 0;
        byte_range range;
        byte_range wanted;  // empty: dropped
        request_class what = request_class::speculative;
        unit_state state = unit_state::waiting;
        bool parked = false;
        bool announced = false;  // by hint(): given up when it has been read
        bool lent = false;       // requested by a read: given up at its end
        bool told_late = false;  // the budget has to hear of its use when no read pins it any more
        std::uint32_t pins = 0;
        std::uint64_t used = 0;  // bytes, by any number of reads
        byte_range read;         // from the first byte that was read to the last
        boost::container::small_vector<unit_waiter, 1> waiters{};
        std::shared_ptr<engine::prefetch_unit> handle{};
        error_value why{};

        bool dropped() const noexcept { return wanted.empty(); }
        bool under_way() const noexcept {
            return state == unit_state::reserving || state == unit_state::sent;
        }
    };
    /// In the order of their offsets; disjoint.
    const std::vector<unit>& units() const noexcept { return units_; }

private:
    std::size_t first_that_ends_after(std::uint64_t offset) const noexcept;
    unit* find(unit_id id) noexcept;
    void insert(byte_range range, unit_state state, request_class what);
    void cut(unit& u, byte_range part);
    void adopt(unit& u, byte_range wanted) noexcept;
    void plan(const prefetch_unit& planned, request_class what, std::vector<byte_range>* in_memory);
    void park(byte_range range, unit_actions& out) noexcept;
    void drop_unit(unit& u, unit_actions& out) noexcept;
    void let_go(unit& u) noexcept;
    void withdraw(unit& u, unit_actions& out);
    void remove(unit& u, unit_actions& out) noexcept;
    byte_range give_up(unit& u, unit_actions& out) noexcept;
    void bound_orphans(unit_actions& out) noexcept;
    void mark(const unit& u, unit_actions& out) noexcept;
    void answer(unit& u, unit_actions& out) noexcept;

    options options_;
    std::vector<unit> units_;
    unit_id last_id_ = 0;
    std::size_t waiting_ = 0;      // units that wait
    std::size_t waiters_ = 0;      // reads that wait
    std::uint64_t under_way_ = 0;  // bytes, orphans included
    std::uint64_t orphaned_ = 0;   // bytes of orphans
    std::uint64_t requested_ = 0;
    std::uint64_t wasted_ = 0;
    // The end of the last read: the rank of a unit ahead is its distance to it.
    std::uint64_t read_until_ = 0;
    std::uint64_t uses_ = 0;  // the ranks of what was read
};

}  // namespace rangeio::fsm
