#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/run.hpp"

#include <vector>

using namespace std::chrono_literals;
using namespace rangeio;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace sim = rangeio::sim;

// The cost of cancelled ranges for the next read, in virtual time.

namespace {

constexpr std::size_t range_bytes = 8;

asio::awaitable<void> give_up_then_read(
    sim::world& world, const mrd_pool& pool, std::size_t count, std::chrono::nanoseconds& waited
) {
    std::vector<std::byte> memory(count * range_bytes);
    std::vector<range_request> requests;
    for (std::size_t at = 0; at < memory.size(); at += range_bytes) {
        requests.emplace_back(byte_range(at, range_bytes), std::span(memory).subspan(at, range_bytes));
    }
    error_value why;
    try {
        co_await pool.async_fetch_ranges(std::move(requests), fetch_ranges_options().timeout(20ms));
    } catch (const error& e) {
        why = e.why();
    }
    CHECK(why.code() == errc::timed_out);
    const auto start = world.now();
    const byte_range small(0, 8);
    const auto got = co_await support::try_fetch(pool, small, std::span(memory).first(8));
    CHECK(got.has_value());
    waited = world.now() - start;
}

std::chrono::nanoseconds wait_after(std::size_t count) {
    sim::random_strategy chance(1);
    sim::world world(chance, sim::world_options().max_steps(10'000'000));
    scripted_service_options options;
    options.object_bytes(count * range_bytes).max_chunk_bytes(range_bytes);
    options.faults(fault_script::parse("latency delay=1ms"));
    scripted_service service(world, options);
    std::chrono::nanoseconds out{-1};
    {
        sim::context context(world, "reader");
        mrd_pool pool(
            context.get_executor(), service.transport(context.get_executor()), pool_options().size(1)
        );
        sim::spawn(context.get_executor(), "reading", give_up_then_read(world, pool, count, out));
        world.run();
    }
    return out;
}

}  // namespace

TEST_CASE("S8: cancelled ranges do not delay the next read, however many and short they are") {
    for (const std::size_t count : {50U, 500U, 5000U}) {
        CAPTURE(count);
        const auto waited = wait_after(count);
        CHECK(waited >= 0ns);
        CHECK(waited < 200ms);
    }
}
