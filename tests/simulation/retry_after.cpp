#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

// The wait that a status requests (google.rpc.RetryInfo), over scripted calls and streams.

namespace sim = rangeio::sim;
using namespace std::chrono_literals;
using rangeio::byte_range;
using rangeio::mrd_pool;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;

namespace {

scripted_service_options broken(const char* script) {
    return scripted_service_options().faults(fault_script::parse(script));
}

/// The virtual time that a read takes.
std::chrono::nanoseconds time_of_a_read(sim::world& w, const char* script) {
    const scripted_service service(w, broken(script));
    sim::context io(w);
    mrd_pool pool(io.get_executor(), service.transport(io.get_executor()));
    std::array<std::byte, 16> memory{};
    const auto begin = w.now();
    auto end = begin;
    pool.async_fetch(byte_range(0, 16), std::span(memory), [&](rangeio::error_code ec, std::size_t) {
        w.check(!ec, "the read fails");
        end = w.now();
        pool.async_close([](rangeio::error_code) {});
    });
    w.run();
    w.check(service.holds(memory, 0), "other bytes than the object's");
    return end - begin;
}

}  // namespace

TEST_CASE("retry-after: the next call begins no earlier than the status requests") {
    for (const char* script :
         {"reset call=1 byte=4 status=8 retry-after=3s", "fail-open call=1 status=14 retry-after=3s"}) {
        CAPTURE(script);
        const auto result = sim::explore(
            [script](sim::world& w) { w.check(time_of_a_read(w, script) >= 3s, "the wait is shorter"); },
            sim::explore_options().schedules(50)
        );
        CHECK_MESSAGE(!result.found, result.text());
    }
}

TEST_CASE("retry-after: without it the next call begins sooner") {
    const auto result = sim::explore(
        [](sim::world& w) {
            w.check(time_of_a_read(w, "reset call=1 byte=4 status=8") < 3s, "the wait is longer");
        },
        sim::explore_options().schedules(50)
    );
    CHECK_MESSAGE(!result.found, result.text());
}

TEST_CASE("retry-after: the error of a scripted stream has the wait") {
    const auto result = sim::explore([](sim::world& w) {
        const scripted_service service(w, broken("fail-open call=1 status=8 retry-after=3s"));
        sim::context io(w);
        mrd_pool pool(io.get_executor(), service.streams());
        rangeio::error_value why;
        pool.async_initialize(
            rangeio::redirect_error_value([&] { pool.async_close([](rangeio::error_code) {}); }, why)
        );
        w.run();
        w.check(why.retry_after() == 3s, "the wait is lost");
    });
    CHECK_MESSAGE(!result.found, result.text());
}
