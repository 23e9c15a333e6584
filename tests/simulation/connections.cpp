#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/timer.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/try_fetch.hpp"
#include "testing/service/scripted_link.hpp"

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
namespace sim = rangeio::sim;

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
class connection_scene : public plain_world {
public:
    explicit connection_scene(const scripted_service_options& how, std::size_t streams = 4)
        : service(w, how),
          io_(std::make_unique<sim::context>(w, "reader")),
          pool(
              io_->get_executor(),
              service.transport(io_->get_executor(), pool_options().open_timeout()),
              pool_options().size(streams)
          ) {}
    ~connection_scene() {
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

    /// Opens so many streams.
    void open_all(std::size_t streams) {
        std::vector<lease> leases(streams);
        for (lease& out : leases) spawn(acquire(out));
        run();
    }
    asio::awaitable<void> acquire(lease& out) { out = co_await pool.async_acquire(); }

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
        const auto got = co_await support::try_fetch(pool, range, memory, how);
        if (!got) {
            ++failures;
            last_error = got.error().message();
        } else if (*got != range.length() || !service.holds(memory, range.offset())) {
            w.violate("the bytes are wrong");
        }
    }
    asio::awaitable<void> close() { co_await pool.async_close(); }

    std::chrono::milliseconds took(std::chrono::milliseconds since) const { return passed() - since; }

    scripted_service service;

private:
    std::unique_ptr<sim::context> io_;

public:
    mrd_pool pool;
    std::size_t failures = 0;
    std::string last_error;
};

scripted_service_options small(const char* faults) {
    scripted_service_options out;
    return out.object_bytes(800).max_chunk_bytes(8).connect_time(1ms).faults(fault_script::parse(faults));
}

}  // namespace

TEST_CASE("scripted link: concurrent messages share the link evenly, and the shorter one arrives first") {
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

TEST_CASE("scripted link: a message is delivered when all of its bytes have passed, and not before") {
    connection_scene in(small("slow-link bytes=10"), 1);
    in.spawn(in.read(byte_range(0, 8)));
    in.run();
    CHECK(in.passed() == 801ms);  // and a connect
}

TEST_CASE("connections: a slow link costs only time, a silent one is abandoned, by the same limits") {
    constexpr std::uint64_t size = std::uint64_t{64} << 20;
    const auto read_all = [](const char* faults) {
        scripted_service_options how;
        how.object_bytes(size).max_chunk_bytes(std::uint64_t{2} << 20).connect_time(1s);
        connection_scene in(how.faults(fault_script::parse(faults)));
        in.spawn(in.read(byte_range(0, size), 32));
        in.run();
        CAPTURE(faults);
        CHECK(in.last_error == "");
        CHECK(in.service.faults_struck()[0] == 1);
        return in.passed();
    };
    // All 32 messages share the link, and come at its end: after 671 s. Nothing of them was thrown away.
    const auto slow = read_all("slow-link bytes=100000");
    CHECK(slow >= 671s);
    CHECK(slow <= 680s);
    // The stall timeout x 1.25, one connect before and one after.
    CHECK(read_all("silent-connection call=1 byte=2097152") <= 27s);
}

TEST_CASE("connections: reads of an open pool survive an outage of 10, 20 and 40 s") {
    for (const auto lasts : {10s, 20s, 40s}) {
        for (std::uint64_t seed = 1; seed <= 100; ++seed) {
            CAPTURE(lasts.count());
            CAPTURE(seed);
            const std::string outage = fmt::format("outage call=1 byte=80 delay={}s", lasts.count());
            connection_scene in(small(outage.c_str()).seed(seed));
            in.open_all(4);
            CHECK(in.pool.stats().ready == 4);
            const auto begun = in.passed();
            for (std::uint64_t i = 0; i < 100; ++i) in.spawn(in.read(byte_range(i * 8, 8)));
            in.run();
            CHECK(in.last_error == "");
            CHECK(in.service.faults_struck()[0] == 1);
            CHECK(in.took(begun) >= lasts);
            CHECK(in.took(begun) <= lasts + 5s);
        }
    }
}

TEST_CASE("connections: a read started before the end of an outage completes within 5 s of that end") {
    for (const auto lasts : {60s, 600s, 3600s}) {
        CAPTURE(lasts.count());
        connection_scene in(small(fmt::format("outage call=1 byte=808 delay={}s", lasts.count()).c_str()));
        const auto test = [&]() -> asio::awaitable<void> {
            co_await in.read(byte_range(0, 800), 1);
            CHECK(in.failures == 0);
            co_await in.read(byte_range(0, 16), 1, 10s);
            CHECK(in.failures == 1);
            const auto left = lasts - 15s;
            co_await in.sleep(left);
            CHECK(in.passed() < lasts);
            co_await in.read(byte_range(0, 800), 4);
            CHECK(in.last_error.find("timed out") != std::string::npos);
            CHECK(in.failures == 1);
            CHECK(in.passed() <= lasts + 5s);
        };
        in.spawn(test());
        in.run();
    }
}

TEST_CASE("connections: a stream that slept through an outage waits for no back-off") {
    connection_scene in(small("outage call=1 byte=16 delay=40s"), 1);
    std::chrono::milliseconds took{};
    const auto test = [&]() -> asio::awaitable<void> {
        // The read times out in the middle of the outage, when the waits have grown.
        co_await in.read(byte_range(0, 800), 1, 30s);
        CHECK(in.failures == 1);
        co_await in.sleep(40s);
        const auto begun = in.passed();
        co_await in.read(byte_range(0, 8));
        took = in.took(begun);
    };
    in.spawn(test());
    in.run();
    CHECK(in.failures == 1);
    CHECK(took <= 10ms);
}

TEST_CASE("connections: 401 streams find room, whatever number of them a connection serves") {
    for (const char* limit : {"max-streams bytes=100", "max-streams bytes=10"}) {
        CAPTURE(limit);
        connection_scene in(small(limit), 401);
        in.open_all(401);
        CHECK(in.pool.stats().ready == 401);
        CHECK(in.service.connections() >= 5);
    }
}
