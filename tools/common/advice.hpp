#pragma once

#include <string>
#include <string_view>

namespace rangeio::tool {

// Advice for errors that a habit from another program explains: `; ...`, to be appended to the error text, or an empty
// text.

/// For a text that is not of the form gs://bucket/object.
std::string advice_on_uri(std::string_view uri);
/// For a prefix that no object name has.
std::string advice_on_prefix(std::string_view bucket, std::string_view prefix);
/// For a name that no object has.
std::string advice_on_name(std::string_view bucket, std::string_view name);

}  // namespace rangeio::tool
