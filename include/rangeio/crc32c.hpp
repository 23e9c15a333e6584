#pragma once

#include <rangeio/detail/visibility.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace rangeio {

// CRC32C (Castagnoli), as the service sends it: the checksum of "123456789" is 0xE3069283, that of no bytes is 0. All
// functions are pure and may be called from any thread.

/// The checksum of `bytes`.
RANGEIO_API std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

/// The checksum of the bytes behind `crc` followed by `bytes`.
RANGEIO_API std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The checksum of A followed by B, from the checksums of both and the length of B. Reads neither A nor B; O(log
/// length_b).
///
/// Units:  `length_b` in bytes.
RANGEIO_API std::uint32_t crc32c_combine(
    std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b
) noexcept;

/// Copies `source` to the front of `destination` and returns `crc32c_extend(crc, source)`, in one pass: each block is
/// checksummed while it is in the cache.
///
/// Requires:  the two do not overlap.
/// Throws:    errc::invalid_argument, with both sizes, if `destination` is shorter than `source`; nothing is copied
///            then.
RANGEIO_API std::uint32_t crc32c_copy(
    std::span<std::byte> destination, std::span<const std::byte> source, std::uint32_t crc = 0
);

}  // namespace rangeio
