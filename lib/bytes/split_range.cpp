#include <rangeio/error.hpp>
#include <rangeio/split_range.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace rangeio {

range_parts split_range(byte_range range, std::size_t concurrency, std::uint64_t min_chunk) {
    if (concurrency == 0 || min_chunk == 0) {
        throw error({
            errc::invalid_argument,
            fmt::format(
                "split of {}: concurrency {} or min_chunk {} is less than 1",
                to_string(range),
                concurrency,
                min_chunk
            ),
        });
    }
    const auto count = std::min<std::uint64_t>(concurrency, range.length() / min_chunk);
    return {range, static_cast<std::size_t>(std::max<std::uint64_t>(count, 1))};
}

}  // namespace rangeio
