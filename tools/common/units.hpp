#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio::tool {

/// Parses a number of bytes: decimal digits, then nothing, `B`, `KiB`, `MiB`, `GiB` or `TiB`. Empty for any other text,
/// and for a value that does not fit in 63 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// Parses a time: decimal digits, then `ms`, `s`, `m` or `h`; `0` needs no unit. Empty for any other text, and for more
/// than ten years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Parses decimal digits without sign or space. Empty for any other text, and for a value that does not fit.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// Formats a size: `8 MiB` where that is exact, otherwise `1.5 GiB`, `17 B`.
std::string size_text(double bytes);
/// Formats a size as parse_size() accepts it: `8MiB`.
std::string size_option_text(std::uint64_t bytes);
/// Formats a time as parse_duration() accepts it: `2m`.
std::string duration_option_text(std::chrono::milliseconds time);
/// Formats a time with three digits and a unit: `1.23 ms`, `45.6 us`.
std::string latency_text(std::chrono::nanoseconds time);

}  // namespace rangeio::tool
