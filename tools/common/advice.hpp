#pragma once

#include <string>
#include <string_view>

namespace rangeio::tool {

// What to type instead, where a habit from another program explains an error: `; ...` to be appended to its text,
// or nothing.

/// For a text that is not of the form gs://bucket/object.
std::string advice_on_uri(std::string_view uri);
/// For a prefix that no name has.
std::string advice_on_prefix(std::string_view bucket, std::string_view prefix);
/// For a name that no object has.
std::string advice_on_name(std::string_view bucket, std::string_view name);

}  // namespace rangeio::tool
