#include "grpc/connections.hpp"
#include "simulation/mrd_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

using namespace support;

// Connections that are no longer needed are closed: weak references to all connections show it.

namespace {

class plain_connection final : public connection {
public:
    std::shared_ptr<bidi_call> create(std::shared_ptr<bidi_call_events> events) override {
        last = std::make_shared<manual_call>(std::move(events));
        return last;
    }

    bool probe(std::function<void()> answered) override {
        asked = std::move(answered);
        return true;
    }

    static inline std::shared_ptr<manual_call> last;
    static inline std::function<void()> asked;
};

/// The time is what the test says.
class timed_core final : public runtime::context_core {
public:
    std::shared_ptr<runtime::timer> set_timer(
        const asio::any_io_executor&, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        return std::make_shared<manual_timer>(delay, std::move(then));
    }
    std::chrono::steady_clock::time_point now() const noexcept override { return time; }

    std::chrono::steady_clock::time_point time{1h};
};

class counting_maker final : public connection_maker {
public:
    std::shared_ptr<connection> connect() override {
        // In two blocks: of the connection, a weak reference keeps nothing then.
        const std::shared_ptr<connection> out(new plain_connection);
        made.push_back(out);
        return out;
    }
    std::size_t alive() const {
        return static_cast<std::size_t>(std::ranges::count_if(made, [](const auto& one) {
            return !one.expired();
        }));
    }

    std::vector<std::weak_ptr<connection>> made;
};

class deaf final : public bidi_call_events {
public:
    void on_response(const incoming&) noexcept override {}
    void on_write_done() noexcept override {}
    void on_done(const call_end&) noexcept override {}
};

}  // namespace

TEST_CASE("connections: surplus connections are closed with their last calls, thousands of times") {
    const auto maker = std::make_shared<counting_maker>();
    const auto core = std::make_shared<manual_core>();
    connections::environment env;
    env.maker = maker;
    env.core = core;
    env.limits.spread = 2;
    env.limits.streams_per_connection = 1;
    const auto all = std::make_shared<connections>(env);
    constexpr std::size_t rounds = 1000;
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<std::shared_ptr<bidi_call>> calls;
        std::vector<std::shared_ptr<manual_call>> wires;
        for (int i = 0; i < 5; ++i) {
            calls.push_back(all->create(std::make_shared<deaf>()));
            calls.back()->start({object_ref("b-1", "o"), {}, {}}, {});
            wires.push_back(std::exchange(plain_connection::last, nullptr));
        }
        REQUIRE(maker->alive() == 5);
        for (const auto& wire : wires) wire->end(unavailable);
        calls.clear();
        REQUIRE(maker->alive() == 2);
    }
    CHECK(maker->made.size() == 2 + 3 * rounds);
    plain_connection::last.reset();
    core->shut_down();
}

TEST_CASE("connections: silence is slow if the requested sign of life arrives, and a stall otherwise") {
    for (const bool answers : {true, false}) {
        CAPTURE(answers);
        const auto core = std::make_shared<timed_core>();
        connections::environment env;
        env.maker = std::make_shared<counting_maker>();
        env.core = core;
        env.limits.stall_timeout = 20s;
        const auto all = std::make_shared<connections>(env);
        const auto call = all->create(std::make_shared<deaf>());
        call->start({object_ref("b-1", "o"), {}, {}}, {});
        for (unsigned checks = 1; checks < 4; ++checks) {
            core->time += 5s;
            CHECK(call->classify_silence(checks, 0) == fsm::silence::borne);
            REQUIRE(plain_connection::asked);
            if (answers && checks == 3) plain_connection::asked();
        }
        core->time += 5s;
        CHECK(call->classify_silence(4, 0) == (answers ? fsm::silence::slow : fsm::silence::stalled));
        std::exchange(plain_connection::last, nullptr)->end(unavailable);
        plain_connection::asked = nullptr;
        core->shut_down();
    }
}
