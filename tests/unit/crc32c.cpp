#include <rangeio/crc32c.hpp>

#include "support/bytes_of.hpp"
#include "unit/message_of.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <vector>

using rangeio::crc32c;
using rangeio::crc32c_combine;
using rangeio::crc32c_copy;
using rangeio::crc32c_extend;
using support::bytes_of;
using bytes = std::vector<std::byte>;

namespace {

// The definition, a bit at a time and independent of the library.
std::uint32_t reference(std::span<const std::byte> data) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            t[i] = i;
            for (int bit = 0; bit < 8; ++bit) t[i] = (t[i] >> 1) ^ (t[i] & 1 ? 0x82F63B78u : 0u);
        }
        return t;
    }();
    std::uint32_t crc = 0xFFFFFFFF;
    for (const auto b : data) crc = (crc >> 8) ^ table[(crc ^ std::uint32_t(b)) & 0xFF];
    return ~crc;
}

bytes noise(std::size_t size, std::mt19937_64& random) {
    bytes made(size);
    for (auto& b : made) b = std::byte(random() & 0xFF);
    return made;
}

}  // namespace

TEST_CASE("crc32c: the check value, the empty input and the vectors of RFC 3720 have their checksums") {
    CHECK(crc32c(bytes_of("123456789")) == 0xE3069283);
    CHECK(crc32c({}) == 0);
    CHECK(crc32c(bytes(32, std::byte(0x00))) == 0x8A9136AA);
    CHECK(crc32c(bytes(32, std::byte(0xFF))) == 0x62A8AB43);
}

TEST_CASE("crc32c: the result equals the bytewise definition at every length and alignment") {
    std::mt19937_64 random(5);
    const auto data = noise(5000, random);
    for (std::size_t length = 0; length < 300; ++length) {
        const auto part = std::span(data).subspan(length % 17, length);
        REQUIRE(crc32c(part) == reference(part));
    }
    CHECK(crc32c(data) == reference(data));
}

TEST_CASE("crc32c: extending and combining at any split give the checksum of the whole") {
    std::mt19937_64 random(6);
    for (int round = 0; round < 500; ++round) {
        const auto data = noise(random() % 3000, random);
        const auto cut = random() % (data.size() + 1);
        const auto a = std::span(data).first(cut);
        const auto b = std::span(data).subspan(cut);
        REQUIRE(crc32c_extend(crc32c(a), b) == reference(data));
        REQUIRE(crc32c_combine(crc32c(a), crc32c(b), b.size()) == reference(data));
    }
}

TEST_CASE("crc32c: combining is associative for lengths beyond any memory") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 500; ++round) {
        const auto a = std::uint32_t(random());
        const auto b = std::uint32_t(random());
        const auto c = std::uint32_t(random());
        const auto length_b = random() >> (random() % 60 + 1);
        const auto length_c = random() >> (random() % 60 + 1);
        REQUIRE(
            crc32c_combine(crc32c_combine(a, b, length_b), c, length_c) ==
            crc32c_combine(a, crc32c_combine(b, c, length_c), length_b + length_c)
        );
        REQUIRE(crc32c_combine(a, 0, 0) == a);
    }
}

TEST_CASE("crc32c_copy: the source is copied exactly, and the checksum continues") {
    std::mt19937_64 random(8);
    for (const std::size_t size : {0u, 1u, 100u, 32767u, 32768u, 32769u, 65536u, 200003u}) {
        const auto source = noise(size, random);
        bytes destination(size + 8, std::byte(0xEE));
        REQUIRE(crc32c_copy(destination, source) == reference(source));
        REQUIRE(std::equal(source.begin(), source.end(), destination.begin()));
        REQUIRE(std::all_of(destination.end() - 8, destination.end(), [](auto b) {
            return b == std::byte(0xEE);
        }));
        REQUIRE(
            crc32c_copy(destination, source, crc32c(bytes_of("ahead"))) ==
            crc32c_combine(crc32c(bytes_of("ahead")), reference(source), size)
        );
    }
}

TEST_CASE("crc32c_copy: a destination that is too short is an error and stays untouched") {
    const bytes source(10, std::byte(1));
    bytes destination(9, std::byte(0));
    CHECK(message_of(rangeio::errc::invalid_argument, [&] {
              (void)crc32c_copy(destination, source);
          }) == "crc32c_copy: 10 bytes do not fit into 9");
    CHECK(destination == bytes(9, std::byte(0)));
}
