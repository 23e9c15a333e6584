#pragma once

#include "emulator/protocol/messages.hpp"
#include "emulator/protocol/status.hpp"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

namespace rangeio::emulator {

/// A message as one contiguous block of memory; not copied when it arrived as one slice.
class contiguous_message {
public:
    /// Throws: call_error INTERNAL when the buffer cannot be read.
    explicit contiguous_message(const grpc::ByteBuffer& buffer);

    std::string_view view() const noexcept {
        return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()};
    }

private:
    grpc::Slice slice_;
};

/// The message for the transport. A large payload stays in the memory that it was read into until the transport
/// releases it.
grpc::ByteBuffer to_byte_buffer(framed_message message);
grpc::ByteBuffer to_byte_buffer(const std::string& message);

grpc::Status to_grpc(const status& how);

}  // namespace rangeio::emulator
