#pragma once

#include <rangeio/byte_range.hpp>

#include <cstdint>
#include <string_view>

namespace rangeio {

/// A range as a person writes it, before the size of the object is known.
///
/// | text  | bytes                                   | resolved on an object of `size` bytes           |
/// |-------|-----------------------------------------|-------------------------------------------------|
/// | `A-B` | from A up to B, which is excluded       | an error unless `B <= size`                     |
/// | `A-`  | from A to the end                       | an error unless `A <= size`; empty at `A == size` |
/// | `-N`  | the last N, or all where there are fewer | never an error                                  |
///
/// Decimal digits only: no sign, unit, space or separator. `A-A` and `-0` are empty ranges. `A-B` reaching
/// past the end is an error and not cut short as HTTP would: whoever names an end expects that many bytes.
///
/// Units:   bytes.
/// Threads: as any value.
class range_spec {
public:
    /// The whole object, as `0-`.
    constexpr range_spec() noexcept = default;

    /// Throws: errc::invalid_argument, saying the text and what is wrong with it: nothing in it, no dash, a
    ///         negative number, something that is no number, one above `byte_range::max_end`, or B below A.
    static range_spec parse(std::string_view text);

    /// The bytes meant, of an object of `object_size` bytes.
    ///
    /// Throws: errc::range_not_satisfiable, saying the range and the size, when the object has no such bytes;
    ///         errc::invalid_argument when `object_size` is above `byte_range::max_end`.
    byte_range resolve(std::uint64_t object_size) const;

    /// Whether it reaches to the end, wherever that is: `A-` and `-N`.
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
