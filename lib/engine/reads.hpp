#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>
#include <rangeio/detail/destination.hpp>
#include <rangeio/error.hpp>

#include "engine/fetch_plan.hpp"
#include "engine/transfer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

// Functions that all read operations use.

namespace rangeio::engine {

/// A range in the form that follows the object's name in error texts.
inline std::string naming(byte_range range) {
    return " " + to_string(range);
}

/// The largest memory that is allocated for bytes of an object of which nothing is known.
constexpr std::uint64_t max_opening_memory = std::uint64_t{4} << 20;

/// errc::invalid_argument if `room` bytes of destination are not enough for `range`.
error_value check_destination(std::uint64_t room, byte_range range);

/// Appends a part for each of `ranges`. The first byte of the memory is for the byte at `origin` of the object.
void append_parts(
    transfer_parts& parts, const range_list& ranges, std::uint64_t origin, const detail::destination& into
);
void append_parts(transfer_parts& parts, const range_list& ranges, std::uint64_t origin, std::byte* memory);

/// Appends a part for the last `length` bytes of the object.
void append_tail(transfer_parts& parts, std::uint64_t length, std::byte* memory);

/// Appends a part that is not requested: a unit that a reader fetches ahead. It has its bytes already unless `fetched`
/// is null.
void append_unit(
    transfer_parts& parts, byte_range range, fsm::unit_id unit, std::shared_ptr<prefetch_unit> fetched
);

/// Copies `bytes` to `into`, from `position` on.
void copy_into(
    const detail::destination& into, std::uint64_t position, std::span<const std::byte> bytes
) noexcept;

/// Memory that is not zeroed, because it is about to be written.
///
/// Throws: boost::system::errc::not_enough_memory; the text has the size.
byte_block allocate(std::uint64_t size);
/// The first `size` bytes of `block`, in memory of exactly that size.
byte_block shrink(byte_block block, std::size_t size);

}  // namespace rangeio::engine
