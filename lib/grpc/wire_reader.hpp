#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rangeio::wire {

using slice = std::span<const std::byte>;

/// A run of bytes of a message that is a list of slices: `size` bytes that begin `offset` bytes into slice
/// number `slice` and go on in the slices after it. All zero when empty.
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

/// Reads the fields of a protobuf message that lies in a list of slices, one after the other:
///
///     for (auto tag = in.next(); tag != 0; tag = in.next()) {
///         switch (tag) {
///             case varint_field(1): offset = in.int64(); break;
///             default: in.skip(tag);  // a known number with another wire type is an unknown field, too
///         }
///     }
///
/// Each tag is followed by exactly one read or skip. Failure is sticky: after the first one everything reads
/// as zero or empty and next() as the end, so only error() at the very end has to be looked at. It accepts
/// and rejects what protobuf's own parser does.
///
/// Lifetimes: the slices and their list until the last use. Guarantee: no member throws or allocates.
class wire_reader {
public:
    explicit wire_reader(std::span<const slice> message) noexcept;

    /// The next field's tag (number and wire type), or 0 at the end of the message or after a failure.
    std::uint32_t next() noexcept;

    std::int64_t int64() noexcept { return static_cast<std::int64_t>(varint(max_value_bytes)); }
    bool boolean() noexcept { return varint(max_value_bytes) != 0; }
    std::uint32_t fixed32() noexcept;

    /// Where the content of a length-delimited field lies; steps over it.
    extent bytes() noexcept;

    /// Reads a length-delimited field as a message: to `read_fields`, its end looks like the end of
    /// everything. It is to read until next() returns 0.
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

    /// Steps over the field with this tag, whatever it holds.
    void skip(std::uint32_t tag) noexcept;

    /// What was wrong, a static string; null as long as nothing was.
    const char* error() const noexcept { return error_; }

private:
    // Padding with zeros is legal up to these lengths, and bits that do not fit are dropped: as protobuf does
    // it.
    static constexpr int max_tag_bytes = 5;
    static constexpr int max_length_bytes = 5;
    static constexpr int max_value_bytes = 10;

    std::uint64_t varint(int max_bytes) noexcept;
    std::size_t length() noexcept;  // never more than left_
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
