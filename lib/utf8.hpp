#pragma once

#include <string_view>

namespace rangeio {

/// Whether `text` is UTF-8. protobuf prints on standard error when a string that it is to send is not, so this is asked
/// first of everything that a caller names.
bool is_utf8(std::string_view text) noexcept;

}  // namespace rangeio
