#include "bytes/planner.hpp"

#include <rangeio/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace rangeio::bytes {
namespace {

struct placed_piece {
    std::size_t read;
    read_piece piece;
};

void check(const planner_options& options) {
    if (options.unit_bytes == 0 || (options.max_gap && options.max_merged_bytes == 0)) {
        throw error({
            errc::invalid_argument,
            fmt::format(
                "planning reads: unit_bytes {} and max_merged_bytes {} must be at least 1",
                options.unit_bytes,
                options.max_merged_bytes
            ),
        });
    }
}

template <class Use>
void split_to_unit(const byte_range& range, std::uint64_t unit, Use use) {
    for (auto at = range.offset(); at < range.end(); at += std::min(unit, range.end() - at)) {
        use(byte_range(at, std::min(unit, range.end() - at)));
    }
}

read_plan plan_each(std::span<const byte_range> ranges, std::uint64_t unit) {
    read_plan plan;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        split_to_unit(ranges[i], unit, [&](const byte_range& part) {
            plan.reads.push_back({part, plan.pieces.size(), 1});
            plan.pieces.push_back({i, 0, part.offset() - ranges[i].offset(), part.length()});
        });
    }
    return plan;
}

std::vector<std::size_t> by_offset(std::span<const byte_range> ranges) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (!ranges[i].empty()) order.push_back(i);
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return ranges[i].offset(); });
    return order;
}

// The union of the ranges and of the gaps worth reading, in disjoint pieces of their own.
std::vector<byte_range> coalesce(
    std::span<const byte_range> ranges, std::span<const std::size_t> order, const planner_options& options
) {
    std::vector<byte_range> merged;
    for (const auto i : order) {
        const byte_range& next = ranges[i];
        if (merged.empty()) {
            merged.push_back(next);
            continue;
        }
        byte_range& last = merged.back();
        if (next.end() <= last.end()) continue;
        const bool near = next.offset() <= last.end() || next.offset() - last.end() <= *options.max_gap;
        if (near && next.end() - last.offset() <= options.max_merged_bytes) {
            last = byte_range::from_to(last.offset(), next.end());
        } else {
            merged.push_back(byte_range::from_to(std::max(next.offset(), last.end()), next.end()));
        }
    }
    return merged;
}

}  // namespace

read_plan plan_reads(std::span<const byte_range> ranges, const planner_options& options) {
    check(options);
    if (!options.max_gap) return plan_each(ranges, options.unit_bytes);

    const auto order = by_offset(ranges);
    std::vector<byte_range> parts;
    for (const auto& merged : coalesce(ranges, order, options)) {
        split_to_unit(merged, options.unit_bytes, [&](const byte_range& part) { parts.push_back(part); });
    }

    std::vector<placed_piece> placed;
    for (const auto i : order) {
        const byte_range& wanted = ranges[i];
        auto part = std::ranges::upper_bound(parts, wanted.offset(), {}, &byte_range::end);
        for (; part != parts.end() && part->offset() < wanted.end(); ++part) {
            const auto both = wanted.intersect(*part);
            placed.push_back({
                static_cast<std::size_t>(part - parts.begin()),
                {i, both.offset() - part->offset(), both.offset() - wanted.offset(), both.length()},
            });
        }
    }
    std::ranges::stable_sort(placed, {}, &placed_piece::read);

    // A part that is all gap has no piece, and so it becomes no read.
    read_plan plan;
    plan.pieces.reserve(placed.size());
    for (std::size_t k = 0; k < placed.size(); ++k) {
        if (k == 0 || placed[k].read != placed[k - 1].read) {
            plan.reads.push_back({parts[placed[k].read], k, 0});
        }
        ++plan.reads.back().piece_count;
        plan.pieces.push_back(placed[k].piece);
    }
    return plan;
}

}  // namespace rangeio::bytes
