#pragma once

#include <string_view>

/// The version of these headers, for comparison in `#if`: 10000 * major + 100 * minor + patch.
#define RANGEIO_VERSION 100
/// The same as text.
#define RANGEIO_VERSION_STRING "0.1.0"

namespace rangeio {

inline constexpr std::string_view version = RANGEIO_VERSION_STRING;

}  // namespace rangeio
