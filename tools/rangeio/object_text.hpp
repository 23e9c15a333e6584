#pragma once

#include <rangeio/object.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace rangeio::tool {

/// RFC 3339, UTC, to the second: `2024-05-01T12:00:00Z`.
std::string time_text(std::chrono::system_clock::time_point time);

/// As in the service's JSON API: base64 of the four bytes, most significant byte first.
std::string crc32c_text(std::uint32_t crc);

/// The object with the field names of the service's JSON API. Generations are strings, as there: they may exceed the
/// numbers that some JSON parsers can represent. Unknown fields are omitted.
boost::json::object object_json(const object_info& info);

}  // namespace rangeio::tool
