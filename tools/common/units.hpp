#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rangeio::tool {

/// A number of bytes as people write it: decimal digits, then nothing, `B`, `KiB`, `MiB`, `GiB` or `TiB`.
/// Empty for any other text, and for what does not fit in 63 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// A time as people write it: decimal digits, then `ms`, `s`, `m` or `h`; `0` needs no unit. Empty for any
/// other text, and for more than ten years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Decimal digits only: no sign, no space. Empty for any other text, and for what does not fit.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// `8 MiB` where that is exact, else `1.5 GiB`, `17 B`.
std::string size_text(double bytes);
/// As parse_size reads it: `8MiB`.
std::string size_option_text(std::uint64_t bytes);
/// As parse_duration reads it: `2m`.
std::string duration_option_text(std::chrono::milliseconds time);
/// Three digits and a unit: `1.23 ms`, `45.6 us`.
std::string latency_text(std::chrono::nanoseconds time);

}  // namespace rangeio::tool
