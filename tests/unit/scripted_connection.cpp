#include "testing/service/scripted_connection.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

using rangeio::testing::armed_faults;
using rangeio::testing::call_script;
using rangeio::testing::connection_user;
using rangeio::testing::fault;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_connection;
using rangeio::testing::scripted_network;
using rangeio::testing::service_state;
using namespace std::chrono_literals;

namespace {

struct user final : connection_user {
    void admitted() override { heard += "served "; }
    void lost(const call_script::ending& how) override {
        heard += how.text + (how.unconnected ? " (unconnected) " : " ");
        CHECK(how.status == 14);
    }
    std::string heard;
};

struct service {
    service()
        : state(fault_script(), [](const fault&, std::size_t, const armed_faults::place&) { return true; }) {}

    static fault of(const char* text) { return fault_script::parse(text).faults[0]; }

    service_state state;
    std::shared_ptr<scripted_network> network = std::make_shared<scripted_network>(state);
    scripted_connection a{network};
    scripted_connection b{network};
    scripted_network::time_point now{};
    std::vector<user> calls = std::vector<user>(6);
};

}  // namespace

TEST_CASE("scripted_connection: calls beyond its limit wait in the order of their arrival") {
    service s;
    s.state.max_streams = 2;
    for (int i = 0; i < 4; ++i) s.a.enter(s.calls[static_cast<std::size_t>(i)], s.now);
    CHECK(s.calls[1].heard == "served ");
    CHECK(s.calls[2].heard.empty());
    s.b.enter(s.calls[4], s.now);
    CHECK(s.calls[4].heard == "served ");
    s.a.leave(s.calls[2]);  // does not wait any more
    s.a.leave(s.calls[0]);
    CHECK(s.calls[2].heard.empty());
    CHECK(s.calls[3].heard == "served ");
    CHECK(s.network->connected() == 2);
}

TEST_CASE("scripted_connection: calls on a silent connection get no event, not even the end of the service") {
    service s;
    s.a.enter(s.calls[0], s.now);
    s.a.strike(service::of("silent-connection"), s.now);
    CHECK(s.a.silent());
    CHECK_FALSE(s.a.answers(s.now));
    s.a.enter(s.calls[1], s.now);
    s.b.enter(s.calls[2], s.now);
    s.b.strike(service::of("outage delay=1s"), s.now);
    CHECK(s.calls[0].heard == "served ");
    CHECK(s.calls[1].heard.empty());
    CHECK(s.calls[2].heard == "served the service went away ");
}

TEST_CASE("scripted_connection: too many pings end one connection, and the next call makes another") {
    service s;
    s.state.max_streams = 1;
    s.a.enter(s.calls[0], s.now);
    s.a.enter(s.calls[1], s.now);
    s.b.enter(s.calls[2], s.now);
    s.a.strike(service::of("too-many-pings"), s.now);
    CHECK(s.calls[0].heard == "served too_many_pings ");
    CHECK(s.calls[1].heard == "too_many_pings ");
    CHECK(s.calls[2].heard == "served ");
    CHECK(s.a.unconnected());
    s.a.enter(s.calls[3], s.now);
    CHECK(s.calls[3].heard == "served ");
    // Of the connection before, whose end the call has heard of by now.
    s.a.leave(s.calls[0]);
    s.a.enter(s.calls[4], s.now);
    CHECK(s.calls[4].heard.empty());
    CHECK(s.network->connected() == 3);
}

TEST_CASE("scripted_connection: an outage ends all connections, and refuses new ones for its delay") {
    service s;
    s.a.enter(s.calls[0], s.now);
    s.b.enter(s.calls[1], s.now);
    s.a.strike(service::of("outage delay=10s"), s.now);
    s.a.strike(service::of("outage delay=1s"), s.now);  // makes the first no shorter
    CHECK(s.calls[0].heard == "served the service went away ");
    CHECK(s.calls[1].heard == "served the service went away ");
    s.now += 9s;
    s.b.enter(s.calls[2], s.now);
    CHECK(s.calls[2].heard == "the connection was refused (unconnected) ");
    CHECK_FALSE(s.b.answers(s.now));
    s.now += 1s;
    CHECK(s.b.answers(s.now));
    s.b.enter(s.calls[3], s.now);
    CHECK(s.calls[3].heard == "served ");
}
