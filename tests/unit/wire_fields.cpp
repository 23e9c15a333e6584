#include "unit/wire_fields.hpp"

namespace rangeio::test {
namespace {

std::string tag(std::uint32_t number, std::uint32_t wire_type) {
    return varint(std::uint64_t{number} << 3 | wire_type);
}

std::string little_endian(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
        out += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return out;
}

}  // namespace

std::string varint(std::uint64_t value, std::size_t min_bytes) {
    std::string out;
    for (; value >= 0x80 || out.size() + 1 < min_bytes; value >>= 7) {
        out += static_cast<char>(value & 0x7f) | '\x80';
    }
    return out += static_cast<char>(value);
}

std::string varint_field(std::uint32_t number, std::uint64_t value) {
    return tag(number, 0) + varint(value);
}

std::string fixed64_field(std::uint32_t number, std::uint64_t value) {
    return tag(number, 1) + little_endian(value, 8);
}

std::string bytes_field(std::uint32_t number, std::string_view content) {
    return tag(number, 2) + varint(content.size()) + std::string(content);
}

std::string group_field(std::uint32_t number, std::string_view fields) {
    return tag(number, 3) + std::string(fields) + tag(number, 4);
}

std::string fixed32_field(std::uint32_t number, std::uint32_t value) {
    return tag(number, 5) + little_endian(value, 4);
}

sliced::sliced(std::string_view message, const std::function<std::size_t()>& next_size) {
    while (!message.empty()) {
        const std::string_view part = message.substr(0, next_size());
        const auto* first = reinterpret_cast<const std::byte*>(part.data());
        memory_.emplace_back(first, first + part.size());
        message.remove_prefix(part.size());
    }
    slices_.assign(memory_.begin(), memory_.end());
}

sliced::sliced(std::string_view message, std::size_t size) : sliced(message, [=] { return size; }) {}

}  // namespace rangeio::test
