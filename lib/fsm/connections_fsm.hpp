#pragma once

#include "fsm/mrd_fsm.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

// The connections of one client as a machine: it selects the connection of the next call, and classifies the silence of
// a call.
//
// clang-format off
// | connection | accepts calls           | leaves by                                                                        |
// |------------|-------------------------|----------------------------------------------------------------------------------|
// | open       | while it has room       | a call on it stalled -> replaced; if beyond `spread`: last call ended -> dropped |
// | replaced   | no: it has a successor  | last call ended -> dropped                                                       |
//
// | a silent call                                           | and                                                  | is      |
// |---------------------------------------------------------|------------------------------------------------------|---------|
// | has no answer, on a connection that answers other calls | a connection has room                                | crowded |
// | its connection has sent nothing for the stall timeout   | its sign of life is overdue as well                  | stalled |
// | has used up its time                                    | so did fewer than max_excused calls before, in a row | slow    |
// | has used up its time                                    |                                                      | stalled |
// clang-format on
//
// The first `spread` connections share the calls; further ones are opened when those are full. gRPC does not report how
// many calls the peer allows on a connection: the number is an option, and is lowered by observation.
//
// The time of a call is the stall timeout, doubled after each slow call of its stream, plus the time that the bytes
// need that may arrive before its own, because gRPC shows whole messages only. That time is estimated from the bytes
// that arrived meanwhile, or else from the last known rate; if no byte has ever arrived, the link is assumed to carry
// `slow_link` in a stall timeout. Only a call on a live connection has the additional time.
//
// A sign of life waits, too, behind the bytes that are in flight when it is requested: in the buffers of sockets and
// routers, and in HTTP/2, whose flow control admits whole messages. So a connection is probed early, and the answer has
// the stall timeout; twice as much if the previous connection seemed dead, too; and at least the time that the bytes
// need that were due at the probe, at the last known rate. A dead connection is abandoned after the stall timeout,
// unless bytes arrived slowly before.

namespace rangeio::fsm {

using connection_id = std::uint64_t;

class connections_fsm {
public:
    struct options {
        std::size_t spread = 4;
        std::size_t streams_per_connection = 100;
        std::size_t max_connections = 64;
        std::chrono::nanoseconds stall_timeout = std::chrono::seconds(20);
    };
    /// In bytes for each stall timeout; 64 KiB/s with the default timeout.
    static constexpr std::uint64_t slow_link = std::uint64_t{5} << 18;
    /// The most bytes of one message of the service: no call waits for more bytes of another call.
    static constexpr std::uint64_t message_bytes = std::uint64_t{2} << 20;
    /// The time doubles at most so many times; then a slow call counts as stalled.
    static constexpr unsigned max_excused = 4;

    explicit connections_fsm(const options& o) : options_(o), limit_(o.streams_per_connection) {}

    /// A call is about to begin. Returns its connection; the shell makes the connection if the id is new.
    connection_id place();
    void answered(connection_id on) noexcept;
    /// A call has ended. `answered`: it had an answer. True: the shell has to drop the connection.
    bool ended(connection_id on, bool answered) noexcept;

    /// A call on which nothing has arrived for `checks` stall checks.
    struct silent_call {
        connection_id on = 0;
        bool answered = false;
        unsigned checks = 0;
        unsigned excused = 0;  // calls of its stream, in a row, that were abandoned for their silence
        time_point now{};
        time_point began{};
        time_point heard{};      // the last sign of life of its connection, or the making of it
        std::uint64_t due = 0;   // bytes that may arrive before its own, on all connections
        std::uint64_t came = 0;  // those that have arrived meanwhile
    };
    struct verdict {
        silence how = silence::borne;
        bool ask = false;   // ask the connection for a sign of life
        bool dead = false;  // all calls on it have to be moved to other connections
    };
    verdict silent(const silent_call& call) noexcept;

    /// Bytes are due again after none were. `came`: bytes received so far, on all connections.
    void busy(time_point now, std::uint64_t came) noexcept { window_ = {now, came}; }
    /// Bytes have arrived. `drained`: none are due any more.
    void moved(time_point now, std::uint64_t came, bool drained) noexcept;
    /// The connection cannot be asked for a sign of life.
    void unaskable(connection_id on) noexcept;

    // The state, for checkers.
    struct connection {
        connection_id id = 0;  // 0: not made yet
        std::size_t calls = 0;
        std::size_t answered = 0;  // of those
        std::size_t room_for = std::numeric_limits<std::size_t>::max();
        bool asked = false;
        bool askable = true;
        time_point asked_at{};
        std::uint64_t due = 0;  // bytes due when it was asked
    };
    const std::vector<connection>& open() const noexcept { return open_; }
    const std::vector<connection>& replaced() const noexcept { return replaced_; }
    /// Calls that a connection accepts, as far as observed.
    std::size_t limit() const noexcept { return limit_; }
    std::size_t turn() const noexcept { return turn_; }
    /// Bytes for each stall timeout that arrived while bytes were due; 0: unknown.
    std::uint64_t rate() const noexcept { return rate_; }

private:
    connection* find(connection_id id) noexcept;
    bool has_room(const connection& c) const noexcept;
    bool may_grow() const noexcept;
    bool crowded(connection& c, const silent_call& call) noexcept;
    unsigned time_of(const silent_call& call, bool alive) const noexcept;
    std::chrono::nanoseconds time_for_answer(const connection& c, unsigned excused) const noexcept;
    void replace(connection_id id) noexcept;

    options options_;
    std::size_t limit_;
    std::vector<connection> open_;  // the first `spread` share the calls
    std::vector<connection> replaced_;
    std::size_t turn_ = 0;
    connection_id last_id_ = 0;
    struct {
        time_point since{};
        std::uint64_t came = 0;
    } window_;
    std::uint64_t rate_ = 0;
};

}  // namespace rangeio::fsm
