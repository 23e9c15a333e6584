#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rangeio::detail {

/// The memory of a caller: buffers that are filled one after the other, as if they were one.
class destination {
public:
    destination() = default;
    /// Implicit, so that a span converts to a destination.
    destination(std::span<std::byte> memory) { append(memory.data(), memory.size()); }
    /// Copies the descriptors of the buffers. Allocates if there are more than four.
    template <class MutableBufferSequence>
    static destination of(const MutableBufferSequence& buffers) {
        destination out;
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end; ++it) {
            const boost::asio::mutable_buffer next(*it);
            out.append(static_cast<std::byte*>(next.data()), next.size());
        }
        return out;
    }

    std::uint64_t size() const noexcept { return size_; }
    /// Whether all of it is contiguous, at `memory()`.
    bool contiguous() const noexcept { return count_ <= 1; }
    std::byte* memory() const noexcept { return front_[0].memory; }

    /// Calls `use(memory, at, length)` for each piece of [begin, begin + length), where `at` counts from `begin`.
    template <class Use>
    void for_each_piece(std::uint64_t begin, std::uint64_t length, Use use) const {
        const piece* it = &piece_at(begin);
        for (std::uint64_t at = 0; at < length; ++it) {
            const std::uint64_t inside = begin + at - it->begin;
            const std::uint64_t n = std::min(length - at, it->size - inside);
            use(it->memory + inside, at, n);
            at += n;
        }
    }

    /// The memory at `begin` up to the end of its buffer, but at most `most` bytes.
    std::span<std::byte> first_piece(std::uint64_t begin, std::uint64_t most) const {
        const piece& first = piece_at(begin);
        const std::uint64_t inside = begin - first.begin;
        return {first.memory + inside, static_cast<std::size_t>(std::min(most, first.size - inside))};
    }

private:
    struct piece {
        std::byte* memory = nullptr;
        std::uint64_t begin = 0;
        std::uint64_t size = 0;
    };

    const piece& piece_at(std::uint64_t position) const noexcept {
        const std::span<const piece> all = pieces();
        const auto behind = [](std::uint64_t at, const piece& p) { return at < p.begin; };
        return *(std::upper_bound(all.begin(), all.end(), position, behind) - 1);
    }
    void append(std::byte* memory, std::uint64_t size) {
        if (size == 0) return;
        const piece next{memory, size_, size};
        if (count_ < front_.size()) {
            front_[count_] = next;
        } else {
            if (many_.empty()) many_.assign(front_.begin(), front_.end());
            many_.push_back(next);
        }
        ++count_;
        size_ += size;
    }
    std::span<const piece> pieces() const noexcept {
        if (many_.empty()) return std::span(front_).first(count_);
        return many_;
    }

    std::array<piece, 4> front_;
    std::vector<piece> many_;  // all of them, if there are more
    std::size_t count_ = 0;
    std::uint64_t size_ = 0;
};

}  // namespace rangeio::detail
