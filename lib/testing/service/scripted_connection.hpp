#pragma once

#include "testing/service/call_script.hpp"

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

namespace rangeio::testing {

/// What a call hears of its connection.
class connection_user {
public:
    /// The service sees the call.
    virtual void admitted() = 0;
    /// The call is over.
    virtual void lost(const call_script::ending& how) = 0;

protected:
    ~connection_user() = default;
};

class scripted_connection;

/// Whether a service can be reached, for all connections to it. No threads, no clock: the time is passed in.
class scripted_network {
public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit scripted_network(const service_state& service) : service_(service) {}

    /// New connections are refused.
    bool away(time_point now) const noexcept { return now < away_until_; }
    /// How many connections were made.
    std::uint64_t connected() const noexcept { return connected_; }

private:
    friend class scripted_connection;

    const service_state& service_;
    time_point away_until_{};
    std::uint64_t connected_ = 0;
    std::vector<scripted_connection*> connections_;
};

/// One connection to a scripted service: calls ride on it, wait for room on it, hang when it falls silent and end when it
/// dies. Once it has died, the next call connects anew, as with a channel of gRPC.
///
/// No threads, no clock: whoever plays the calls serialises.
class scripted_connection {
public:
    using time_point = scripted_network::time_point;

    explicit scripted_connection(std::shared_ptr<scripted_network> network);
    ~scripted_connection();
    scripted_connection(const scripted_connection&) = delete;
    scripted_connection& operator=(const scripted_connection&) = delete;

    /// A call begins here: `call` is admitted, or lost, now or later, or never. It has to leave.
    void enter(connection_user& call, time_point now);
    void leave(connection_user& call);
    /// The same, where nobody is to move up.
    void forget(connection_user& call) noexcept;
    /// Does to the connection, or to all of them, what the fault says.
    void strike(const fault& what, time_point now);

    /// Whether a call that begins now has to connect first.
    bool unconnected() const noexcept { return !connected_; }
    /// Whether a sign of life would be answered.
    bool answers(time_point now) const noexcept { return !silent_ && (connected_ || !network_->away(now)); }
    /// Nothing passes, in either direction.
    bool silent() const noexcept { return silent_; }

private:
    void admit_waiting();
    void die(const call_script::ending& how);

    const std::shared_ptr<scripted_network> network_;
    std::vector<connection_user*> served_;
    std::deque<connection_user*> waiting_;  // for room
    bool connected_ = false;
    bool silent_ = false;
};

}  // namespace rangeio::testing
