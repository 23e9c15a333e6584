#pragma once

#include <rangeio/error.hpp>

#include <cstdint>
#include <memory>
#include <string>

// One call for metadata: the seam between a question, which may take several, and the wire. No gRPC header here, so that
// scripted calls can stand in.

namespace rangeio::grpc_transport {

struct unary_request {
    std::string method;   // `/package.Service/Method`
    std::string bucket;   // what the routing header names
    std::string message;  // serialized
};

struct unary_end {
    failure why;                // empty: `response` is the answer
    std::string response = {};  // serialized
    bool unconnected = false;   // there was no connection: the service has not seen the call
};

/// Called by the attempt, on the delivering thread.
class unary_attempt_events {
public:
    /// Once; it is the last.
    virtual void on_done(unary_end end) noexcept = 0;

protected:
    ~unary_attempt_events() = default;
};

enum class cancel_reason : std::uint8_t { unwanted, stalled };

class unary_attempt {
public:
    virtual ~unary_attempt() = default;

    virtual void start() = 0;
    /// Ends it early; on_done() follows. At any time after start(), from any thread.
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
