#pragma once

#include <rangeio/testing/fault_script.hpp>

#include <string_view>

namespace rangeio::testing {

/// Whether a script is written as JSON: nothing else begins with `[` or `{`.
bool is_json(std::string_view text);

/// Throws: std::invalid_argument that names the error and its place.
fault_script parse_json(std::string_view text);

}  // namespace rangeio::testing
