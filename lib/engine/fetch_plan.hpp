#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/object.hpp>

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

// What a fetch asks for, and what it makes of what came: rules 3.4 and S6, without any I/O.

namespace rangeio::engine {

using range_list = boost::container::small_vector<byte_range, 4>;

/// Why `range` of the object cannot be asked for, if so: errc::range_not_satisfiable.
failure refuse_range(byte_range range, const object_info& object, bool allow_short);

/// How far behind the last byte that is known memory is had for what may have been appended since: as much again, and
/// some more. What is longer has to be known first.
constexpr std::uint64_t plausible_end(const object_info& object) noexcept {
    constexpr std::uint64_t spare = std::uint64_t{1} << 20;
    return object.finalized || object.size > byte_range::max_end / 4 ? byte_range::max_end
                                                                     : 2 * object.size + spare;
}

/// The parts in which `range` of the object is asked for; none if there is nothing to ask for.
///
/// The object's size is exact if it is finalized, and a lower bound if it is not. What lies beyond a lower
/// bound is asked for in one part of its own, since only its first byte is known not to be an error. Fails
/// with errc::range_not_satisfiable, or errc::invalid_argument for an option out of its range.
result<range_list> plan_fetch(byte_range range, const object_info& object, const fetch_options& options);

/// How many bytes at the front of `asked` are there, when `received(i)` came for `parts[i]`.
///
/// Fails with errc::short_read where the end of the object does not explain what is missing, else with
/// errc::range_not_satisfiable unless the caller allowed it.
result<std::size_t> validate_fetch(
    byte_range asked,
    const range_list& parts,
    const std::function<std::uint64_t(std::size_t)>& received,
    const object_info& object,
    bool allow_short
);

}  // namespace rangeio::engine
