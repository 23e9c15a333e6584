#include <rangeio/fetch.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/testing/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>
#include <rangeio/testing/sim_context.hpp>
#include <rangeio/testing/sim_timer.hpp>

#include "testing/scripted_link.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_link;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace asio = boost::asio;
namespace sim = rangeio::testing::sim;

// Connections, and what the library makes of them with its defaults, in simulated time.

namespace {

/// A world in its plainest order.
struct plain_world {
    std::unique_ptr<sim::strategy> decides = sim::run_name::of({}).make_strategy();
    sim::world w{*decides, sim::world_options().max_steps(10'000'000)};
    const sim::world::time_point start = w.now();

    std::chrono::milliseconds passed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(w.now() - start);
    }
};

/// A pool on a service with faults, in a plain world.
class scene : public plain_world {
public:
    explicit scene(const scripted_service_options& how, std::size_t streams = 4)
        : service(w, how),
          io_(std::make_unique<sim::context>(w, "reader")),
          pool(
              io_->get_executor(),
              service.transport(io_->get_executor(), pool_options().open_timeout()),
              pool_options().size(streams)
          ) {}
    ~scene() {
        spawn(close());
        run();
        CHECK(service.calls_open() == 0);
    }

    void spawn(asio::awaitable<void> body) {
        sim::spawn(io_->get_executor(), "a part of the test", std::move(body));
    }
    void run() {
        w.run();
        CHECK(w.violation() == "");
    }

    asio::awaitable<void> sleep(std::chrono::nanoseconds duration) {
        sim::timer timer(io_->get_executor(), duration);
        co_await timer.async_wait(asio::use_awaitable);
    }
    /// The right bytes, or counts a failure.
    asio::awaitable<void> read(
        byte_range range, std::size_t concurrency = 1, std::chrono::nanoseconds timeout = {}
    ) {
        std::vector<std::byte> memory(range.length());
        fetch_options how;
        how.concurrency(concurrency).min_chunk_bytes(1).timeout(timeout);
        const auto got = co_await try_fetch(pool, range, memory, how);
        if (!got) {
            ++failures;
            last_failure = got.error().message();
        } else if (*got != range.length() || !service.holds(memory, range.offset())) {
            w.violate("the bytes are wrong");
        }
    }
    asio::awaitable<void> close() { co_await pool.close(); }

    std::chrono::milliseconds took(std::chrono::milliseconds since) const { return passed() - since; }

    scripted_service service;

private:
    std::unique_ptr<sim::context> io_;

public:
    mrd_pool pool;
    std::size_t failures = 0;
    std::string last_failure;
};

scripted_service_options small(const char* faults) {
    scripted_service_options out;
    return out.object_bytes(800).max_chunk_bytes(8).connect_time(1ms).faults(fault_script::parse(faults));
}

}  // namespace

TEST_CASE(
    "scripted link: messages that are on it at once share it evenly, and the shorter one is through first"
) {
    plain_world in;
    const auto link = std::make_shared<scripted_link>(in.w);
    std::string seen;
    const auto note = [&](const char* what) {
        return [&seen, &in, what] { seen += fmt::format("{} after {} ms, ", what, in.passed().count()); };
    };
    const auto actor = in.w.add_actor("the service", true);
    scripted_link::id dropped = 0;
    link->send(1000, 1000, note("a"));
    link->send(500, 1000, note("b"));
    in.w.call_after(actor, 500ms, sim::task([&] { dropped = link->send(10'000, 1000, note("c")); }), "sends");
    in.w.call_after(actor, 800ms, sim::task([&] { link->drop(dropped); }), "drops");
    in.w.run();
    // By then a and b have 350 bytes each; b has 150 to go at half the rate, and then a has the link for itself.
    CHECK(seen == "b after 1100 ms, a after 1600 ms, ");
    CHECK(in.w.violation().empty());
}

TEST_CASE("scripted link: a message that is half through is delivered when all of it is, and not before") {
    scene in(small("slow-link bytes=10"), 1);
    in.spawn(in.read(byte_range(0, 8)));
    in.run();
    CHECK(in.passed() == 801ms);  // and a connect
}
