#pragma once

#include <rangeio/object.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace rangeio::tool {

/// RFC 3339, UTC, to the second: `2024-05-01T12:00:00Z`.
std::string time_text(std::chrono::system_clock::time_point time);

/// As the service's JSON API writes it: base64 of the four bytes, the highest first.
std::string crc32c_text(std::uint32_t crc);

/// The names of the service's JSON API. Generations are strings, as there: they may be larger than what every
/// reader of JSON can hold. What is not known is left out.
boost::json::object object_json(const object_info& info);

}  // namespace rangeio::tool
