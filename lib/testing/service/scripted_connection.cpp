#include "testing/service/scripted_connection.hpp"

#include "status_numbers.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::testing {
namespace {

call_script::ending ended(const char* why) {
    return {status_number::unavailable, why, {}, {}, false};
}

}  // namespace

scripted_connection::scripted_connection(std::shared_ptr<scripted_network> network)
    : network_(std::move(network)) {
    network_->connections_.push_back(this);
}

scripted_connection::~scripted_connection() {
    std::erase(network_->connections_, this);
}

void scripted_connection::enter(connection_user& call, time_point now) {
    if (!connected_) {
        if (network_->away(now)) {
            call_script::ending refused = ended("the connection was refused");
            refused.unconnected = true;
            call.lost(refused);
            return;
        }
        connected_ = true;
        ++network_->connected_;
    }
    waiting_.push_back(&call);
    admit_waiting();
}

void scripted_connection::leave(connection_user& call) {
    forget(call);
    admit_waiting();
}

void scripted_connection::forget(connection_user& call) noexcept {
    std::erase(served_, &call);
    std::erase(waiting_, &call);
}

void scripted_connection::admit_waiting() {
    const std::uint64_t most = network_->service_.max_streams;
    while (!silent_ && !waiting_.empty() && (most == 0 || served_.size() < most)) {
        served_.push_back(waiting_.front());
        waiting_.pop_front();
        served_.back()->admitted();
    }
}

void scripted_connection::strike(const fault& what, time_point now) {
    if (what.kind == fault_kind::silent_connection) silent_ = true;
    if (what.kind == fault_kind::too_many_pings) die(ended("too_many_pings"));
    if (what.kind == fault_kind::outage) {
        network_->away_until_ = std::max(network_->away_until_, now + what.delay);
        const auto all = network_->connections_;
        for (scripted_connection* c : all) c->die(ended("the service went away"));
    }
}

// The end of a silent connection does not reach its calls.
void scripted_connection::die(const call_script::ending& how) {
    if (silent_) return;
    connected_ = false;
    auto calls = std::exchange(served_, {});
    calls.insert(calls.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    for (connection_user* call : calls) call->lost(how);
}

}  // namespace rangeio::testing
