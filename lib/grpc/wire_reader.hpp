#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rangeio::wire {

using slice = std::span<const std::byte>;

/// A run of bytes of a message that is a list of slices: `size` bytes that begin at `offset` of slice number `slice`
/// and continue in the following slices. All zero if empty.
struct extent {
    std::size_t slice = 0;
    std::size_t offset = 0;
    std::size_t size = 0;

    bool operator==(const extent&) const = default;
};

constexpr std::uint32_t varint_field(std::uint32_t number) noexcept {
    return number << 3;
}

constexpr std::uint32_t length_delimited_field(std::uint32_t number) noexcept {
    return number << 3 | 2;
}

constexpr std::uint32_t fixed32_field(std::uint32_t number) noexcept {
    return number << 3 | 5;
}

/// Reads the fields of a protobuf message in a list of slices, one after the other:
///
///     for (auto tag = in.next(); tag != 0; tag = in.next()) {
///         switch (tag) {
///             case varint_field(1): offset = in.int64(); break;
///             default: in.skip(tag);  // a known number with another wire type is an unknown field, too
///         }
///     }
///
/// Each tag must be followed by exactly one read or skip. Failure is sticky: after the first one all values are zero or
/// empty and next() returns 0, so a check of error() at the end suffices. The reader accepts and rejects the same bytes
/// as protobuf's own parser.
///
/// Lifetimes: the slices and their list must outlive the last use.
/// Guarantee: no member throws or allocates.
class wire_reader {
public:
    explicit wire_reader(std::span<const slice> message) noexcept;

    /// The next field's tag (number and wire type), or 0 at the end of the message or after a failure.
    std::uint32_t next() noexcept;

    std::int64_t int64() noexcept { return static_cast<std::int64_t>(varint(max_value_bytes)); }
    bool boolean() noexcept { return varint(max_value_bytes) != 0; }
    std::uint32_t fixed32() noexcept;

    /// The extent of the content of a length-delimited field; skips the content.
    extent bytes() noexcept;

    /// Reads a length-delimited field as a message: within `read_fields`, next() returns 0 at the end of the field.
    /// `read_fields` must read until then.
    template <class ReadFields>
    void nested(ReadFields read_fields) {
        const std::size_t size = length();
        const std::size_t outside = left_ - size;
        left_ = size;
        --levels_;
        read_fields();
        ++levels_;
        assert(left_ == 0);
        left_ = error_ == nullptr ? outside : 0;
    }

    /// Skips the field with this tag, of any type.
    void skip(std::uint32_t tag) noexcept;

    /// The first error, a static string; null if there was none.
    const char* error() const noexcept { return error_; }

private:
    // Padding with zeros is legal up to these lengths, and bits that do not fit are dropped, as in protobuf.
    static constexpr int max_tag_bytes = 5;
    static constexpr int max_length_bytes = 5;
    static constexpr int max_value_bytes = 10;

    std::uint64_t varint(int max_bytes) noexcept;
    std::size_t length() noexcept;  // at most left_
    std::uint8_t byte() noexcept;
    void advance(std::size_t size) noexcept;
    void skip_group(std::uint32_t number) noexcept;
    void skip_empty_slices() noexcept;
    void fail(const char* what) noexcept;

    std::span<const slice> message_;
    std::size_t index_ = 0;   // the current slice
    std::size_t offset_ = 0;  // in the current slice
    std::size_t left_ = 0;    // to the end of the innermost message; the slices hold at least as much
    int levels_ = 100;        // of messages and groups that may still be opened: protobuf's default limit
    const char* error_ = nullptr;
};

}  // namespace rangeio::wire
