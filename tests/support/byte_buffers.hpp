#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <vector>

namespace support {

inline grpc::ByteBuffer to_buffer(const std::string& message) {
    const grpc::Slice slice(message);
    return {&slice, 1};
}

/// The bytes of the buffer; empty if it cannot be read.
inline std::string to_text(const grpc::ByteBuffer& buffer) {
    std::vector<grpc::Slice> slices;
    std::string out;
    if (!buffer.Dump(&slices).ok()) return out;
    for (const grpc::Slice& slice : slices) {
        out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return out;
}

}  // namespace support
