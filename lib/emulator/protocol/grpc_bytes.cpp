#include "emulator/protocol/grpc_bytes.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace rangeio::emulator {
namespace {

// Below this size, one allocation and a copy cost less than two more slices and a reference.
constexpr std::size_t max_copied_bytes = 16 << 10;

void release_piece(void* holder) {
    delete static_cast<object_section*>(holder);
}

grpc::Slice joined(const framed_message& message) {
    const std::span<const std::byte> payload = message.payload.bytes();
    grpc_slice slice = grpc_slice_malloc(message.head.size() + payload.size() + message.tail.size());
    auto* out = GRPC_SLICE_START_PTR(slice);
    std::memcpy(out, message.head.data(), message.head.size());
    out += message.head.size();
    if (!payload.empty()) {
        std::memcpy(out, payload.data(), payload.size());
        out += payload.size();
    }
    std::memcpy(out, message.tail.data(), message.tail.size());
    return {slice, grpc::Slice::STEAL_REF};
}

}  // namespace

contiguous_message::contiguous_message(const grpc::ByteBuffer& buffer) {
    if (!buffer.TrySingleSlice(&slice_).ok() && !buffer.DumpToSingleSlice(&slice_).ok()) {
        throw call_error(status_code::internal, "cannot read the message");
    }
}

grpc::ByteBuffer to_byte_buffer(framed_message message) {
    if (message.payload.bytes().size() <= max_copied_bytes) {
        const grpc::Slice slice = joined(message);
        return {&slice, 1};
    }
    auto holder = std::make_unique<object_section>(std::move(message.payload));
    const std::span<const std::byte> payload = holder->bytes();
    auto* const bytes = const_cast<std::byte*>(payload.data());
    const std::array<grpc::Slice, 3> slices{
        grpc::Slice(message.head),
        grpc::Slice(bytes, payload.size(), release_piece, holder.release()),
        grpc::Slice(message.tail),
    };
    return {slices.data(), slices.size()};
}

grpc::ByteBuffer to_byte_buffer(const std::string& message) {
    const grpc::Slice slice(message);
    return {&slice, 1};
}

grpc::Status to_grpc(const status& how) {
    return {static_cast<grpc::StatusCode>(how.code), how.message, how.details};
}

}  // namespace rangeio::emulator
