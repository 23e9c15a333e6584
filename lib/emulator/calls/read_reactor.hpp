#pragma once

#include "emulator/calls/call_reactor.hpp"
#include "emulator/calls/object_read.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <optional>

namespace rangeio::emulator {

/// One ReadObject call. Its operations follow one another, so it needs no lock.
class read_reactor final : public call_reactor {
public:
    using call_reactor::call_reactor;

    void start() override { StartRead(&request_); }
    void OnReadDone(bool ok) noexcept override;
    void OnWriteDone(bool ok) noexcept override;

private:
    void send_next() noexcept;

    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
    std::optional<object_read> read_;
};

}  // namespace rangeio::emulator
