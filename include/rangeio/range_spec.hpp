#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/detail/visibility.hpp>

#include <cstdint>
#include <string_view>

namespace rangeio {

/// A range in the form that people write, before the size of the object is known.
///
/// | text  | bytes                                    | resolved on an object of `size` bytes             |
/// |-------|------------------------------------------|---------------------------------------------------|
/// | `A-B` | from A up to B, which is excluded        | an error unless `B <= size`                       |
/// | `A-`  | from A to the end                        | an error unless `A <= size`; empty at `A == size` |
/// | `-N`  | the last N, or all where there are fewer | never an error                                    |
///
/// Decimal digits only: no sign, unit, space or separator. `A-A` and `-0` are empty ranges. An `A-B` that extends past
/// the end is an error, and not truncated as in HTTP: a caller that names an end expects that many bytes.
///
/// Units:    bytes.
/// Threads:  as for any value.
class RANGEIO_API range_spec {
public:
    /// The whole object, as `0-`.
    constexpr range_spec() noexcept = default;

    /// Throws:  errc::invalid_argument, with the text and its error: an empty text, no dash, a negative number, a part
    ///          that is not a number, a number above `byte_range::max_end`, or B below A.
    static range_spec parse(std::string_view text);

    /// The bytes of the range, on an object of `object_size` bytes.
    ///
    /// Throws:  errc::range_not_satisfiable, with the range and the size, if the object does not have these bytes;
    ///          errc::invalid_argument if `object_size` is above `byte_range::max_end`.
    byte_range resolve(std::uint64_t object_size) const;

    /// Whether the range extends to the end of the object, whatever its size: `A-` and `-N`.
    constexpr bool open_ended() const noexcept { return form_ != form::from_to; }

    friend constexpr bool operator==(const range_spec&, const range_spec&) noexcept = default;

private:
    enum class form { from_to, from, last };

    constexpr range_spec(form f, std::uint64_t first, std::uint64_t second) noexcept
        : form_(f), first_(first), second_(second) {}

    form form_ = form::from;
    std::uint64_t first_ = 0;   // A, or N of `-N`
    std::uint64_t second_ = 0;  // B of `A-B`
};

}  // namespace rangeio
