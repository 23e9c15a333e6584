#pragma once

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace rangeio {

/// Bytes that are shared and not written any more. A copy shares them; they live as long as one of the copies.
///
/// Threads:  as a container: const members may be called by several threads at once. Copies may belong to different
///           threads.
class byte_slice {
public:
    byte_slice() noexcept = default;
    byte_slice(std::shared_ptr<const std::byte[]> memory, std::span<const std::byte> bytes) noexcept
        : memory_(std::move(memory)), bytes_(bytes) {}

    const std::byte* data() const noexcept { return bytes_.data(); }
    std::size_t size() const noexcept { return bytes_.size(); }
    bool empty() const noexcept { return bytes_.empty(); }
    std::span<const std::byte> span() const noexcept { return bytes_; }

    /// The bytes as a buffer of Asio, for a write.
    operator boost::asio::const_buffer() const noexcept { return {bytes_.data(), bytes_.size()}; }

private:
    std::shared_ptr<const std::byte[]> memory_;
    std::span<const std::byte> bytes_;
};

}  // namespace rangeio
