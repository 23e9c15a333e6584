#include <rangeio/crc32c.hpp>
#include <rangeio/error.hpp>

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace rangeio {
namespace {

// Polynomials over GF(2) modulo the Castagnoli polynomial, bit 31 being the coefficient of x^0.
constexpr std::uint32_t castagnoli = 0x82F63B78;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
    std::uint32_t product = 0;
    for (; a != 0; a <<= 1) {
        if (a & 0x80000000) product ^= b;
        b = (b >> 1) ^ (b & 1 ? castagnoli : 0);
    }
    return product;
}

// shift_by[k] is x^(8 * 2^k), the factor by which 2^k appended bytes multiply a checksum.
constexpr auto shift_by = [] {
    std::array<std::uint32_t, 64> powers{};
    powers[0] = 0x80000000 >> 8;
    for (std::size_t k = 1; k < powers.size(); ++k) powers[k] = multiply(powers[k - 1], powers[k - 1]);
    return powers;
}();

constexpr std::size_t copy_block = 32 * 1024;             // source and destination together stay in L2
constexpr std::size_t isal_limit = std::size_t(1) << 30;  // ISA-L takes its length as an int

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
    return crc32c_extend(0, bytes);
}

std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
    std::uint32_t state = ~crc;  // ISA-L inverts neither its argument nor its result
    while (!bytes.empty()) {
        const auto block = bytes.first(std::min(bytes.size(), isal_limit));
        auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(block.data()));  // read only
        state = crc32_iscsi(data, static_cast<int>(block.size()), state);
        bytes = bytes.subspan(block.size());
    }
    return ~state;
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b) noexcept {
    for (std::size_t k = 0; length_b != 0; length_b >>= 1, ++k) {
        if (length_b & 1) crc_a = multiply(crc_a, shift_by[k]);
    }
    return crc_a ^ crc_b;
}

std::uint32_t crc32c_copy(
    std::span<std::byte> destination, std::span<const std::byte> source, std::uint32_t crc
) {
    if (destination.size() < source.size()) {
        throw error({
            errc::invalid_argument,
            fmt::format("crc32c_copy: {} bytes do not fit into {}", source.size(), destination.size()),
        });
    }
    while (!source.empty()) {
        const auto block = source.first(std::min(source.size(), copy_block));
        std::memcpy(destination.data(), block.data(), block.size());
        crc = crc32c_extend(crc, block);
        source = source.subspan(block.size());
        destination = destination.subspan(block.size());
    }
    return crc;
}

}  // namespace rangeio
