#include "grpc/endpoint_watch.hpp"

#include "simulation/mrd_fixture.hpp"
#include "support/event_recorder.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace support;
using lines = std::vector<std::string>;

namespace {

const lines told{"waiting_for_connection why=timed out"};

struct watched_endpoint {
    ~watched_endpoint() {
        watch.reset();
        core->shut_down();
    }

    asio::io_context context;
    std::shared_ptr<manual_core> core = std::make_shared<manual_core>();
    std::shared_ptr<event_recorder> heard = std::make_shared<event_recorder>();
    std::shared_ptr<endpoint_watch> watch =
        std::make_shared<endpoint_watch>(core, context.get_executor(), heard, "host:1");
};

}  // namespace

TEST_CASE("endpoint_watch: a timer is set while calls are pending, and cancelled with the last one") {
    watched_endpoint w;
    w.watch->begin();
    REQUIRE(w.core->timers().size() == 1);
    CHECK(w.core->timers().front() == 2s);
    w.watch->begin();
    CHECK(w.core->timers().size() == 1);
    w.watch->end(unavailable);
    CHECK(w.core->timers().size() == 1);
    w.watch->end({});
    CHECK(w.core->timers().empty());  // else it would keep its context running
    w.watch->begin();
    REQUIRE(w.core->timers().size() == 1);
    w.core->go_off();
    CHECK(w.heard->texts() == told);
    w.watch->begin();
    CHECK(w.core->timers().empty());
    CHECK(w.heard->texts() == told);  // once
}

TEST_CASE("endpoint_watch: an answer of any kind ends the watch") {
    watched_endpoint w;
    w.watch->begin();
    SUBCASE("a response") {
        w.watch->answered();
    }
    SUBCASE("a status that only a service has") {
        w.watch->end(error_value(errc::not_found, "no such object", rangeio::error_class::gone));
    }
    CHECK(w.core->timers().empty());
    w.watch->begin();
    CHECK(w.core->timers().empty());
    CHECK(w.heard->texts().empty());
}
