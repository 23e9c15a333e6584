#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/byte_slice.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace rangeio::engine {

/// A block of the object in memory.
struct readahead_block {
    byte_range range;
    std::shared_ptr<std::byte[]> memory;

    /// Requires: `part` is in the block.
    byte_slice slice(byte_range part) const noexcept {
        return {memory, {memory.get() + (part.offset() - range.offset()), part.length()}};
    }
};

/// What a read-ahead cache keeps: the bytes that the last request was made for, and the block behind them.
class readahead_window {
public:
    readahead_window() = default;
    /// Requires: `ahead` begins where `required` ends.
    readahead_window(readahead_block required, readahead_block ahead) noexcept
        : blocks_{std::move(required), std::move(ahead)} {}

    /// The front of `range` that is in one block; empty if its first byte is not kept.
    byte_slice front_of(byte_range range) const noexcept {
        for (const readahead_block& block : blocks_) {
            const byte_range part = range.intersect(block.range);
            if (!part.empty() && part.offset() == range.offset()) return block.slice(part);
        }
        return {};
    }

private:
    std::array<readahead_block, 2> blocks_;
};

}  // namespace rangeio::engine
