#pragma once

#include "emulator/protocol/messages.hpp"
#include "emulator/protocol/status.hpp"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

namespace rangeio::emulator {

/// A message as one piece of memory; not copied when it came as one.
class contiguous_message {
public:
    /// Throws call_error INTERNAL when the buffer cannot be read.
    explicit contiguous_message(const grpc::ByteBuffer& buffer);

    std::string_view view() const noexcept {
        return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()};
    }

private:
    grpc::Slice slice_;
};

/// The message for the transport. A large payload stays where it was read to until the transport lets go of it.
grpc::ByteBuffer to_byte_buffer(framed_message message);
grpc::ByteBuffer to_byte_buffer(const std::string& message);

grpc::Status to_grpc(const status& how);

}  // namespace rangeio::emulator
