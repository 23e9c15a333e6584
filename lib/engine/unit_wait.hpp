#pragma once

#include <rangeio/error.hpp>

#include "fsm/unit_table.hpp"

#include <memory>

namespace rangeio::engine {

class prefetch_unit;

/// Waits for a unit that a reader fetches ahead.
class unit_waiter {
public:
    /// Called once, on any thread, without a lock held: `unit` has its bytes, unless `why` says otherwise.
    virtual void fetched(std::shared_ptr<prefetch_unit> unit, const error_value& why) noexcept = 0;

    /// For the source: keeps the object alive while it waits.
    std::shared_ptr<unit_waiter> waits;

protected:
    ~unit_waiter() = default;
};

/// What a transfer has to know of its reader: the units, and who wants to know when bytes arrive.
class unit_source {
public:
    /// May throw, without effect then.
    virtual void wait(fsm::unit_id unit, std::shared_ptr<unit_waiter> who) = 0;
    /// Answers the waiter with `why`, unless it has been answered.
    virtual void cancel_wait(fsm::unit_id unit, unit_waiter& who, const error_value& why) noexcept = 0;

    virtual fsm::prefetch_time now() const noexcept = 0;
    /// The bytes of a part have arrived.
    virtual void arrived(const fsm::prefetch_arrival& arrival) noexcept = 0;

protected:
    ~unit_source() = default;
};

}  // namespace rangeio::engine
