#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/draw_faults.hpp>
#include <rangeio/testing/possible_faults.hpp>

#include "emulator/engine_fixture.hpp"
#include "support/simulated_cell.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::client_options;
using rangeio::errc;
using rangeio::error_value;
using rangeio::fetch_options;
using rangeio::mrd_pool;
using rangeio::pool_options;
using rangeio::retry_policy;
using rangeio::emulator::server_options;
using rangeio::testing::draw_faults;
using rangeio::testing::fault_kind;
using rangeio::testing::fault_script;
using rangeio::testing::possible_faults;
using rangeio::testing::shrink_faults;
namespace sim = rangeio::sim;

// Faults over gRPC: each at each stage, as in simulation, and those that chance draws.

namespace {

constexpr std::size_t object_bytes = 24;

bool has(const fault_script& script, fault_kind kind) {
    return std::ranges::any_of(script.faults, [kind](const auto& f) { return f.kind == kind; });
}

// Short only where nothing comes however long one waits: a slow machine must not look like one of these.
std::chrono::nanoseconds patience(const fault_script& script) {
    const bool silent = has(script, fault_kind::mute) || has(script, fault_kind::hang_open) ||
                        has(script, fault_kind::silent_connection);
    return silent ? 500ms : 15s;
}

// As the defaults, but for the time that things take.
client_options hurried(const fault_script& script) {
    retry_policy policy;
    // gRPC waits, too, before it connects again.
    if (has(script, fault_kind::outage)) policy.attempts(1000).open_attempts(1000);
    policy.initial_backoff(5ms).max_backoff(50ms).budget(20s).stall_timeout(patience(script));
    return client_options().retry(policy);
}

server_options with(const fault_script& script) {
    server_options out;
    out.max_chunk_bytes(2).faults(script);
    if (std::ranges::any_of(script.faults, needs_growth, &rangeio::testing::fault::kind)) {
        out.unfinalized("b-1/o");
    }
    return out;
}

/// Two reads through a pool of one stream while a script is played, and the end of the pool. Or one read, which is
/// given up at some moment.
class loopback_cell {
public:
    loopback_cell(const fault_script& script, stage when)
        : script_(script),
          explained_(script),
          stage_(when),
          fixture_(with(script), hurried(script)),
          pool_(fixture_.client.pool(
              fixture_.put("o", content_), pool_options().size(1).open_timeout(patience(script) * 4 / 5)
          )) {}

    /// What the reader saw, as the table says it.
    std::string run() {
        if (stage_ == stage::cancelled || stage_ == stage::closing) {
            give_up();
            return text_of(first_);
        }
        fixture_.run(read_twice());
        return cell_text(
            text_of(first_), text_of(second_), fixture_.server.stats().bidi_read_object.calls > 1
        );
    }

    bool all_struck() const {
        const auto struck = fixture_.server.stats().faults_struck;
        return std::ranges::none_of(struck, [](std::uint64_t times) { return times == 0; });
    }

    /// What must not be; empty if all is well.
    const std::string& complaint() const noexcept { return complaint_; }

private:
    static std::string text_of(const error_value& why) { return why ? error_text(why) : "ok"; }

    void give_up() {
        outcome end;
        asio::cancellation_signal signal;
        asio::co_spawn(
            fixture_.context,
            read(byte_range(0, 16), first_),
            asio::bind_cancellation_slot(signal.slot(), end.handler())
        );
        fixture_.context.run_for(giving_up);
        if (stage_ == stage::cancelled) signal.emit(asio::cancellation_type::terminal);
        fixture_.run(close());
        fixture_.context.restart();
        fixture_.context.run_for(30s);
        if (!end.code) complaint_ = "the read does not end";
        if (end.code && end.code->failed()) complaint_ = "the read throws: " + end.code->message();
    }

    asio::awaitable<void> read_twice() {
        co_await read(byte_range(0, 16), first_);
        if (stage_ == stage::idle) co_await call_ended();
        co_await read(byte_range(8, 16), second_);
        co_await close();
    }

    asio::awaitable<void> read(byte_range range, error_value& ended) {
        std::vector<std::byte> memory(range.length());
        fetch_options how;
        how.concurrency(2).min_chunk_bytes(1).timeout(20s);
        const auto got = co_await support::try_fetch(pool_, range, memory, how);
        if (!got) {
            ended = got.error();
            if (!may_be(ended)) complaint_ = "an error that nothing explains: " + ended.message();
        } else if (*got != range.length() || !right(memory, range)) {
            complaint_ = "the bytes are wrong, or too few";
        }
    }

    bool may_be(const error_value& why) const {
        if (why.code() == asio::error::operation_aborted) return stage_ == stage::cancelled;
        if (why.code() == errc::pool_closed) return stage_ == stage::closing;
        return explained_.explain(why);
    }

    // Of the object, or of one that has taken its place: the complement.
    bool right(std::span<const std::byte> got, byte_range range) const {
        const auto due = std::as_bytes(std::span(content_)).subspan(range.offset(), range.length());
        const auto is = [&](std::byte mask) {
            return std::ranges::equal(got, due, {}, [mask](std::byte b) { return b ^ mask; });
        };
        return is(std::byte{0}) || (has(script_, fault_kind::new_generation) && is(std::byte{0xff}));
    }

    // Until the service has ended a call, or left it alone for good. It may have done so before the first read was
    // over, for a stream is idle until it is asked for something, and then there is another.
    asio::awaitable<void> call_ended() {
        asio::steady_timer look(co_await asio::this_coro::executor);
        const auto calls = [this] { return fixture_.server.stats().bidi_read_object; };
        const bool silent = has(script_, fault_kind::silent_connection);
        for (auto now = calls(); silent ? !all_struck() : now.open == now.calls; now = calls()) {
            look.expires_after(1ms);
            co_await look.async_wait(asio::use_awaitable);
        }
    }

    asio::awaitable<void> close() {
        co_await failure_of(pool_.async_close());
        const auto s = pool_.stats();
        if (s.opening + s.ready + s.reconnecting + s.closing + s.leases + s.waiters != 0) {
            complaint_ = "a gauge is not zero";
        }
    }

    const std::string content_ = pattern(object_bytes);
    const fault_script script_;
    const possible_faults explained_;
    const stage stage_;
    engine_fixture fixture_;
    mrd_pool pool_;
    error_value first_;
    error_value second_;
    std::string complaint_;
};

std::string in_simulation(fault_kind kind, stage when) {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    const std::string seen = simulate_cell(w, kind, when).seen;
    CHECK(w.violation() == "");
    return seen;
}

std::string complaint_of(const fault_script& script) {
    loopback_cell cell(script, stage::opening);
    cell.run();
    return cell.complaint();
}

}  // namespace

TEST_CASE("faults: a reader gets over gRPC the same result as in simulation, for each fault at each stage") {
    for (const auto& when : stages) {
        for (const fault_kind kind : rangeio::testing::fault_kinds()) {
            const auto script = script_of(kind, when.what);
            if (!script) continue;
            CAPTURE(when.title);
            CAPTURE(*script);
            loopback_cell cell(fault_script::parse(*script), when.what);
            const std::string seen = cell.run();
            CHECK(cell.complaint() == "");
            // The progress of the service at a cancellation depends on the clock here; in simulation it does not.
            if (when.what == stage::cancelled || when.what == stage::closing) continue;
            CHECK(seen == in_simulation(kind, when.what));
            CHECK(cell.all_struck());
        }
    }
}

TEST_CASE("faults: scripts drawn at random cost over gRPC only time or an error that they explain") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const fault_script drawn = draw_faults(seed);
        CAPTURE(drawn.text());
        const std::string complaint = complaint_of(drawn);
        if (complaint.empty()) continue;
        const auto fails = [](const fault_script& script) { return !complaint_of(script).empty(); };
        INFO("seed ", seed, ", a file for tests/simulation/faults:\n", shrink_faults(drawn, fails).text());
        CHECK(complaint == "");
    }
}

TEST_CASE("faults: scripts of past failures pass over gRPC") {
    std::size_t scripts = 0;
    const char* const folder = std::getenv("RANGEIO_FAULT_SCRIPTS");
    REQUIRE_MESSAGE(folder != nullptr, "RANGEIO_FAULT_SCRIPTS names no tests/simulation/faults");
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        std::ifstream in(file.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        CAPTURE(file.path().filename().string());
        CHECK(complaint_of(fault_script::parse(text)) == "");
        ++scripts;
    }
    CHECK(scripts > 0);
}
