#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>

#include <fmt/format.h>

namespace rangeio {

void detail::throw_range_too_far(std::uint64_t offset, std::uint64_t length) {
    throw error({
        errc::invalid_argument,
        fmt::format("range: {} bytes at {} end above {}", length, offset, byte_range::max_end),
    });
}

void detail::throw_range_reversed(std::uint64_t begin, std::uint64_t end) {
    throw error({errc::invalid_argument, fmt::format("range: end {} is before begin {}", end, begin)});
}

std::string to_string(const byte_range& range) {
    return fmt::format("[{}, {})", range.offset(), range.end());
}

}  // namespace rangeio
