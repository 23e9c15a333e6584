#pragma once

#include <rangeio/access_pattern.hpp>
#include <rangeio/byte_range.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

// What a reader fetches ahead of its reads is decided by a policy, without I/O and without the bytes: `prefetch_fsm`
// (which has the bytes, and knows what is under way) reports to it, and carries out its plans.
//
// A policy may plan what exists: bytes in memory, under way, or requested by a read are never requested again. The
// missing bytes of a read have been requested before the policy hears of the read (R6).

namespace rangeio::fsm {

using prefetch_time = std::chrono::steady_clock::time_point;

using rangeio::access_pattern;

/// A read that begins. Its range is not empty, and ends within the object.
struct prefetch_read {
    byte_range range;
    /// The offset of the first byte that the read has to wait for; empty if all its bytes are in memory.
    std::optional<std::uint64_t> waits_at;
    /// The number of its bytes that were neither in memory nor under way.
    std::uint64_t missing = 0;
    prefetch_time now;
};

/// Bytes that have arrived, of a unit or of a read: each byte of the object is reported once, until it is dropped.
struct prefetch_arrival {
    byte_range range;
    /// Distinguishes the streams of a pool. Zero if the bytes were in memory when they were planned, or if they failed:
    /// then the times mean nothing.
    std::uint64_t stream = 0;
    prefetch_time sent;   // the request
    prefetch_time first;  // the first bytes of the answer
    prefetch_time now;    // the last ones
};

/// A range that shall be fetched ahead.
struct prefetch_unit {
    byte_range range;
    std::uint32_t parts = 1;  // requests into which it is divided, on several streams
};

/// What a policy has decided on an event. Ranges that were dropped may be planned again, also in the same plan.
struct prefetch_plan {
    /// Nobody will read these bytes ahead of others: those in memory are freed, and those not requested yet never are.
    std::vector<byte_range> drop;
    /// These bytes will not be read for a while: their memory is the first that is given up, and those not requested
    /// yet never are. A unit of a later plan that overlaps them ends that.
    std::vector<byte_range> park;
    /// In the order in which to request them, after all that was planned before. A range that overlaps units that exist
    /// becomes units for the rest.
    std::vector<prefetch_unit> fetch;

    bool empty() const noexcept { return drop.empty() && park.empty() && fetch.empty(); }
    void clear() noexcept {
        drop.clear();
        park.clear();
        fetch.clear();
    }
};

class prefetch_policy {
public:
    virtual ~prefetch_policy() = default;

    virtual void read_begins(const prefetch_read& read, prefetch_plan& out) = 0;
    /// Reads that overlap in time are reported in the order of their beginnings; `ok`: its bytes have been delivered.
    virtual void read_ended(byte_range range, bool ok, prefetch_time now, prefetch_plan& out) = 0;
    virtual void arrived(const prefetch_arrival& arrival, prefetch_plan& out) = 0;
    /// Planned bytes that nobody has read are gone: the memory was needed, or a request failed.
    virtual void lost(byte_range range, prefetch_plan& out) = 0;
    /// Bytes that were requested have been dropped, and nobody had read them.
    virtual void wasted(std::uint64_t bytes) noexcept = 0;
    /// A read has failed: nothing of what was planned exists any more, and the next read starts clean.
    virtual void reset() noexcept = 0;
    virtual void advise(access_pattern pattern, prefetch_plan& out) = 0;
    /// The size of the object, at least once before the first read; it may grow.
    virtual void resize(std::uint64_t bytes) noexcept = 0;

    /// The number of planned bytes that may be requested and not yet received; the rest waits, and costs nothing to
    /// drop.
    virtual std::uint64_t max_under_way() const noexcept = 0;
    /// The number of bytes that the policy wants to have ahead of the reader, for statistics.
    virtual std::uint64_t window() const noexcept = 0;
};

}  // namespace rangeio::fsm
