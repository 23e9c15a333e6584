#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace rangeio::tool {

/// Memory of one worker's reads that tells whether somebody wrote where or when they had no right to: behind a
/// destination, or after the operation had ended. As much of it as at the beginning, however many reads there are.
///
/// Threads: one at a time, but for those that write into what is lent.
class stress_memory {
public:
    static constexpr std::size_t max_bytes = std::size_t{128} << 10;

    /// A destination, until it goes: that is when its operation has ended.
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

    /// Looks at everything that is not lent. False once something was written, for ever.
    bool intact();

private:
    static constexpr std::byte stamp{0xdd};
    static constexpr std::size_t guard_bytes = 64;
    static constexpr std::size_t block_bytes = max_bytes + guard_bytes;
    // A block is used again after so many others: that long a late write may take, and still be seen.
    static constexpr std::size_t blocks = 12;

    struct block {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t used = 0;  // by the one that has or had it
        bool lent = false;
    };

    std::size_t lend();
    void check(std::span<const std::byte> stamped) noexcept;

    std::array<block, blocks> blocks_;
    std::size_t next_ = 0;
    bool intact_ = true;
};

}  // namespace rangeio::tool
