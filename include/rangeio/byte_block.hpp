#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace rangeio {

/// A block of memory and its size, as a completed read returns it. Move-only; a moved-from block is empty.
///
/// Threads:  as a container: const members may be called by several threads at once.
class byte_block {
public:
    byte_block() noexcept = default;
    byte_block(std::unique_ptr<std::byte[]> memory, std::size_t size) noexcept
        : memory_(std::move(memory)), size_(size) {}
    byte_block(byte_block&& other) noexcept
        : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
    byte_block& operator=(byte_block&& other) noexcept {
        memory_ = std::move(other.memory_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    std::byte* data() noexcept { return memory_.get(); }
    const std::byte* data() const noexcept { return memory_.get(); }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::span<std::byte> span() noexcept { return {memory_.get(), size_}; }
    std::span<const std::byte> span() const noexcept { return {memory_.get(), size_}; }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t size_ = 0;
};

}  // namespace rangeio
