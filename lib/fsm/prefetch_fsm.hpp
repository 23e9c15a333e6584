#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/reader_stats.hpp>

#include "fsm/prefetch_policy.hpp"
#include "fsm/unit_table.hpp"

#include <boost/container/static_vector.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

// A reader's prefetching as a machine: the units it has (`unit_table`), and the policy that decides which those are.
//
// Events of reads and of fetches change the units. Each is followed by an event for the policy, which may allocate, and
// may fail without harm: then less is fetched ahead.

namespace rangeio::fsm {

/// A read, from begin() until end(). Belongs to the caller; between the two, only the machine changes it.
struct reading {
    byte_range range;   // all of it
    byte_range front;   // what had arrived before begin(), with the open
    bool lent = false;  // see unit_table::begin()
    read_pieces pieces;
    std::optional<std::uint64_t> waits_at;
    std::uint64_t missing = 0;
    prefetch_time since{};
    bool begun = false;
    bool reported = false;  // to the policy
};

enum class read_ending : std::uint8_t { delivered, cancelled, failed };

class prefetch_fsm {
public:
    struct options {
        unit_table::options units;
        /// The number of announced bytes that may be under way.
        std::uint64_t max_hinted_under_way = std::uint64_t{32} << 20;
    };

    /// A null policy fetches nothing ahead, except what is announced.
    prefetch_fsm(options o, std::unique_ptr<prefetch_policy> policy);

    // Reads.
    /// `rest`: the end of `read.range` that has not arrived with the open; the pieces are those of all of the range. An
    /// object of `size` bytes. May throw, without effect then.
    void begin(reading& read, byte_range rest, std::uint64_t size, prefetch_time now, unit_actions& out);
    void wait(unit_id unit, unit_waiter who, unit_actions& out) { units_.wait(unit, who, out); }
    bool cancel_wait(unit_id unit, unit_waiter who) noexcept { return units_.cancel_wait(unit, who); }
    /// Includes what the policy decides. No effect the second time, or without begin().
    void end(reading& read, read_ending how, prefetch_time now, unit_actions& out) noexcept;

    // Fetches: as for unit_table.
    bool made(unit_id unit, std::shared_ptr<engine::prefetch_unit> handle) noexcept {
        return units_.made(unit, std::move(handle));
    }
    bool granted(unit_id unit) noexcept { return units_.granted(unit); }
    void done(unit_id unit, const error_value& why, unit_actions& out) noexcept {
        units_.done(unit, why, out);
    }
    void refused(unit_id unit, const error_value& why, unit_actions& out) noexcept;
    /// False: the unit is gone.
    bool reclaim(unit_id unit, unit_actions& out) noexcept;
    void close(unit_actions& out) noexcept;

    // For the policy, after the event of the same name. May throw: nothing but the plans is lost.
    /// The missing bytes of a read have been requested. The read may have ended.
    void after_begin(reading& read, unit_actions& out);
    /// Bytes have arrived, of a unit or of a read.
    void arrived(const prefetch_arrival& arrival, unit_actions& out);
    /// Units were reclaimed, dropped or refused.
    void after_loss(unit_actions& out);

    // Hints. May throw.
    void advise(access_pattern pattern, unit_actions& out);
    void will_need(byte_range range, unit_actions& out);
    void dont_need(byte_range range, unit_actions& out);

    reader_stats stats() const noexcept;
    const unit_table& units() const noexcept { return units_; }
    std::size_t action_bound() const noexcept { return units_.action_bound(); }

private:
    void report(reading& read);
    void report_end(reading& read, read_ending how, prefetch_time now, unit_actions& out);
    void carry_out(unit_actions& out);
    void decide(unit_actions& out);
    void forget_announced(byte_range range);
    void lose(byte_range range) noexcept;

    options options_;
    std::unique_ptr<prefetch_policy> policy_;
    unit_table units_;
    bool closed_ = false;
    std::uint64_t size_ = 0;
    reader_stats stats_;
    boost::container::static_vector<byte_range, 16> lost_;  // the policy has not heard of it yet
    std::deque<byte_range> announced_;                      // no units yet
    prefetch_plan plan_;
    std::vector<byte_range> in_memory_;  // of decide(): kept for its memory
};

}  // namespace rangeio::fsm
