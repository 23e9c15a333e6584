#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace rangeio::tool {

/// The text with everything that shows no character of its own as `\xNN`, byte by byte: control and format
/// characters, line and paragraph separators (Unicode's Cc, Cf, Zl, Zp), and what is not UTF-8. So a name from
/// outside moves no cursor, breaks no line and reorders nothing.
std::string printable(std::string_view text);

/// JSON, in which the same characters are `\uNNNN`: to a parser nothing changes.
std::string json_text(const boost::json::value& value);

}  // namespace rangeio::tool
