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
// | nothing was heard on its connection for the stall timeout | it was asked for a sign of life          | stalled  |
// | had its time                                             | less than so many times before, in a row | slow     |
// | had its time                                             |                                          | stalled  |
// clang-format on
//
// The first connections are as many as the calls are spread over, further ones are opened when those are full. gRPC does
// not show how many calls the peer allows on a connection: it is an option, and learned downwards.
//
// A call's time is the stall timeout; twice as much after each call of its stream that was slow; and as much more as the
// bytes need that may come before its own, for gRPC shows whole messages alone. How much that is tells what came meanwhile;
// if nothing did, the link is taken for one that carries `slow_link` in a stall timeout. It is given to a connection that
// lives. So one that is dead is left after the stall timeout, however much is due; and after twice as much, if the one before
// it seemed dead, too: on a line that is slow enough a sign of life is late.

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

    /// A call on which nothing has come for so many looks.
    struct silent_call {
        connection_id on = 0;
        bool answered = false;
        unsigned looks = 0;
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
    };
    const std::vector<connection>& open() const noexcept { return open_; }
    const std::vector<connection>& replaced() const noexcept { return replaced_; }
    /// Calls that a connection takes, as far as is known.
    std::size_t limit() const noexcept { return limit_; }
    std::size_t turn() const noexcept { return turn_; }

private:
    connection* find(connection_id id) noexcept;
    bool has_room(const connection& c) const noexcept;
    bool may_grow() const noexcept;
    bool crowded(connection& c, const silent_call& call) noexcept;
    unsigned time_of(const silent_call& call, bool alive) const noexcept;
    void replace(connection_id id) noexcept;

    options options_;
    std::size_t limit_;
    std::vector<connection> open_;  // those over which calls are spread come first
    std::vector<connection> replaced_;
    std::size_t turn_ = 0;
    connection_id last_id_ = 0;
};

}  // namespace rangeio::fsm
