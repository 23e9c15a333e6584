#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What may become of texts that others wrote.

namespace rangeio {

/// Whether `text` is UTF-8. protobuf prints on standard error when a string that it is to send is not, so this is asked
/// first of everything that a caller names.
bool is_utf8(std::string_view text) noexcept;

/// Whether a header may have this as its value: bytes 0x20 to 0x7e. gRPC aborts the process for any other.
bool fits_header(std::string_view text) noexcept;

/// `text` as part of a message for people: one line of UTF-8 that no terminal takes for a command or for another
/// direction of writing. Such characters become spaces, bytes that are not UTF-8 U+FFFD. What is longer than
/// `max_bytes` is cut, and ends with "...".
std::string printable(std::string_view text, std::size_t max_bytes = 1024);

}  // namespace rangeio
