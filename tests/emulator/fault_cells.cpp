#include <rangeio/testing/draw_faults.hpp>
#include <rangeio/testing/explore.hpp>

#include "emulator/engine_fixture.hpp"
#include "support/simulated_cell.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>

using namespace testing;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::object_ref;
using rangeio::pool_options;
using rangeio::retry_policy;
using rangeio::emulator::server_options;
using rangeio::testing::draw_faults;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_script;
namespace sim = rangeio::testing::sim;

// Faults over gRPC: each at each stage, as in simulation, and those that chance draws.

namespace {

constexpr std::size_t object_bytes = 24;

bool has(const fault_script& script, fault_kind kind) {
    return std::ranges::any_of(script.faults, [kind](const auto& f) { return f.kind == kind; });
}

// Short only where nothing comes however long one waits: a slow machine must not look like one of these.
std::chrono::nanoseconds patience(const fault_script& script) {
    return has(script, fault_kind::mute) || has(script, fault_kind::hang_open) ? 500ms : 15s;
}

// As the defaults, but for the time that things take.
client_options hurried(const fault_script& script) {
    retry_policy policy;
    policy.initial_backoff(5ms).max_backoff(50ms).budget(20s).stall_timeout(patience(script));
    return client_options().retry(policy).channels(1);
}

server_options with(const fault_script& script) {
    server_options out;
    out.max_chunk_bytes(2).faults(script);
    // Only what is still being appended to can grow.
    if (has(script, fault_kind::grow)) out.unfinalized("b-1/o");
    return out;
}

/// Bytes of the object, or of one that has taken its place: the complement.
bool right(std::span<const std::byte> got, std::string_view content) {
    const auto is = [&](std::byte mask) {
        return std::ranges::equal(got, std::as_bytes(std::span(content)), {}, [mask](std::byte b) {
            return b ^ mask;
        });
    };
    return is(std::byte{0}) || is(std::byte{0xff});
}

asio::awaitable<std::string> read(const mrd_pool& pool, byte_range range, std::string_view content) {
    std::vector<std::byte> memory(range.length());
    fetch_options how;
    how.concurrency(2).min_chunk_bytes(1).timeout(20s);
    const auto got = co_await try_fetch(pool, range, memory, how);
    if (!got) co_return error_text(got.error());
    CHECK(*got == range.length());
    CHECK(right(memory, content.substr(range.offset(), range.length())));
    co_return "ok";
}

/// Between two reads: until the service has ended a call. It may have done so before the first of them was over, for a
/// stream is idle until it is asked for something, and then there is another.
asio::awaitable<void> call_ended(const rangeio::emulator::server& server) {
    asio::steady_timer look(co_await asio::this_coro::executor);
    for (auto now = server.stats().bidi_read_object; now.open == now.calls;
         now = server.stats().bidi_read_object) {
        look.expires_after(1ms);
        co_await look.async_wait(asio::use_awaitable);
    }
}

/// Two reads, and the end of the pool. `out`: what the first ended with, and the second.
asio::awaitable<void> read_twice(
    engine_fixture& f,
    pool_options options,
    object_ref object,
    std::string_view content,
    stage when,
    std::array<std::string, 2>& out
) {
    mrd_pool pool = f.client.pool(object, options);
    out[0] = co_await read(pool, byte_range(0, 16), content);
    if (when == stage::idle) co_await call_ended(f.server);
    out[1] = co_await read(pool, byte_range(8, 16), content);
    co_await failure_of(pool.close());
    const auto s = pool.stats();
    CHECK(s.opening + s.ready + s.reconnecting + s.closing + s.leases + s.waiters == 0);
}

std::string over_grpc(const fault_script& script, stage when) {
    engine_fixture f(with(script), hurried(script));
    const auto options = pool_options().size(1).open_timeout(patience(script));
    const std::string content = pattern(object_bytes);
    std::array<std::string, 2> ended;
    f.run(read_twice(f, options, f.put("o", content), content, when, ended));
    return cell_text(ended[0], ended[1], f.server.stats().bidi_read_object.calls > 1);
}

std::string in_simulation(const std::string& script, stage when) {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    const std::string seen = simulate_cell(w, script, when).seen;
    CHECK(w.violation() == "");
    return seen;
}

}  // namespace

TEST_CASE("faults: a reader sees over gRPC what it sees in simulation, for each fault at each stage") {
    for (const auto& when : stages) {
        // When somebody gives up depends on the clock here; in simulation it does not.
        if (when.what == stage::cancelled || when.what == stage::closing) continue;
        for (const fault_kind kind : rangeio::testing::fault_kinds()) {
            const auto script = script_of(kind, when.what);
            if (!script) continue;
            CAPTURE(when.title);
            CAPTURE(*script);
            CHECK(over_grpc(fault_script::parse(*script), when.what) == in_simulation(*script, when.what));
        }
    }
}

TEST_CASE("faults: scripts that chance makes cost time or an error over gRPC, and nothing else") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const fault_script script = draw_faults(seed);
        CAPTURE(seed);
        CAPTURE(script.text());
        CHECK(over_grpc(script, stage::opening) != "");
    }
}
