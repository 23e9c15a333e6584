#include "grpc/wire_reader.hpp"

#include <algorithm>

namespace rangeio::wire {
namespace {

enum wire_type : std::uint32_t {
    varint_type,
    fixed64_type,
    length_type,
    group_type,
    end_group_type,
    fixed32_type
};

constexpr wire_type type_of(std::uint32_t tag) noexcept {
    return static_cast<wire_type>(tag & 7);
}

}  // namespace

wire_reader::wire_reader(std::span<const slice> message) noexcept : message_(message) {
    for (const slice part : message) {
        left_ += part.size();
    }
}

std::uint32_t wire_reader::next() noexcept {
    if (left_ == 0) {
        return 0;
    }
    const auto tag = static_cast<std::uint32_t>(varint(max_tag_bytes));
    if (tag >> 3 == 0) {
        fail("field number zero");
    }
    return error_ == nullptr ? tag : 0;
}

std::uint64_t wire_reader::varint(int max_bytes) noexcept {
    std::uint64_t value = 0;
    for (int i = 0; i < max_bytes; ++i) {
        const std::uint8_t part = byte();
        value |= static_cast<std::uint64_t>(part & 0x7f) << (7 * i);
        if (part < 0x80) {
            return error_ == nullptr ? value : 0;
        }
    }
    fail("varint of too many bytes");
    return 0;
}

std::uint32_t wire_reader::fixed32() noexcept {
    std::uint32_t value = 0;
    for (int shift = 0; shift < 32; shift += 8) {
        value |= static_cast<std::uint32_t>(byte()) << shift;
    }
    return error_ == nullptr ? value : 0;
}

extent wire_reader::bytes() noexcept {
    const std::size_t size = length();
    if (size == 0) {
        return {};
    }
    skip_empty_slices();
    const extent where{index_, offset_, size};
    advance(size);
    return where;
}

std::size_t wire_reader::length() noexcept {
    const std::uint64_t size = varint(max_length_bytes);
    if (size > left_) {
        fail("length beyond the end of the message");
    }
    return error_ == nullptr ? static_cast<std::size_t>(size) : 0;
}

void wire_reader::skip(std::uint32_t tag) noexcept {
    switch (type_of(tag)) {
        case varint_type: varint(max_value_bytes); return;
        case fixed64_type: advance(8); return;
        case length_type: advance(length()); return;
        case group_type: skip_group(tag >> 3); return;
        case end_group_type: fail("end of a group that was not opened"); return;
        case fixed32_type: advance(4); return;
    }
    fail("unknown wire type");
}

void wire_reader::skip_group(std::uint32_t number) noexcept {
    if (levels_ == 0) {
        fail("groups nested too deep");
        return;
    }
    --levels_;
    std::uint32_t tag = next();
    for (; tag != 0 && type_of(tag) != end_group_type; tag = next()) {
        skip(tag);
    }
    if (tag >> 3 != number) {
        fail("group without its end");
    }
    ++levels_;
}

std::uint8_t wire_reader::byte() noexcept {
    if (left_ == 0) {
        fail("truncated");
        return 0;
    }
    skip_empty_slices();
    --left_;
    return std::to_integer<std::uint8_t>(message_[index_][offset_++]);
}

void wire_reader::advance(std::size_t size) noexcept {
    if (size > left_) {
        fail("truncated");
        return;
    }
    left_ -= size;
    while (size != 0) {
        skip_empty_slices();
        const std::size_t step = std::min(size, message_[index_].size() - offset_);
        offset_ += step;
        size -= step;
    }
}

// Only while bytes are left: otherwise there would be no slice to stop at.
void wire_reader::skip_empty_slices() noexcept {
    while (offset_ == message_[index_].size()) {
        ++index_;
        offset_ = 0;
    }
}

void wire_reader::fail(const char* what) noexcept {
    // The first failure is the cause; later ones are consequences.
    if (error_ == nullptr) {
        error_ = what;
    }
    left_ = 0;
}

}  // namespace rangeio::wire
