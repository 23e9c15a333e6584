#pragma once

#include <rangeio/multi_range_downloader.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace support {

/// A sink with a name, for tests of machines, which do not access their sinks.
class named_sink final : public rangeio::range_sink {
public:
    explicit named_sink(std::uint64_t number) : name(number) {}

    rangeio::byte_range range() const noexcept override { return {}; }
    std::uint32_t take(std::uint64_t, std::span<const std::byte>, std::uint32_t crc) noexcept override {
        return crc;
    }
    void done(const rangeio::range_outcome&) noexcept override {}

    const std::uint64_t name;
};

inline std::shared_ptr<rangeio::range_sink> sink_named(std::uint64_t number) {
    return std::make_shared<named_sink>(number);
}

inline std::uint64_t name_of(const rangeio::range_sink* sink) {
    return dynamic_cast<const named_sink&>(*sink).name;
}

}  // namespace support
