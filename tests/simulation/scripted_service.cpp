#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

// Each option of a scripted service: set, and seen by its reader.

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace asio = boost::asio;
namespace sim = rangeio::sim;

namespace {

/// A pool on such a service, in a plain world.
class scene {
public:
    explicit scene(const scripted_service_options& options)
        : service(world, options),
          io(world, "reader"),
          pool(io.get_executor(), service.transport(io.get_executor()), pool_options().size(1)) {}

    /// Runs `body` to its end. Returns how much virtual time has passed.
    std::chrono::nanoseconds run(std::function<asio::awaitable<void>(scene&)> body) {
        const auto before = world.now();
        sim::spawn(io.get_executor(), "the test", body(*this));
        world.run();
        CHECK(world.violation() == "");
        return world.now() - before;
    }
    std::chrono::nanoseconds open() {
        return run([](scene& s) { return s.pool.async_initialize(with_message(asio::use_awaitable)); });
    }
    std::chrono::nanoseconds read(std::uint64_t length) {
        return run([length](scene& s) { return read_front(s, length); });
    }

    static asio::awaitable<void> read_front(scene& s, std::uint64_t length) {
        std::vector<std::byte> memory(length);
        const byte_range range(0, length);
        CHECK(co_await s.pool.async_fetch(range, memory) == length);
        CHECK(s.service.holds(memory, 0));
    }

    std::unique_ptr<sim::strategy> decides = sim::run_name::of({}).make_strategy();
    sim::world world{*decides};
    scripted_service service;
    sim::context io;
    mrd_pool pool;
};

/// How many bytes the pieces had that were refused.
struct refused_pieces final : observer {
    void on_event(const event& what) noexcept override {
        if (what.kind == event_kind::rejected_chunk) bytes.push_back(what.bytes);
    }
    std::vector<std::uint64_t> bytes;
};

}  // namespace

TEST_CASE("scripted_service: the object has the configured size, finalized or not") {
    for (const bool finalized : {false, true}) {
        scene s(scripted_service_options().object_bytes(100).finalized(finalized));
        s.open();
        REQUIRE(s.pool.info());
        CHECK(s.pool.info()->size == 100);
        CHECK(s.pool.info()->finalized == finalized);
        s.read(100);
    }
}

TEST_CASE("scripted_service: each number gives an object with its own name and bytes") {
    const scene first(scripted_service_options{});
    scene second(scripted_service_options().object(3));
    CHECK(first.service.object().name() == "object");
    CHECK(second.service.object().name() == "object-3");
    std::vector<std::byte> bytes(16);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = scripted_service::content(first.service.object().generation(), i);
    CHECK(first.service.holds(bytes, 0));
    CHECK_FALSE(second.service.holds(bytes, 0));
    second.read(16);
}

TEST_CASE("scripted_service: a fault strikes, chunks obey their limit, and the observer gets the event") {
    for (const std::uint64_t most : {std::uint64_t{2}, std::uint64_t{64}}) {
        const auto heard = std::make_shared<refused_pieces>();
        scene s(scripted_service_options()
                    .max_chunk_bytes(most)
                    .faults(fault_script::parse("bad-checksum times=1"))
                    .observe(heard));
        s.read(64);
        CHECK(s.service.faults_struck() == std::vector<std::uint64_t>{1});
        CHECK(heard->bytes == std::vector<std::uint64_t>{most});
    }
}

TEST_CASE("scripted_service: a connect takes the configured time") {
    scene s(scripted_service_options().connect_time(3s));
    CHECK(s.open() == 3s);
    CHECK(s.service.connections() == 1);
    CHECK(s.read(40) == 0s);
}

TEST_CASE("scripted_service: the seed determines the waits of streams before the next call") {
    std::set<std::chrono::nanoseconds> waits;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        const auto options =
            scripted_service_options().seed(seed).faults(fault_script::parse("fail-open times=3"));
        const auto one = scene(options).open();
        CHECK(scene(options).open() == one);
        waits.insert(one);
    }
    CHECK(waits.size() == 8);
}
