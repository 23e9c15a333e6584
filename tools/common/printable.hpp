#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace rangeio::tool {

/// The text, in which every character without a glyph is replaced by `\xNN`, byte by byte: control and format
/// characters, line and paragraph separators (Unicode's Cc, Cf, Zl, Zp), and bytes that are not UTF-8. So an external
/// name moves no cursor, breaks no line and reorders no text.
std::string printable(std::string_view text);

/// JSON in which the same characters are written as `\uNNNN`: the parsed value is the same.
std::string json_text(const boost::json::value& value);

}  // namespace rangeio::tool
