#include "stress/memory.hpp"

#include <algorithm>
#include <stdexcept>

namespace rangeio::tool {

stress_memory::stress_memory() {
    for (block& b : blocks_) {
        b.bytes = std::make_unique_for_overwrite<std::byte[]>(block_bytes);
        std::fill_n(b.bytes.get(), block_bytes, stamp);
    }
}

void stress_memory::check(std::span<const std::byte> stamped) noexcept {
    intact_ = intact_ && std::ranges::all_of(stamped, [](std::byte b) { return b == stamp; });
}

bool stress_memory::intact() {
    for (const block& b : blocks_) {
        if (!b.lent) check({b.bytes.get(), block_bytes});
    }
    return intact_;
}

// Lends the block that was returned the longest time ago: blocks are returned nearly in the order in which they were
// lent.
std::size_t stress_memory::lend() {
    for (std::size_t i = 0; i < blocks; ++i) {
        const std::size_t index = next_++ % blocks;
        block& b = blocks_[index];
        if (b.lent) continue;
        check({b.bytes.get(), b.used + guard_bytes});
        b.lent = true;
        return index;
    }
    throw std::length_error("all destinations are lent already");
}

stress_memory::loan::loan(stress_memory& from, std::size_t size) : from_(from), block_(from.lend()) {
    block& b = from_.blocks_[block_];
    b.used = std::min(size, max_bytes);
    bytes_ = {b.bytes.get(), b.used};
}

stress_memory::loan::~loan() {
    block& b = from_.blocks_[block_];
    from_.check(std::span<const std::byte>(b.bytes.get() + b.used, guard_bytes));
    std::ranges::fill(bytes_, stamp);
    b.lent = false;
}

}  // namespace rangeio::tool
