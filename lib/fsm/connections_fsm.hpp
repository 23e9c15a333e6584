#pragma once

#include "fsm/mrd_fsm.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

// The connections of one client as a machine: on which one the next call is made, and what it means that a call is
// silent.
//
// clang-format off
// | connection | takes calls                      | leaves by                                                          |
// |------------|----------------------------------|--------------------------------------------------------------------|
// | open       | as long as it has room           | a call on it stalled -> replaced; further ones: last call -> gone  |
// | replaced   | no: a new one stands in its place | last call -> gone                                                  |
//
// | a silent call                                            | and                                      | is       |
// |----------------------------------------------------------|------------------------------------------|----------|
// | has no answer, on a connection that answers other calls  | a connection has room                    | crowded  |
// | nothing was heard on its connection for the stall timeout | nor the answer, in the time it has       | stalled  |
// | had its time                                             | less than so many times before, in a row | slow     |
// | had its time                                             |                                          | stalled  |
// clang-format on
//
// The first connections are as many as the calls are spread over, further ones are opened when those are full. gRPC does
// not show how many calls the peer allows on a connection: it is an option, and learned downwards.
//
// A call's time is the stall timeout; twice as much after each call of its stream that was slow; and as much more as the
// bytes need that may come before its own, for gRPC shows whole messages alone. How much that is tells what came meanwhile,
// or when bytes last came; if none ever did, the link is taken for one that carries `slow_link` in a stall timeout. It is
// given to a connection that lives.
//
// A sign of life waits as well behind the bytes that are on their way when it is asked for: in the buffers of sockets and
// routers, and in HTTP/2, whose flow control lets whole messages in. So a connection is asked early, and its answer has the
// stall timeout; twice as much, if the connection before it seemed dead, too; and at least as long as the bytes need that were
// due when it was asked, at the rate at which bytes last came. What is dead is left after the stall timeout, unless bytes came
// slowly before.

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
    /// 64 KiB/s, by the default timeout.
    static constexpr std::uint64_t slow_link = std::uint64_t{5} << 18;
    /// No call waits for more bytes of another than the service puts into a message.
    static constexpr std::uint64_t message_bytes = std::uint64_t{2} << 20;
    /// The time doubles as often, then slow calls are stalled ones.
    static constexpr unsigned max_excused = 4;

    explicit connections_fsm(const options& o) : options_(o), limit_(o.streams_per_connection) {}

    /// A call is about to begin: on this connection. One that has not been named before is to be made.
    connection_id place();
    void answered(connection_id on) noexcept;
    /// `answered`: it was. True: the connection is to be dropped.
    bool ended(connection_id on, bool answered) noexcept;

    /// A call on which nothing has come for so many checks.
    struct silent_call {
        connection_id on = 0;
        bool answered = false;
        unsigned checks = 0;
        unsigned excused = 0;  // calls of its stream, in a row, that were given up for their silence
        time_point now{};
        time_point began{};
        time_point heard{};      // when its connection last gave a sign of life, or was made
        std::uint64_t due = 0;   // bytes that may come before its own, on all connections
        std::uint64_t came = 0;  // that did come, meanwhile
    };
    struct verdict {
        silence how = silence::borne;
        bool ask = false;   // ask the connection for a sign of life
        bool dead = false;  // all calls on it are to go elsewhere
    };
    verdict silent(const silent_call& call) noexcept;

    /// Bytes are due again, where none were. `came`: how many have come so far, on all connections.
    void busy(time_point now, std::uint64_t came) noexcept { window_ = {now, came}; }
    /// Bytes have come. `drained`: none are due any more.
    void moved(time_point now, std::uint64_t came, bool drained) noexcept;
    /// It cannot be asked.
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
        std::uint64_t due = 0;  // bytes, when it was asked
    };
    const std::vector<connection>& open() const noexcept { return open_; }
    const std::vector<connection>& replaced() const noexcept { return replaced_; }
    /// Calls that a connection takes, as far as is known.
    std::size_t limit() const noexcept { return limit_; }
    std::size_t turn() const noexcept { return turn_; }
    /// Bytes that came in a stall timeout while they were due; 0: not known.
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
    std::vector<connection> open_;  // those over which calls are spread come first
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
