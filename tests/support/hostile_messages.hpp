#pragma once

#include <rangeio/crc32c.hpp>

#include "unit/wire_fields.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// Messages of a service on a BidiReadObject call, encoded by hand, so that they may be invalid.
namespace support::hostile {

using rangeio::test::bytes_field;
using rangeio::test::fixed32_field;
using rangeio::test::varint_field;

inline std::string number(std::uint32_t field, std::int64_t value) {
    return varint_field(field, static_cast<std::uint64_t>(value));
}

inline std::string timestamp(std::uint32_t field, std::int64_t seconds, std::int32_t nanos) {
    return bytes_field(field, number(1, seconds) + number(2, nanos));
}

/// The metadata of an object, as a field of a response.
inline std::string metadata(std::int64_t generation, std::int64_t size, const std::string& more = {}) {
    const std::string finalized = bytes_field(36, number(1, 1));
    return bytes_field(4, bytes_field(1, "o") + number(3, generation) + number(6, size) + finalized + more);
}

inline std::string handle(std::string_view bytes) {
    return bytes_field(7, bytes_field(1, bytes));
}

enum class checksum { right, wrong, none };

/// A chunk of a range, as a field of a response.
inline std::string piece(
    std::int64_t read_id,
    std::int64_t offset,
    std::string_view bytes,
    bool range_end,
    checksum sum = checksum::right
) {
    const std::uint32_t crc = rangeio::crc32c(std::as_bytes(std::span(bytes)));
    std::string data = bytes_field(1, bytes);
    if (sum != checksum::none) data += fixed32_field(2, sum == checksum::right ? crc : ~crc);
    const std::string range =
        number(1, offset) + number(2, static_cast<std::int64_t>(bytes.size())) + number(3, read_id);
    return bytes_field(6, bytes_field(1, data) + bytes_field(2, range) + number(3, range_end ? 1 : 0));
}

/// The end of one range, within `range_errors`.
inline std::string range_error(std::int64_t read_id, std::int64_t code, std::string_view text) {
    return bytes_field(1, number(1, read_id) + bytes_field(2, number(1, code) + bytes_field(2, text)));
}

/// Details of the end of a call, of a type that the service defines.
inline std::string detail(std::string_view type, const std::string& value) {
    const std::string url = "type.googleapis.com/google.storage.v2." + std::string(type);
    return bytes_field(3, bytes_field(1, url) + bytes_field(2, value));
}

inline std::string range_errors(const std::string& errors) {
    return detail("BidiReadObjectError", errors);
}

inline std::string redirect(std::string_view token, const std::optional<std::string>& new_handle = {}) {
    std::string value = bytes_field(2, token);
    if (new_handle) value += bytes_field(1, bytes_field(1, *new_handle));
    return detail("BidiReadObjectRedirectedError", value);
}

}  // namespace support::hostile
