#pragma once

#include "common/read_trace.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace rangeio::tool {

/// The footer, which is the last block, then three of twelve columns.
constexpr std::string_view parquet_pattern = "parquet";

/// The names of the patterns that repeat themselves.
std::span<const std::string_view> regular_patterns() noexcept;

/// One pass of a regular pattern, `seq` for any other name, over `blocks` blocks of `block_bytes`.
///
/// Requires: `blocks` is at least 1.
read_trace pattern_pass(std::string_view pattern, std::uint64_t block_bytes, std::uint64_t blocks);

}  // namespace rangeio::tool
