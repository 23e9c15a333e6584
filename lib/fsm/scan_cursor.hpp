#pragma once

#include <rangeio/byte_range.hpp>

#include "fsm/run_history.hpp"

#include <algorithm>
#include <cstdint>

namespace rangeio::fsm {

/// A position in the direction of a scan: the offset, negated if it runs backwards, so that more is always further.
using scan_position = std::int64_t;

struct scan_span {
    scan_position begin = 0, end = 0;
};

constexpr scan_span along(byte_range range, bool backward) noexcept {
    const auto begin = static_cast<scan_position>(range.offset()),
               end = static_cast<scan_position>(range.end());
    return backward ? scan_span{-end, -begin} : scan_span{begin, end};
}

/// The bytes of a span, or none if it is empty or reversed.
constexpr byte_range bytes_of(scan_span span, bool backward) noexcept {
    if (span.begin >= span.end) return {};
    if (backward) span = {-span.end, -span.begin};
    return byte_range(
        static_cast<std::uint64_t>(span.begin), static_cast<std::uint64_t>(span.end - span.begin)
    );
}

/// One of the places of an object at which its reader reads. Positions are in its own direction.
struct scan_cursor {
    enum class phase : std::uint8_t { free, candidate, running, parked };

    bool established() const noexcept { return is == phase::running || is == phase::parked; }
    /// What it has planned, and what it keeps behind itself.
    scan_span territory() const noexcept { return {tail, std::max(front, pos)}; }
    std::int64_t unread() const noexcept { return std::max<std::int64_t>(front - pos, 0); }
    std::uint64_t length() const noexcept { return static_cast<std::uint64_t>(pos - start); }

    phase is = phase::free;
    bool backward = false;
    bool undecided = true;     // a candidate of one read has no direction
    bool interleaved = false;  // it was parked and came back
    bool stepping = false;  // the read that was its last step has not ended: a read meanwhile is no step (W6)
    bool growing = false;   // the same of the read for which the window grew
    bool predicted = false;  // its end was
    int score = 0;
    scan_position start = 0, pos = 0;   // of the run, and the end of what was read
    scan_position tail = 0, front = 0;  // from the first byte that is kept to the end of what is planned
    scan_position last_end = 0;         // of the last read
    scan_position grown_at = 0;         // from here on, bytes were planned after the window grew
    std::int64_t last_length = 0;
    std::int64_t earned = 0;               // bytes used, less what skipped ones cost
    std::int64_t skipped = 0, wasted = 0;  // all bytes skipped, and those that were planned
    std::uint64_t window = 0;
    std::uint64_t last_read = 0, last_bytes = 0;  // of the reader, when this was read
    std::uint64_t step_end = 0, growth_end = 0;   // ends of the reads above
    // Parked: what that has changed.
    run_history::run_end end;
    std::uint64_t charged = 0;  // bytes, to the account: it does not depend on when the memory is given up
};

}  // namespace rangeio::fsm
