#pragma once

#include "emulator/store/stored_object.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {

/// Bytes of an object, in shared memory: a copy refers to the same bytes.
class object_section {
public:
    object_section() = default;
    /// Reads the bytes.
    ///
    /// Requires: the range lies in the object.
    /// Throws:   as stored_object::read.
    object_section(const stored_object& object, std::int64_t offset, std::int64_t length);

    std::span<const std::byte> bytes() const noexcept { return {memory_.get(), size_}; }

private:
    std::shared_ptr<std::byte[]> memory_;
    std::size_t size_ = 0;
};

/// A serialized message that has a piece of an object in its middle: the bytes before it, the piece, the bytes after
/// it. The piece stays in the memory that the file was read into; for this reason these messages are encoded by hand.
struct framed_message {
    std::string head;
    object_section payload;
    std::string tail;
};

/// The content of one BidiReadObjectResponse. The chunks are encoded as they are; nothing is checked here.
struct bidi_response {
    struct range_data {
        object_ptr object;
        std::int64_t offset = 0;
        std::int64_t length = 0;
        std::int64_t read_id = 0;
        /// The bytes, and their checksum, for encode().
        object_section content;
        std::uint32_t crc32c = 0;
        bool range_end = false;
        // Used by faults only: an error of the offset in bytes, zeros after the bytes, a wrong checksum or none. The
        // caller that computes the checksum applies surplus and damage.
        std::int64_t displacement = 0;
        std::int64_t surplus = 0;
        bool damaged = false;
        bool unchecked = false;
    };

    /// A serialized Object.
    std::string metadata;
    std::optional<range_data> data;
    /// Further chunks in the same message. If there are any, or a surplus, the bytes are copied.
    std::vector<range_data> more_data;
    std::string read_handle;
    /// Used by faults only: the size of an unknown field in bytes; the number of empty pieces.
    std::uint64_t padding = 0;
    std::uint64_t empty_chunks = 0;
};
framed_message encode(const bidi_response& response);

/// The content of one ReadObjectResponse.
struct read_response {
    /// The first response describes the object and the range; the others have data only.
    struct opening {
        std::string metadata;
        std::optional<std::uint32_t> object_crc32c;
        std::int64_t start = 0;
        std::int64_t end = 0;
    };

    std::optional<opening> first;
    object_ptr object;
    object_section content;
    std::uint32_t crc32c = 0;
};
framed_message encode(const read_response& response);

/// The google.rpc.Status of a call that requests a wait before the next attempt; empty if `delay` is zero.
std::string encode_retry_info(int code, std::string_view message, std::chrono::nanoseconds delay);

/// A serialized google.rpc.Status with a BidiReadObjectError that names these ranges, for the trailer. Without `each`,
/// only the status as a whole has a message, and at most 100 ranges are named: clients may reject trailers of more than
/// 8 KiB, and would then see neither.
std::string encode_range_errors(
    int code, std::string_view message, std::span<const std::int64_t> read_ids, std::string_view each = {}
);

/// The same with a BidiReadObjectRedirectedError. An empty token is omitted, and so is an empty handle.
std::string encode_redirect(
    int code, std::string_view message, std::string_view token, std::string_view read_handle
);

}  // namespace rangeio::emulator
