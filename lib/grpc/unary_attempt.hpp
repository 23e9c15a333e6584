#pragma once

#include <rangeio/error.hpp>

#include <cstdint>
#include <memory>
#include <string>

// The interface of one metadata call, between a request, which may take several calls, and the wire. It includes no
// gRPC header, so scripted calls can implement it.

namespace rangeio::grpc_transport {

struct unary_request {
    std::string method;   // `/package.Service/Method`
    std::string bucket;   // for the routing header
    std::string message;  // serialized
};

struct unary_end {
    error_value why;            // empty: `response` is the answer
    std::string response = {};  // serialized
    bool unconnected = false;   // there was no connection: the call has not reached the service
};

/// Called by the attempt, on the delivering thread.
class unary_attempt_events {
public:
    /// Called once, as the last call.
    virtual void on_done(unary_end end) noexcept = 0;

protected:
    ~unary_attempt_events() = default;
};

enum class cancel_reason : std::uint8_t { unwanted, stalled };

class unary_attempt {
public:
    virtual ~unary_attempt() = default;

    virtual void start() = 0;
    /// Ends the call early; on_done() follows. At any time after start(), on any thread.
    virtual void cancel(cancel_reason why) noexcept = 0;
};

class unary_connector {
public:
    virtual ~unary_connector() = default;

    /// `events` is kept until on_done() has returned.
    virtual std::shared_ptr<unary_attempt> create(
        std::shared_ptr<const unary_request> request, std::shared_ptr<unary_attempt_events> events
    ) = 0;
};

}  // namespace rangeio::grpc_transport
