#pragma once

#include <rangeio/crc32c.hpp>
#include <rangeio/multi_range_downloader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

namespace support {

inline const std::string content = "The quick brown fox jumps over the lazy dog.";

/// A range that is read, whose memory and outcome the test looks at.
class reader final : public rangeio::range_sink {
public:
    reader(std::uint64_t offset, std::uint64_t length) : range_(offset, length), memory(length, '.') {}

    rangeio::byte_range range() const noexcept override { return range_; }
    std::uint32_t take(
        std::uint64_t position, std::span<const std::byte> bytes, std::uint32_t crc
    ) noexcept override {
        std::memcpy(memory.data() + position, bytes.data(), bytes.size());
        return rangeio::crc32c_extend(crc, bytes);
    }
    void done(const rangeio::range_outcome& how) noexcept override { outcome = how; }

private:
    const rangeio::byte_range range_;

public:
    std::string memory;
    std::optional<rangeio::range_outcome> outcome;
};

}  // namespace support
