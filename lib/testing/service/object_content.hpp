#pragma once

#include <cstddef>
#include <cstdint>

namespace rangeio::testing {

/// The byte at `offset` of an object of this kit's services, in a generation.
constexpr std::byte object_content(std::int64_t generation, std::uint64_t offset) noexcept {
    std::uint64_t z =
        (offset + 1) * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(generation) * 0xbf58476d1ce4e5b9;
    z ^= z >> 29;
    return static_cast<std::byte>(z * 0x94d049bb133111eb >> 56);
}

}  // namespace rangeio::testing
