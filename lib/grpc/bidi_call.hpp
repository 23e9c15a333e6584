#pragma once

#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include "fsm/mrd_fsm.hpp"
#include "grpc/response_decoder.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// The interface of one BidiReadObject call, between protocol and wire. It includes no gRPC header, so scripted calls
// can implement it.

namespace rangeio::grpc_transport {

/// The content of the opening message without its ranges.
struct call_spec {
    object_ref object;
    std::string read_handle;    // empty: none
    std::string routing_token;  // empty: none
};

/// One response, valid during on_response() only.
struct incoming {
    std::span<const wire::slice> message;
    std::span<const wire::data_chunk> chunks;
    const object_info* metadata = nullptr;     // null: the response has none
    const std::string* read_handle = nullptr;  // null: the response has none
};

/// The end of a call.
struct call_end {
    call_end() = default;
    call_end(error_value reason) : why(std::move(reason)) {}  // implicit: most ends have no details

    /// Empty if the service ended the call with OK.
    error_value why;
    /// There was no connection: the call has not reached the service.
    bool unconnected = false;
    /// The service redirects the next call.
    struct redirection {
        std::string routing_token;               // empty: none
        std::optional<std::string> read_handle;  // absent: the previous one remains valid
    };
    std::optional<redirection> redirect;
    /// The service's errors for single ranges.
    std::vector<fsm::range_error> range_errors;
    /// The end may have had further details: they are malformed, or did not fit.
    bool unreadable = false;
};

/// Called by a bidi_call, on the delivering thread. on_response() and on_write_done() may run at the same time;
/// on_done() is the last call.
class bidi_call_events {
public:
    virtual void on_response(const incoming& response) noexcept = 0;
    virtual void on_write_done() noexcept = 0;
    /// No other member is running or will be called by this call.
    virtual void on_done(const call_end& end) noexcept = 0;

protected:
    ~bidi_call_events() = default;
};

class bidi_call {
public:
    virtual ~bidi_call() = default;

    /// Opens the call. The first message has the spec and `ranges`, at most 100 of them. The arguments of start() and
    /// write() are copied before they return.
    virtual void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) = 0;
    /// Sends a further message. Only after the on_write_done() of the previous one; without effect after on_done().
    virtual void write(std::span<const fsm::wire_range> ranges) = 0;
    /// Ends the call; on_done() follows. At any time after start(), on any thread.
    virtual void cancel() noexcept = 0;
    /// Classifies the silence of the call: no byte has arrived for `checks` stall checks, four in each stall timeout,
    /// and `excused` calls of the stream in a row were abandoned for the same reason before. After start(); the call
    /// continues.
    virtual fsm::silence classify_silence(unsigned checks, [[maybe_unused]] unsigned excused) noexcept {
        return checks < fsm::checks_per_stall ? fsm::silence::borne : fsm::silence::stalled;
    }
};

/// One connection to the service: a channel of gRPC that shares its connection with no other channel, or a simulated
/// connection.
class connection {
public:
    virtual ~connection() = default;

    /// Makes a call on this connection. `events` is kept until on_done() has returned.
    virtual std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) = 0;
    /// Asks the peer for a sign of life, independently of all calls. Calls `answered` once if one arrives, on any
    /// thread but not inside probe(); drops it after a time limit. False: the peer cannot be asked.
    virtual bool probe([[maybe_unused]] std::function<void()> answered) { return false; }
};

/// Makes connections. A connection is established when its first call needs it.
class connection_maker {
public:
    virtual ~connection_maker() = default;
    virtual std::shared_ptr<connection> connect() = 0;
};

/// Makes calls, and selects the connection of each.
class bidi_connector {
public:
    virtual ~bidi_connector() = default;

    /// `events` is kept until on_done() has returned.
    virtual std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) = 0;
};

}  // namespace rangeio::grpc_transport
