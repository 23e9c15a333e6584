#pragma once

#include <rangeio/sim/allocation_failures.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>

namespace rangeio::testing {

/// Destinations that detect writes after the end of their operation.
///
/// The memory is kept until the end, so that a late write meets a stamp and not the bytes of another operation.
class watched_memory {
public:
    std::span<std::byte> take(std::size_t size) {
        const sim::allocation_exemption own;
        blocks_.push_back({std::make_unique<std::byte[]>(size), size, false});
        return {blocks_.back().bytes.get(), size};
    }

    /// The operation has ended.
    void retire(std::span<std::byte> memory) {
        for (block& b : blocks_) {
            if (b.bytes.get() != memory.data()) continue;
            std::fill_n(b.bytes.get(), b.size, stamp);
            b.retired = true;
        }
    }

    /// A destination for the lifetime of its operation, however that ends.
    class guard {
    public:
        guard(watched_memory& of, std::size_t size) : of_(of), span_(of.take(size)) {}
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;
        ~guard() { of_.retire(span_); }
        std::span<std::byte> span() const noexcept { return span_; }

    private:
        watched_memory& of_;
        const std::span<std::byte> span_;
    };

    /// Whether no memory was written after the end of its operation.
    bool intact() const {
        for (const block& b : blocks_) {
            if (b.retired &&
                std::any_of(b.bytes.get(), b.bytes.get() + b.size, [](std::byte x) { return x != stamp; })) {
                return false;
            }
        }
        return true;
    }

private:
    static constexpr std::byte stamp{0xdd};
    struct block {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t size;
        bool retired;
    };
    std::deque<block> blocks_;
};

}  // namespace rangeio::testing
