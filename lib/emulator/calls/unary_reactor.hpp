#pragma once

#include "emulator/calls/call_reactor.hpp"
#include "emulator/calls/sequential_reactor.hpp"

#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <string>
#include <string_view>

namespace rangeio::emulator {

using unary_handler = std::string (service::*)(std::string_view request, const call_info& call);

/// One unary call: its handler runs on a worker.
class unary_reactor final : public sequential_reactor {
public:
    unary_reactor(
        service& shared,
        open_calls& calls,
        rpc_counters& counters,
        grpc::GenericCallbackServerContext& context,
        unary_handler handler
    )
        : sequential_reactor(shared, calls, counters, context), handler_(handler) {}

    void start() override { StartRead(&request_); }
    void OnReadDone(bool ok) noexcept override;
    void shut_down() noexcept override;

private:
    void proceed() noexcept override;
    void handle() noexcept;
    /// Whether a fault decides how the call ends.
    bool strike();

    unary_handler handler_;
    std::atomic<bool> hung_ = false;
    std::atomic<bool> shut_down_ = false;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer response_;
};

/// A call of a method that is not served.
class unknown_reactor final : public call_reactor {
public:
    unknown_reactor(
        service& shared,
        open_calls& calls,
        rpc_counters& counters,
        grpc::GenericCallbackServerContext& context
    )
        : call_reactor(shared, calls, counters, context), method_(context.method()) {}

    void start() override;

private:
    std::string method_;
};

}  // namespace rangeio::emulator
