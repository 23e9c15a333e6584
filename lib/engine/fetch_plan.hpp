#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/fetch_options.hpp>
#include <rangeio/object.hpp>

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

// The plan of a fetch, and the validation of the bytes received: rules 3.4 and S6, without I/O.

namespace rangeio::engine {

using range_list = boost::container::small_vector<byte_range, 4>;

/// errc::invalid_argument for an option out of its range.
error_value check_division(const fetch_options& options);

/// errc::range_not_satisfiable if `range` of the object must not be requested; empty otherwise.
error_value refuse_range(byte_range range, const object_info& object, bool allow_short);

/// The end up to which memory is allocated for bytes that may have been appended to a growing object since its last
/// report: twice the reported size plus 1 MiB. For a range that ends beyond, a new report is required first.
constexpr std::uint64_t plausible_end(const object_info& object) noexcept {
    constexpr std::uint64_t spare = std::uint64_t{1} << 20;
    return object.finalized || object.size > byte_range::max_end / 4 ? byte_range::max_end
                                                                     : 2 * object.size + spare;
}

/// Sets `parts` to the parts in which `range` of the object is requested; none if it is empty.
///
/// The size of a finalized object is exact, otherwise it is a lower bound. The bytes beyond a lower bound are requested
/// in one part of their own, because for a part that begins later the service may report an error.
///
/// Errors: errc::range_not_satisfiable; errc::invalid_argument for an option out of its range.
error_value plan_fetch(
    byte_range range, const object_info& object, const fetch_options& options, range_list& parts
);

/// Whether `range` rides in an opening message, when nothing is known of the object: if it would be one part. The parts
/// of a division are for several streams; to send a front of them with the open would save no round trip, since the
/// rest has to wait for the size.
///
/// Requires: valid options.
bool rides(byte_range range, const fetch_options& options);

/// The number of bytes at the front of `asked` that have been read, if `received(i)` bytes arrived for `parts[i]`.
///
/// Errors: errc::short_read if the end of the object does not explain the missing bytes; otherwise
///         errc::range_not_satisfiable for missing bytes unless `allow_short`.
result<std::size_t> validate_fetch(
    byte_range asked,
    const range_list& parts,
    const std::function<std::uint64_t(std::size_t)>& received,
    const object_info& object,
    bool allow_short
);

}  // namespace rangeio::engine
