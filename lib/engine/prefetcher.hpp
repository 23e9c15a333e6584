#pragma once

#include <rangeio/error.hpp>
#include <rangeio/reader_stats.hpp>

#include "engine/unit_wait.hpp"
#include "fsm/prefetch_fsm.hpp"
#include "runtime/context_service.hpp"
#include "runtime/machine_host.hpp"

#include <functional>
#include <memory>

namespace rangeio::engine {

class prefetch_unit;

/// The shell around `prefetch_fsm`: what a reader fetches ahead.
///
/// Belongs to a reader, and is used by its reads and units, which keep the reader alive.
class prefetcher final : public unit_source {
public:
    /// Makes a unit and begins to fetch it. May throw.
    using unit_maker = std::function<std::shared_ptr<prefetch_unit>(const fsm::unit_action&)>;

    prefetcher(
        std::shared_ptr<runtime::context_core> core,
        std::unique_ptr<fsm::prefetch_policy> policy,
        unit_maker maker
    );

    // Reads.
    /// Divides what has to be read into pieces. May throw, without effect then.
    void begin(fsm::reading& read, byte_range rest, std::uint64_t size);
    /// The missing bytes have been requested; the read may have ended since.
    void requested(fsm::reading& read) noexcept;
    /// No effect the second time, or without begin().
    void end(fsm::reading& read, fsm::read_ending how) noexcept;
    /// The front of `range` that is one piece.
    byte_range first_piece(byte_range range) const;

    void wait(fsm::unit_id unit, std::shared_ptr<unit_waiter> who) override;
    void cancel_wait(fsm::unit_id unit, unit_waiter& who, const error_value& why) noexcept override;
    fsm::prefetch_time now() const noexcept override { return core_->now(); }
    void arrived(const fsm::prefetch_arrival& arrival) noexcept override;

    // Units.
    /// False: nobody wants the unit any more.
    bool granted(fsm::unit_id unit) noexcept;
    void done(fsm::unit_id unit, const error_value& why) noexcept;
    void refused(fsm::unit_id unit, const error_value& why) noexcept;
    /// False: the unit is gone.
    bool reclaim(fsm::unit_id unit) noexcept;

    void advise(access_pattern pattern) noexcept;
    void will_need(byte_range range) noexcept;
    void dont_need(byte_range range) noexcept;

    /// Drops everything, and fetches nothing from now on.
    void close() noexcept;
    reader_stats stats() const;

private:
    using machine = fsm::prefetch_fsm;

    template <class Event, class Decision>
    void act(Event event, Decision decision) noexcept;
    template <class Event>
    void act(Event event) noexcept;
    template <class Decision>
    void decide(Decision decision) noexcept;
    void perform(fsm::unit_action& action) noexcept;
    void fetch(const fsm::unit_action& action) noexcept;

    const std::shared_ptr<runtime::context_core> core_;
    const unit_maker make_;
    runtime::machine_host<fsm::prefetch_fsm, fsm::unit_action> machine_;
};

}  // namespace rangeio::engine
