#pragma once

#include <rangeio/byte_range.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rangeio::bytes {

/// How scattered ranges become reads. Not an aggregate, as every option type here.
class planner_options {
public:
    planner_options() noexcept = default;

    /// Ranges at most this many bytes apart are read as one, and the gap is dropped; 0 merges those that
    /// touch or overlap. Default: nothing, which means off: each range is read on its own, whatever the
    /// others are.
    std::optional<std::uint64_t> max_gap;
    /// A range joins a merged one only while that stays within so many bytes; at least 1. One range alone may
    /// be longer. Unused when coalescing is off.
    std::uint64_t max_merged_bytes = std::uint64_t(64) << 20;
    /// No read is longer than this many bytes; at least 1.
    std::uint64_t unit_bytes = std::uint64_t(8) << 20;
};

/// Bytes of one read that one caller wants: `length` bytes at `read_offset` of the read go to
/// `destination_offset` in the destination of the caller's range number `index`.
struct read_piece {
    std::size_t index;
    std::uint64_t read_offset;
    std::uint64_t destination_offset;
    std::uint64_t length;
};

/// One range to ask of the service, and where in the plan its pieces stand.
struct planned_read {
    byte_range range;
    std::size_t first_piece;
    std::size_t piece_count;  // at least 1
};

/// The reads that serve a list of ranges. Each byte of each caller's range is in exactly one piece.
class read_plan {
public:
    /// Ordered by offset when coalescing is on, and then disjoint; else in the order of the callers.
    std::vector<planned_read> reads;
    std::vector<read_piece> pieces;

    /// Ordered by the offset of the callers' ranges. Pieces may overlap in the read and leave gaps in it.
    std::span<const read_piece> pieces_of(const planned_read& read) const noexcept {
        return std::span(pieces).subspan(read.first_piece, read.piece_count);
    }

    /// The piece that is the whole read, or null: then the bytes can go straight to the one destination, and
    /// no memory in between is needed.
    const read_piece* sole_piece(const planned_read& read) const noexcept {
        const read_piece& first = pieces[read.first_piece];
        return read.piece_count == 1 && first.length == read.range.length() ? &first : nullptr;
    }
};

/// Plans the reads for `ranges`: coalesce, cap, split.
///
/// The ranges may be in any order, overlap, repeat and be empty; an empty one has no piece. While coalescing
/// is on, no byte is asked for twice: where the cap forbids to join overlapping ranges, the second read
/// begins where the first one ends, and a range may have pieces in both. No read consists of gap only.
///
/// Throws: errc::invalid_argument when an option that must be at least 1 is 0; std::bad_alloc.
read_plan plan_reads(std::span<const byte_range> ranges, const planner_options& options);

}  // namespace rangeio::bytes
