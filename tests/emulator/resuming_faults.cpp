#include "emulator/engine_fixture.hpp"
#include "support/bytes_of.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::errc;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::retry_policy;
using rangeio::emulator::server_options;
using rangeio::testing::fault_script;

// Each fault that a client can live with, over gRPC: the bytes are right, and what it took is what was expected.

namespace {

constexpr std::size_t whole_bytes = 300'000;
constexpr std::size_t half = whole_bytes / 2;

retry_policy quick(std::chrono::nanoseconds stall_timeout) {
    return retry_policy().initial_backoff(1ms).max_backoff(4ms).attempts(50).stall_timeout(stall_timeout);
}

struct row {
    const char* script;
    unsigned calls;     // at least, with the first
    unsigned more = 0;  // than that at most
    // Only where a stall is what is tried: a slow machine must not look like one.
    std::chrono::nanoseconds stall_timeout = 20s;
};

// Two ranges on one stream.
asio::awaitable<void> read_halves(rangeio::client& client, object_ref object, std::span<std::byte> memory) {
    using namespace asio::experimental::awaitable_operators;
    const pool_options one = pool_options().size(1);
    mrd_pool pool = co_await client.async_open(object, one);
    lease held = co_await pool.async_acquire();
    const byte_range first(0, half);
    const byte_range second(half, whole_bytes - half);
    co_await (
        held.async_fetch(first, memory.first(half), throwing_awaitable) &&
        held.async_fetch(second, memory.subspan(half), throwing_awaitable)
    );
    CHECK(pool.stats().failed == 0);
}

asio::awaitable<void> expect_failure(
    rangeio::client& client, object_ref object, std::span<std::byte> memory, rangeio::error_code expected
) {
    const byte_range whole(0, whole_bytes);
    const auto why = co_await failure_of(client.async_fetch(object, whole, memory));
    CHECK(why.code() == expected);
}

}  // namespace

TEST_CASE("faults over gRPC: the engine reads through each transient fault, byte for byte") {
    // The first response of a call carries no data here: the pool opens before anything is asked for.
    const std::vector<row> rows{
        {"latency delay=1ms", 1},
        {"bandwidth bytes=10000000; chunk bytes=30000", 1},
        {"slow-open delay=20ms", 1},
        {"fail-open", 2},
        {"fail-open times=3 status=RESOURCE_EXHAUSTED", 4},
        {"reset byte=100000", 2},
        {"reset range=2 byte=0 status=INTERNAL", 2},
        {"reset byte=1 times=5 status=ABORTED", 6},
        {"redirect", 2},
        {"redirect byte=100000 token=a%2Fb=+c handle=yes", 2},
        {"redirect times=3; redirect byte=10 token=x", 5},
        {"redirect byte=10; reset byte=20 call=2", 3},
        {"redirect byte=10 token=no handle=yes", 2},
        {"redirect call=1 byte=10 token=t; redirect call=2 byte=20 token=no handle=yes", 3},
        {"redirect token=no", 2},
        {"range-error range=1 status=ABORTED byte=1000", 2},
        {"bad-checksum", 1, 1},
        {"bad-checksum byte=100000 times=3", 1, 3},
        {"wrong-offset bytes=7 byte=5", 1, 1},
        {"surplus", 1, 1},
        {"unknown-id times=0", 1},
        {"repeat byte=1000", 1, 1},
        {"late-id times=0", 1},
        {"no-range-end times=0", 1},
        {"double-range-end times=0", 1},
        {"empty-range-end times=0", 1},
        {"empty-range-end range=1; reset range=1 byte=150000", 1, 1},
        {"no-metadata times=0; reset byte=10", 2},
        {"new-handle byte=100; reset byte=1000", 2},
        {"batch", 1},
        {"batch; chunk bytes=10000", 1},
        {"chunk bytes=1000", 1},
        {"idle-abort delay=1ms times=3", 1, 3},
        {"ok-early byte=100000", 2},
        {"mute range=2", 2, 5, 200ms},
        {"goaway byte=100000", 2, 20},
        {"hang-open call=2; reset byte=10", 3, 5, 200ms},
    };
    for (const row& r : rows) {
        const std::string script = r.script;
        CAPTURE(script);
        engine_fixture f(
            server_options().faults(fault_script::parse(r.script)),
            client_options().retry(quick(r.stall_timeout))
        );
        const std::string content = pattern(whole_bytes);
        const object_ref object = f.put("o", content);
        std::vector<std::byte> memory(whole_bytes);
        f.run(read_halves(f.client, object, memory));
        CHECK(std::ranges::equal(memory, bytes_of(content)));
        const auto calls = f.server.stats().bidi_read_object.calls;
        CAPTURE(calls);
        CHECK(f.server.stats().unused_tokens.empty());
        CHECK(calls >= r.calls);
        CHECK(calls <= r.calls + r.more);
    }
}

TEST_CASE("faults over gRPC: a fault that cannot be read through is reported with the right error") {
    struct failing {
        const char* script;
        rangeio::error_code why;
    };
    const std::vector<failing> rows{
        {"fail-open status=PERMISSION_DENIED", errc::permission_denied},
        {"reset byte=1000 status=NOT_FOUND", errc::generation_changed},
        {"redirect times=0", errc::too_many_redirects},
        {"bad-checksum times=0", errc::data_corrupted},
        {"short-end", errc::short_read},
        {"range-error status=OUT_OF_RANGE", errc::range_not_satisfiable},
        {"new-generation; reset byte=1000", errc::generation_changed},
    };
    for (const failing& r : rows) {
        const std::string script = r.script;
        CAPTURE(script);
        engine_fixture f(
            server_options().faults(fault_script::parse(r.script)), client_options().retry(quick(20s))
        );
        const object_ref object = f.put("o", pattern(whole_bytes));
        std::vector<std::byte> memory(whole_bytes);
        f.run(expect_failure(f.client, object, memory, r.why));
    }
}
