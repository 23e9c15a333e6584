#pragma once

#include <rangeio/memory_budget_stats.hpp>

#include "fsm/request_class.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

// The memory of prefetching readers as a machine: which request may reserve bytes next, and which holders have to give
// some up (rules B1-B6).
//
// clang-format off
// | request     | is                                 | leaves by                                             |
// |-------------|------------------------------------|-------------------------------------------------------|
// | waiting     | in the lane of its class           | promote -> demand; room, B4 -> held; cancel, leave    |
// | held        | waited for, lent or new            | mark -> reclaimable; release                          |
// | reclaimable | parked, kept or ahead              | promote, mark -> held; reclaim -> asked; release      |
// | asked       | the same, its holder has to answer | promote, mark -> busy; keep -> held; release          |
// | busy        | asked, but held meanwhile          | mark -> asked; keep -> held; release                  |
//
// | a head that waits | has these reclaimed, in this order                                              |
// |-------------------|---------------------------------------------------------------------------------|
// | demand            | parked and kept, least rank first; ahead, speculative first, then greatest rank |
// | hinted            | parked, kept, ahead if speculative                                              |
// | speculative       | parked, kept: read-ahead of two readers would displace each other for ever      |
// clang-format on
//
// A head that does not fit holds back its lane and all lower ones, whatever their size: otherwise large requests would
// starve behind small ones. B4 lets others pass the head of the demand lane, and does not starve it: its reader has
// bytes to work on, and B4 holds for itself once that reader is done with them.
//
// Each event takes a time of O(log n) in requests, reservations and readers, for each of its actions.

namespace rangeio::fsm {

using reservation_id = std::uint64_t;
using reader_id = std::uint64_t;

/// What the holder of a reservation does with it, in the order in which they are reclaimed.
enum class budget_use : std::uint8_t {
    parked,  // of a cursor that rests; its rank is the moment of its last use
    kept,    // was read; its rank is the moment of that
    ahead,   // not read yet; its rank is the distance to the reader
    held,    // a reader waits for it, a caller holds a slice of it, or it is not marked yet: not reclaimed
};

enum class budget_action_kind : std::uint8_t {
    grant,    // the bytes of `id` are reserved
    reclaim,  // answer by release(id), or by keep(id); nothing if `id` was released meanwhile
};

struct budget_action {
    budget_action_kind kind;
    reservation_id id = 0;
};
using budget_actions = std::vector<budget_action>;

class budget_fsm {
public:
    struct options {
        std::uint64_t limit_bytes = 1;  // at least one unit is assumed, so that each request fits some time
        std::uint64_t unit_bytes = 1;   // of the largest request
    };

    explicit budget_fsm(options o);

    // Events. Ids are the caller's, each used once.
    /// The only event that allocates.
    void request(
        reservation_id id, reader_id reader, request_class lane, std::uint64_t bytes, budget_actions& out
    );
    /// A reader has come to wait for it, whether it waits itself or is granted: B3.
    void promote(reservation_id id, budget_actions& out);
    /// Removes a request that waits. False: it does not wait; if it was granted, release() has to follow.
    bool cancel(reservation_id id, budget_actions& out);
    /// Removes all requests of a reader that wait; those that were granted are released by their holders.
    void leave(reader_id reader, budget_actions& out);
    /// What a granted one is from now on; no reader waits for it any more. If one did, its lane is speculative now.
    void mark(reservation_id id, budget_use use, std::uint64_t rank, budget_actions& out);
    /// The answer to `reclaim` if the bytes are needed meanwhile; they are held until marked otherwise.
    void keep(reservation_id id, budget_actions& out);
    void release(reservation_id id, budget_actions& out);

    memory_budget_stats stats() const noexcept;
    const options& config() const noexcept { return options_; }
    /// The number of actions that can still follow from the current state, if keep() is only called once the `reclaim`
    /// has been performed; with room for them, no event except request allocates.
    std::size_t action_bound() const noexcept;

    // The state, for checkers.
    struct waiter {
        reservation_id id = 0;
        reader_id reader = 0;
        request_class lane = request_class::demand;
        std::uint64_t bytes = 0;
    };
    struct reservation {
        reservation_id id = 0;
        reader_id reader = 0;
        request_class lane = request_class::demand;  // demand: the reader waits for it, so it is held, too
        std::uint64_t bytes = 0;
        budget_use use = budget_use::held;
        std::uint64_t rank = 0;
        bool above = false;  // granted by B4 without room, and there has been none since
        bool asked = false;  // `reclaim` has no answer yet
    };
    /// By lane, first come first.
    std::vector<waiter> waiters() const;
    /// As they were granted.
    std::vector<reservation> reservations() const;

private:
    struct entry {
        reader_id reader = 0;
        request_class lane = request_class::demand;
        std::uint64_t bytes = 0;
        std::uint64_t turn = 0;  // in its lane, and then among the grants
        bool granted = false;
        bool asked = false;
        budget_use use = budget_use::held;
        std::uint64_t rank = 0;
    };
    using entries = std::map<reservation_id, entry>;

    // Orders in which entries and readers are looked up. Each entry has a node in the first two from request() to its
    // end, and each reader one in the third; nodes only change their places, so that no other event needs memory.

    /// Waiters, as they are served, and then reservations, as they are reclaimed.
    enum class line : std::uint8_t {
        demand,
        hinted,
        speculative,
        parked,
        kept,
        ahead_speculative,
        ahead_hinted,
        none,
    };
    struct place {
        line in = line::none;
        std::uint64_t order = 0;
        reservation_id id = 0;
        auto operator<=>(const place&) const = default;
    };
    /// The entries of each reader, its demands that wait first.
    struct share {
        reader_id reader = 0;
        enum class of : std::uint8_t { waiting_demand, waiting, granted } what = of::granted;
        std::uint64_t turn = 0;
        reservation_id id = 0;
        auto operator<=>(const share&) const = default;
    };
    /// Readers to which B4 grants something, by the turn of their first demand; those above the limit; the others.
    struct need {
        enum class of : std::uint8_t { unit, room, nothing } what = of::nothing;
        std::uint64_t turn = 0;
        reader_id reader = 0;
        auto operator<=>(const need&) const = default;
    };
    struct reader_state {
        std::size_t demanded = 0;             // reservations that it waits for
        std::optional<reservation_id> above;  // granted by B4 without room, and there has been none since
        need at;
    };

    static place place_of(reservation_id id, const entry& e);
    static share share_of(reservation_id id, const entry& e);
    void count(const entry& e, int sign);
    template <class F>
    void change(entries::iterator it, F f);
    void remove(entries::iterator it);
    void review(reader_id id);
    bool is_above(reservation_id id, const entry& e) const { return readers_.at(e.reader).above == id; }
    bool has_room(std::uint64_t bytes) const { return reserved_ + bytes <= options_.limit_bytes; }
    const entry* head() const;
    void grant(reservation_id id, budget_actions& out);
    void pump(budget_actions& out);
    void reclaim_for(request_class lane, std::uint64_t bytes, budget_actions& out);

    options options_;
    entries entries_;
    std::map<reader_id, reader_state> readers_;
    std::set<place> places_;
    std::set<share> shares_;
    std::set<need> needs_;
    std::array<std::size_t, request_classes> waiting_{};
    std::size_t unasked_ = 0;   // of those that were granted
    std::uint64_t coming_ = 0;  // bytes that were asked for, and are not needed meanwhile
    std::uint64_t turns_ = 0;
    std::uint64_t reserved_ = 0, peak_ = 0;
    std::uint64_t promotions_ = 0, reclaims_ = 0, above_limit_ = 0;
};

}  // namespace rangeio::fsm
