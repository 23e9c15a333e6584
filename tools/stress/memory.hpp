#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace rangeio::tool {

/// The memory of one worker's reads, which detects invalid writes: behind a destination, or after the operation had
/// ended. Its size is constant, however many reads there are.
///
/// Threads: one at a time, except for writers of the lent bytes.
class stress_memory {
public:
    static constexpr std::size_t max_bytes = std::size_t{128} << 10;

    /// A destination; its destructor returns it, when the operation has ended.
    class loan {
    public:
        loan(stress_memory& from, std::size_t size);
        loan(const loan&) = delete;
        loan& operator=(const loan&) = delete;
        ~loan();

        std::span<std::byte> bytes() const noexcept { return bytes_; }

    private:
        stress_memory& from_;
        std::size_t block_;
        std::span<std::byte> bytes_;
    };

    stress_memory();

    /// Checks all memory that is not lent. False once an invalid write was found, and from then on.
    bool intact();

private:
    static constexpr std::byte stamp{0xdd};
    static constexpr std::size_t guard_bytes = 64;
    static constexpr std::size_t block_bytes = max_bytes + guard_bytes;
    // A block is reused after this number of others: a late write within that time is detected.
    static constexpr std::size_t blocks = 12;

    struct block {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t used = 0;  // by the current or last loan
        bool lent = false;
    };

    std::size_t lend();
    void check(std::span<const std::byte> stamped) noexcept;

    std::array<block, blocks> blocks_;
    std::size_t next_ = 0;
    bool intact_ = true;
};

}  // namespace rangeio::tool
