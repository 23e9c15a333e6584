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

// One BidiReadObject call, as the downloader sees it: the seam between protocol and wire. No gRPC header
// here, so that scripted calls can stand in.

namespace rangeio::grpc_transport {

/// What the opening message says besides its ranges.
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

/// How a call ended.
struct call_end {
    call_end() = default;
    call_end(failure reason) : why(std::move(reason)) {}  // implicit: most ends have no details

    /// Empty if the service ended the call with OK.
    failure why;
    /// There was no connection: the service has not seen the call.
    bool unconnected = false;
    /// The service wants the next call to go elsewhere.
    struct redirection {
        std::string routing_token;               // empty: none was given
        std::optional<std::string> read_handle;  // absent: the one before stays good
    };
    std::optional<redirection> redirect;
    /// What it says of single ranges.
    std::vector<fsm::range_error> range_errors;
    /// It may say more than is here: its details are malformed, or did not fit.
    bool unreadable = false;
};

/// Called by the call, on the delivering thread. on_response() and on_write_done() may run at the same time;
/// on_done() is last.
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

    /// Opens the call. The first message says the spec and `ranges`, at most 100 of them. What is passed here and to
    /// write() is copied before they return.
    virtual void start(const call_spec& spec, std::span<const fsm::wire_range> ranges) = 0;
    /// Sends a further message. Only after the on_write_done() of the one before; without effect after on_done().
    virtual void write(std::span<const fsm::wire_range> ranges) = 0;
    /// Ends the call; on_done() follows. At any time after start(), from any thread.
    virtual void cancel() noexcept = 0;
    /// No byte has come for so many looks, four to a stall timeout, after `excused` calls in a row that were given up
    /// so and excused: what is to be made of it? After start(); the call goes on.
    virtual fsm::silence classify_silence(unsigned checks, [[maybe_unused]] unsigned excused) noexcept {
        return checks < fsm::checks_per_stall ? fsm::silence::borne : fsm::silence::stalled;
    }
};

/// One connection to the service, as calls see it: a channel of gRPC that shares its connection with no other, or a
/// simulated one.
class connection {
public:
    virtual ~connection() = default;

    /// Makes a call that rides on this connection. `events` is kept until on_done() has returned.
    virtual std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) = 0;
    /// Asks the peer for a sign of life, beside all calls. Calls `answered` once if one comes, from any thread but not
    /// from inside; drops it after a while. False: there is no way to ask.
    virtual bool probe([[maybe_unused]] std::function<void()> answered) { return false; }
};

/// Makes connections. One connects when its first call needs it.
class connection_maker {
public:
    virtual ~connection_maker() = default;
    virtual std::shared_ptr<connection> connect() = 0;
};

/// Makes calls, and decides on which connection each is made.
class bidi_connector {
public:
    virtual ~bidi_connector() = default;

    /// `events` is kept until on_done() has returned.
    virtual std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) = 0;
};

}  // namespace rangeio::grpc_transport
