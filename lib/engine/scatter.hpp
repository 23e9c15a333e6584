#pragma once

#include <rangeio/fetch_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace rangeio::engine {

/// The destinations of joined ranges. The ranges are sorted by offset; they may overlap, nest, repeat and leave gaps.
///
/// Blocks of a few ranges form an implicit interval tree; the root of each subtree is its middle block. So the ranges
/// that share bytes with a slice of the object are found without a scan of all ranges, even if long ranges overlap
/// short ones. There is no state between slices: a slice may arrive twice, after a bad checksum, and on several threads
/// at once.
class scatter {
public:
    static constexpr std::size_t block = 8;

    explicit scatter(std::vector<range_request> sorted)
        : requests_(std::move(sorted)), reach_((requests_.size() + block - 1) / block) {
        index(0, reach_.size());
    }

    /// Calls `use(memory, from, to)` for each range that shares bytes with [begin, end) of the object, in order:
    /// `memory` is the destination of the shared bytes [from, to). Returns the number of ranges and blocks that were
    /// examined.
    template <class Use>
    std::size_t for_each_shared(std::uint64_t begin, std::uint64_t end, Use&& use) const {
        return visit(0, reach_.size(), begin, end, use);
    }

    /// The memory for the bytes of the object from `begin` on, at most `most` of them, as far as they belong to exactly
    /// one range. Empty: the byte at `begin` belongs to several ranges, or to none.
    std::span<std::byte> sole_piece(std::uint64_t begin, std::uint64_t most) const {
        // The window is widened only if it was filled: otherwise small ranges would be examined again for each
        // neighbor.
        constexpr std::uint64_t first_look = 256;
        std::uint64_t look = std::min(most, first_look);
        auto out = sole_piece_within(begin, look);
        while (out.size() == look && look < most) {
            look = std::min(most, 4 * look);
            out = sole_piece_within(begin, look);
        }
        return out;
    }

private:
    std::span<std::byte> sole_piece_within(std::uint64_t begin, std::uint64_t most) const {
        std::span<std::byte> out;
        bool several = false;
        for_each_shared(begin, begin + most, [&](std::byte* memory, std::uint64_t from, std::uint64_t to) {
            if (from > begin) {
                out = out.first(std::min(out.size(), static_cast<std::size_t>(from - begin)));
            } else {
                several = several || !out.empty();
                out = {memory, static_cast<std::size_t>(to - from)};
            }
        });
        return several ? std::span<std::byte>() : out;
    }

    std::uint64_t index(std::size_t first, std::size_t last) noexcept {
        if (first == last) return 0;
        const std::size_t middle = first + (last - first) / 2;
        std::uint64_t reach = std::max(index(first, middle), index(middle + 1, last));
        const std::size_t stop = std::min(requests_.size(), (middle + 1) * block);
        for (std::size_t i = middle * block; i < stop; ++i) reach = std::max(reach, requests_[i].range.end());
        return reach_[middle] = reach;
    }

    template <class Use>
    std::size_t visit(std::size_t first, std::size_t last, std::uint64_t begin, std::uint64_t end, Use& use)
        const {
        std::size_t looks = 0;
        while (first != last) {
            const std::size_t middle = first + (last - first) / 2;
            ++looks;
            if (reach_[middle] <= begin) break;
            looks += visit(first, middle, begin, end, use);
            const std::size_t stop = std::min(requests_.size(), (middle + 1) * block);
            for (std::size_t i = middle * block; i < stop; ++i) {
                const byte_range& range = requests_[i].range;
                ++looks;
                if (range.offset() >= end) return looks;
                const std::uint64_t from = std::max(begin, range.offset());
                const std::uint64_t to = std::min(end, range.end());
                if (from < to) use(requests_[i].destination.data() + (from - range.offset()), from, to);
            }
            first = middle + 1;
        }
        return looks;
    }

    std::vector<range_request> requests_;
    std::vector<std::uint64_t> reach_;  // the largest end of the ranges of a block and of the blocks below it
};

}  // namespace rangeio::engine
