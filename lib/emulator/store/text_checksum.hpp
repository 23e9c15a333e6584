#pragma once

#include <rangeio/crc32c.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rangeio::emulator {

inline constexpr std::size_t checksum_digits = 8;

/// The CRC32C of `text`, continued from `seed`, as hexadecimal digits.
inline std::string checksum_of(std::string_view text, std::uint32_t seed = 0) {
    return fmt::format("{:08x}", crc32c_extend(seed, std::as_bytes(std::span(text))));
}

}  // namespace rangeio::emulator
