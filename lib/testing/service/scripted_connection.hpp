#pragma once

#include "testing/service/call_script.hpp"

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

namespace rangeio::testing {

/// Receives the events of a connection, for a call.
class connection_user {
public:
    /// The call has reached the service.
    virtual void admitted() = 0;
    /// The call has ended.
    virtual void lost(const call_script::ending& how) = 0;

protected:
    ~connection_user() = default;
};

class scripted_connection;

/// The reachability of a service, for all connections to it. No threads, no clock: the time is passed in.
class scripted_network {
public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit scripted_network(const service_state& service) : service_(service) {}

    /// New connections are refused.
    bool away(time_point now) const noexcept { return now < away_until_; }
    /// The number of connections that were made.
    std::uint64_t connected() const noexcept { return connected_; }

private:
    friend class scripted_connection;

    const service_state& service_;
    time_point away_until_{};
    std::uint64_t connected_ = 0;
    std::vector<scripted_connection*> connections_;
};

/// One connection to a scripted service: it carries calls, which wait for room on it, hang when it becomes silent and
/// end when it ends. After its end, the next call connects anew, as with a channel of gRPC.
///
/// No threads, no clock: the owner of the calls serializes the access.
class scripted_connection {
public:
    using time_point = scripted_network::time_point;

    explicit scripted_connection(std::shared_ptr<scripted_network> network);
    ~scripted_connection();
    scripted_connection(const scripted_connection&) = delete;
    scripted_connection& operator=(const scripted_connection&) = delete;

    /// Begins a call on this connection: `call` is admitted, or lost, now or later, or never. It has to leave.
    void enter(connection_user& call, time_point now);
    void leave(connection_user& call);
    /// The same, where no waiting call is to be admitted.
    void forget(connection_user& call) noexcept;
    /// Applies the fault to the connection, or to all connections.
    void strike(const fault& what, time_point now);

    /// Whether a call that begins now has to connect first.
    bool unconnected() const noexcept { return !connected_; }
    /// Whether a probe would be answered.
    bool answers(time_point now) const noexcept { return !silent_ && (connected_ || !network_->away(now)); }
    /// The connection carries nothing, in either direction.
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
