#pragma once

#include "grpc/response_decoder.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Protobuf messages made by hand, field by field, with what no serializer would write.
namespace rangeio::test {

/// A varint, padded with zeros to `min_bytes`.
std::string varint(std::uint64_t value, std::size_t min_bytes = 1);

/// One field each: tag and value.
std::string varint_field(std::uint32_t number, std::uint64_t value);
std::string fixed32_field(std::uint32_t number, std::uint32_t value);
std::string fixed64_field(std::uint32_t number, std::uint64_t value);
std::string bytes_field(std::uint32_t number, std::string_view content);
std::string group_field(std::uint32_t number, std::string_view fields);

/// A message cut into slices. Each slice is an allocation of its own, so that AddressSanitizer sees a read
/// past its end.
class sliced {
public:
    /// `next_size` returns the size of each slice; zero makes an empty one.
    sliced(std::string_view message, const std::function<std::size_t()>& next_size);

    /// Slices of `size` bytes, or one slice.
    explicit sliced(std::string_view message, std::size_t size = std::string_view::npos);

    sliced(const sliced&) = delete;
    sliced& operator=(const sliced&) = delete;

    std::span<const wire::slice> slices() const { return slices_; }

private:
    std::vector<std::vector<std::byte>> memory_;
    std::vector<wire::slice> slices_;
};

}  // namespace rangeio::test
