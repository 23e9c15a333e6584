#pragma once

#include "kit_export.hpp"

#include <cstddef>
#include <string>
#include <string_view>

// Checks and cleaning of texts from callers and peers.

namespace rangeio {

/// Whether `text` is UTF-8. protobuf prints on standard error when it sends a string that is not, so every name from a
/// caller is checked first.
bool is_utf8(std::string_view text) noexcept;

/// Whether a header may have this as its value: bytes 0x20 to 0x7e. gRPC aborts the process for any other.
RANGEIO_KIT_EXPORT bool fits_header(std::string_view text) noexcept;

/// `text` as part of a message for people: one line of UTF-8 without terminal control characters and without changes of
/// the writing direction. Such characters become spaces; bytes that are not UTF-8 become U+FFFD. A text longer than
/// `max_bytes` is cut, and ends with "...".
std::string printable(std::string_view text, std::size_t max_bytes = 1024);

}  // namespace rangeio
