#include "bench_patterns.hpp"

#include <algorithm>
#include <array>

namespace rangeio::tool {
namespace {

constexpr std::array<std::string_view, 5> pattern_names{
    "seq", "strided", "interleaved", "zigzag", parquet_pattern
};
constexpr std::uint64_t stride = 16;
constexpr std::uint64_t scans = 4;
constexpr std::uint64_t zig = 16;
constexpr std::uint64_t zag = 8;
// A row group has twelve column chunks of two blocks. These are read: the numbers of their first blocks.
constexpr std::uint64_t row_group = 24;
constexpr std::array<std::uint64_t, 3> column_chunks{2, 8, 18};

}  // namespace

std::span<const std::string_view> regular_patterns() noexcept {
    return pattern_names;
}

read_trace pattern_pass(std::string_view pattern, std::uint64_t block_bytes, std::uint64_t blocks) {
    read_trace out(blocks * block_bytes);
    const auto distance = [block_bytes](std::uint64_t n) {
        return static_cast<std::int64_t>(n * block_bytes);
    };
    const auto run = [&](std::uint64_t first, std::uint64_t count, std::uint64_t step) {
        out.add({.offset = first * block_bytes, .length = block_bytes, .count = count, .step = distance(step)}
        );
    };
    if (pattern == "strided") {
        run(0, (blocks + stride - 1) / stride, stride);
    } else if (pattern == "interleaved") {
        const std::uint64_t each = std::max<std::uint64_t>(blocks / scans, 1);
        out.repeat(each, distance(1));
        for (std::uint64_t i = 0; i < std::min(blocks, scans); ++i) run(i * each, 1, 0);
    } else if (pattern == "zigzag") {
        const std::uint64_t first = std::min(blocks, zig);
        out.repeat((blocks - first) / (zig - zag) + 1, distance(zig - zag));
        run(0, first, 1);
    } else if (pattern == parquet_pattern) {
        run(blocks - 1, 1, 0);
        const std::uint64_t groups = (blocks - 1) / row_group;
        if (groups != 0) out.repeat(groups, distance(row_group));
        for (const std::uint64_t chunk : column_chunks) {
            if (groups != 0) run(chunk, 2, 1);
        }
    } else {
        run(0, blocks, 1);
    }
    return out;
}

}  // namespace rangeio::tool
