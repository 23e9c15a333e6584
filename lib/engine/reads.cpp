#include "engine/reads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace rangeio::engine {

error_value check_destination(std::uint64_t room, byte_range range) {
    if (room >= range.length()) return {};
    return {
        errc::invalid_argument, fmt::format("destination: {} bytes are fewer than {}", room, range.length())
    };
}

void append_parts(
    transfer_parts& parts, const range_list& ranges, std::uint64_t origin, const detail::destination& into
) {
    if (into.contiguous()) return append_parts(parts, ranges, origin, into.memory());
    for (const byte_range& range : ranges) {
        parts.emplace_back().range = range;
        parts.back().pieces = &into;
        parts.back().position = range.offset() - origin;
    }
}

void append_parts(transfer_parts& parts, const range_list& ranges, std::uint64_t origin, std::byte* memory) {
    for (const byte_range& range : ranges) {
        parts.emplace_back().range = range;
        parts.back().memory = memory + (range.offset() - origin);
    }
}

void append_tail(transfer_parts& parts, std::uint64_t length, std::byte* memory) {
    parts.emplace_back().range = byte_range(0, length);
    parts.back().tail = true;
    parts.back().memory = memory;
}

void append_unit(
    transfer_parts& parts, byte_range range, fsm::unit_id unit, std::shared_ptr<prefetch_unit> fetched
) {
    parts.emplace_back().range = range;
    parts.back().unit = unit;
    parts.back().fetched = std::move(fetched);
}

void copy_into(
    const detail::destination& into, std::uint64_t position, std::span<const std::byte> bytes
) noexcept {
    into.for_each_piece(
        position,
        bytes.size(),
        [from = bytes.data()](std::byte* to, std::uint64_t at, std::uint64_t n) {
            std::memcpy(to, from + at, n);
        }
    );
}

byte_block allocate(std::uint64_t size) {
    auto* const memory = size > byte_range::max_end ? nullptr : new (std::nothrow) std::byte[size];
    if (memory == nullptr) {
        const auto code = make_error_code(boost::system::errc::not_enough_memory);
        throw error(error_value(code, fmt::format("no memory for {} bytes", size)));
    }
    return {std::unique_ptr<std::byte[]>(memory), static_cast<std::size_t>(size)};
}

byte_block shrink(byte_block block, std::size_t size) {
    if (size >= block.size()) return block;
    byte_block exact = allocate(size);
    std::ranges::copy(block.span().first(size), exact.data());
    return exact;
}

}  // namespace rangeio::engine
