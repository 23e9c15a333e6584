#pragma once

#include "emulator/calls/object_read.hpp"
#include "emulator/calls/sequential_reactor.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <optional>

namespace rangeio::emulator {

/// One ReadObject call.
class read_reactor final : public sequential_reactor {
public:
    using sequential_reactor::sequential_reactor;

    void start() override { StartRead(&request_); }
    void OnReadDone(bool ok) noexcept override;
    void OnWriteDone(bool ok) noexcept override;

private:
    void proceed() noexcept override;
    void begin() noexcept;
    void make_next() noexcept;
    void send() noexcept;

    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
    std::uint64_t response_bytes_ = 0;  // of its payload
    call_timer::time_point ready_;      // when the request was due, or the response before this one was sent
    std::optional<object_read> read_;
};

}  // namespace rangeio::emulator
