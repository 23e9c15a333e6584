#include <rangeio/mrd_pool.hpp>
#include <rangeio/multi_range_downloader.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/sim/timer.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "simulation/range_reader.hpp"
#include "support/try_fetch.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

// The link of a scripted service: latency and bandwidth, exact in virtual time.

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::link_options;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace asio = boost::asio;
namespace sim = rangeio::sim;

namespace {

enum class link_streams { shared, exclusive, transport, exclusive_transport };

constexpr link_streams all_link_streams[] = {
    link_streams::shared,
    link_streams::exclusive,
    link_streams::transport,
    link_streams::exclusive_transport,
};

/// A pool on a service with a link.
class link_scene {
public:
    link_scene(
        sim::world& in, const scripted_service_options& how, link_streams kind, std::size_t streams = 1
    )
        : w(in),
          service(in, how),
          io(in, "reader"),
          pool(io.get_executor(), make(kind), pool_options().size(streams)) {}

    asio::awaitable<void> acquire(lease& out) { out = co_await pool.async_acquire(); }
    /// Leased streams have no time. A broken stream is a failure of the close, which is none of the test.
    asio::awaitable<void> close() {
        error_value why;
        co_await pool.async_close(close_options().deadline_after(-1ns), redirect_error_value(why));
    }
    asio::awaitable<void> sleep(std::chrono::nanoseconds duration) {
        sim::timer timer(io.get_executor(), duration);
        co_await timer.async_wait(asio::use_awaitable);
    }
    asio::awaitable<void> close_after(std::chrono::nanoseconds duration) {
        co_await sleep(duration);
        co_await close();
    }
    /// Reads after `wait`, and notes when the read has ended, or counts a failure.
    asio::awaitable<void> read(
        byte_range range, std::chrono::nanoseconds wait = 0ns, fetch_options how = fetch_options()
    ) {
        if (wait.count() != 0) co_await sleep(wait);
        std::vector<std::byte> memory(range.length());
        const auto got = co_await support::try_fetch(pool, range, memory, how);
        if (!got) {
            ++failures;
        } else if (*got != range.length() || !service.holds(memory, range.offset())) {
            w.violate("the bytes are wrong");
        }
        ended.push_back(w.now() - start);
    }

    sim::world& w;
    scripted_service service;
    sim::context io;
    mrd_pool pool;
    sim::world::time_point start = w.now();
    std::vector<std::chrono::nanoseconds> ended;
    std::size_t failures = 0;

private:
    std::shared_ptr<mrd_factory> make(link_streams kind) {
        if (kind == link_streams::shared) return service.streams();
        if (kind == link_streams::exclusive) return service.streams(false);
        return service.transport(io.get_executor(), 30s, kind == link_streams::transport);
    }
};

struct link_world {
    std::unique_ptr<sim::strategy> decides = sim::run_name::of({}).make_strategy();
    sim::world world{*decides, sim::world_options().max_steps(10'000'000)};
};

/// The same in a plain world. Its streams are open at `start`.
class open_link : link_world, public link_scene {
public:
    explicit open_link(
        const scripted_service_options& how,
        link_streams kind = link_streams::transport,
        std::size_t streams = 1
    )
        : link_scene(world, how, kind, streams) {
        std::vector<lease> leases(streams);
        for (lease& out : leases) spawn(acquire(out));
        run();
        CHECK(pool.stats().ready == streams);
        start = w.now();
    }
    ~open_link() {
        spawn(close());
        run();
        CHECK(service.calls_open() == 0);
    }

    void spawn(asio::awaitable<void> body) {
        sim::spawn(io.get_executor(), "a part of the test", std::move(body));
    }
    /// Runs until nothing is pending. Returns the time since `start`.
    std::chrono::nanoseconds run() {
        w.run();
        CHECK(w.violation() == "");
        return w.now() - start;
    }
};

/// 64 bytes, at most 8 in a message.
scripted_service_options linked(std::chrono::nanoseconds latency, std::uint64_t bandwidth = 0) {
    return scripted_service_options().link(link_options().latency(latency).bandwidth(bandwidth));
}

/// The owner of a stream that is used without a pool.
struct link_owner final : stream_listener {
    void opened(std::shared_ptr<const object_info>) noexcept override {}
    void reconnecting() noexcept override {}
    void reconnected() noexcept override {}
    void ended(const error_value&) noexcept override {}
};

using times = std::vector<std::chrono::nanoseconds>;

}  // namespace

TEST_CASE("scripted_service: N bytes asked for at once arrive after the latency and N / bandwidth") {
    for (const link_streams kind : all_link_streams) {
        CAPTURE(static_cast<int>(kind));
        open_link in(linked(50ms, 1000), kind);
        in.spawn(in.read(byte_range(0, 64)));
        CHECK(in.run() == 50ms + 64ms);
        // A message takes 2.67 ms, rounded up to a nanosecond.
        open_link uneven(linked(1ms, 3000), kind);
        uneven.spawn(uneven.read(byte_range(0, 64)));
        const auto took = uneven.run() - 1ms;
        CHECK(took >= 21'333'334ns);
        CHECK(took <= 21'333'334ns + 8ns);
    }
}

TEST_CASE("scripted_service: an opening has the latency, and the ranges that it carries have no other") {
    for (const link_streams kind : all_link_streams) {
        CAPTURE(static_cast<int>(kind));
        link_world plain;
        link_scene in(plain.world, linked(50ms).connect_time(7ms), kind);
        sim::spawn(
            in.io.get_executor(), "opens", in.pool.async_initialize(with_message(asio::use_awaitable))
        );
        plain.world.run();
        CHECK(plain.world.now() - in.start == 57ms);
        sim::spawn(in.io.get_executor(), "closes", in.close());
        plain.world.run();
        CHECK(plain.world.violation() == "");
    }
    open_link broken(linked(50ms).faults(fault_script::parse("reset byte=32")));
    broken.spawn(broken.read(byte_range(0, 64)));
    // The other half is requested by the opening of the second call.
    CHECK(broken.run() == 100ms);
    CHECK(broken.service.calls() == 2);
}

TEST_CASE("scripted_service: a range that is asked for while the opening is on its way is served after it") {
    link_world plain;
    const scripted_service service(plain.world, linked(50ms).connect_time(20ms));
    const auto start = plain.world.now();
    const auto actor = plain.world.add_actor("the client");
    const auto stream = service.streams()->create();
    const auto first = std::make_shared<support::reader>(0, 8);
    const auto second = std::make_shared<support::reader>(8, 8);
    const auto at = [&](std::chrono::nanoseconds when, auto what) {
        plain.world.call_at(actor, start + when, sim::task(what), "the test");
    };
    at(0ms, [&] {
        stream->open(std::make_shared<link_owner>());
        stream->read(first);
    });
    // The first request is older than the latency, but was sent when the connection was made.
    at(60ms, [&] { stream->read(second); });
    at(69ms, [&] { CHECK_FALSE(first->outcome); });
    at(71ms, [&] { CHECK(first->outcome); });
    at(109ms, [&] { CHECK_FALSE(second->outcome); });
    at(111ms, [&] {
        CHECK(second->outcome);
        stream->close({});
    });
    plain.world.run();
    CHECK(plain.world.violation() == "");
    CHECK(service.calls_open() == 0);
}

TEST_CASE("scripted_service: two ranges that are asked for 1 ms apart are pipelined, on one call and on two"
) {
    for (const link_streams kind : all_link_streams) {
        CAPTURE(static_cast<int>(kind));
        const bool exclusive = kind == link_streams::exclusive || kind == link_streams::exclusive_transport;
        for (const std::size_t streams : {std::size_t{1}, std::size_t{2}}) {
            CAPTURE(streams);
            open_link in(linked(50ms), kind, streams);
            in.spawn(in.read(byte_range(0, 64)));
            in.spawn(in.read(byte_range(8, 24), 1ms));
            in.run();
            // A stream that serves one range at a time sends the second request after the first response.
            const bool one_by_one = exclusive && streams == 1;
            CHECK(in.ended == times{50ms, one_by_one ? 100ms : 51ms});
        }
    }
}

TEST_CASE("scripted_service: calls share the bandwidth in the order in which their messages are ready") {
    for (const link_streams kind : all_link_streams) {
        CAPTURE(static_cast<int>(kind));
        // 8 bytes of each in turn: the first range has its last ones when the second has 24.
        open_link in(linked(50ms, 1000), kind, 2);
        in.spawn(in.read(byte_range(0, 32)));
        in.spawn(in.read(byte_range(32, 32)));
        in.run();
        CHECK(in.ended == times{50ms + 56ms, 50ms + 64ms});
        // A message of 32 bytes is not interrupted for one of 8 that is ready 1 ms later.
        open_link whole(linked(50ms, 1000).max_chunk_bytes(32), kind, 2);
        whole.spawn(whole.read(byte_range(0, 32)));
        whole.spawn(whole.read(byte_range(0, 8), 1ms));
        whole.run();
        CHECK(whole.ended == times{50ms + 32ms, 50ms + 40ms});
        // An idle link does not catch up.
        whole.ended.clear();
        const auto before = whole.w.now() - whole.start + 1s;
        whole.spawn(whole.read(byte_range(0, 32), 1s));
        whole.run();
        CHECK(whole.ended == times{before + 50ms + 32ms});
    }
}

TEST_CASE("scripted_service: a slow link takes the place of the bandwidth") {
    open_link in(linked(50ms, 1'000'000).faults(fault_script::parse("slow-link bytes=1000")));
    in.spawn(in.read(byte_range(0, 64)));
    CHECK(in.run() == 50ms + 64ms);
}

TEST_CASE("scripted_service: a closed pool leaves no request and no response on the link") {
    for (const link_streams kind : all_link_streams) {
        CAPTURE(static_cast<int>(kind));
        // The requests have not arrived; a message is on the link; others wait behind that of the first call.
        for (const auto after : {10ms, 55ms, 59ms}) {
            CAPTURE(after.count());
            open_link in(linked(50ms, 1000), kind, 2);
            in.spawn(in.read(byte_range(0, 64)));
            in.spawn(in.read(byte_range(0, 64)));
            in.spawn(in.read(byte_range(0, 64)));
            in.spawn(in.close_after(after));
            CHECK(in.run() == after);
            CHECK(in.failures == 3);
            CHECK(in.service.calls_open() == 0);
        }
    }
}

TEST_CASE("scripted_service: a link delays cancelled and closing reads in any schedule, and nothing is left"
) {
    for (const link_streams kind : all_link_streams) {
        for (const char* faults :
             {"", "reset byte=12 chance=50%", "goaway byte=16 chance=50%; latency delay=3ms"}) {
            CAPTURE(static_cast<int>(kind));
            CAPTURE(faults);
            const auto program = [&](sim::world& w) {
                link_scene in(
                    w, linked(5ms, 1000).connect_time(2ms).faults(fault_script::parse(faults)), kind, 2
                );
                for (std::uint64_t i = 0; i < 3; ++i) {
                    const auto wait = std::chrono::milliseconds(i);
                    sim::spawn(in.io.make_executor("reader"), "a read", in.read(byte_range(i * 8, 24), wait));
                    sim::spawn(
                        in.io.make_executor("impatient"),
                        "a read with a timeout",
                        in.read(byte_range(0, 64), wait, fetch_options().timeout(5ms + 10ms * i))
                    );
                }
                const auto lasts = std::chrono::milliseconds(20 * w.choose(5));
                sim::spawn(in.io.make_executor("closer"), "a close", in.close_after(120ms - lasts));
                w.run();
                w.check(in.service.calls_open() == 0, "a call is left");
            };
            const auto result = sim::explore(
                program, sim::explore_options().schedules(100).world(sim::world_options().early_timers(1))
            );
            const std::string found = result.found ? result.found->text() : "";
            CHECK(found == "");
        }
    }
}

TEST_CASE("scripted_service: ranges that wait their turn on the link are not taken for stalled") {
    constexpr std::uint64_t size = std::uint64_t{64} << 20;
    constexpr std::uint64_t message = std::uint64_t{2} << 20;
    open_link in(
        linked(200ms, 200'000).object_bytes(size).max_chunk_bytes(message), link_streams::transport, 4
    );
    in.spawn(in.read(byte_range(0, size), 0ns, fetch_options().concurrency(32)));
    // A message takes 10.48576 s, so each stream is silent for 42 s before its next one: longer than the stall timeout.
    CHECK(in.run() == 200ms + 32 * 10'485'760us);
    CHECK(in.pool.stats().streams.stalled == 0);
    CHECK(in.service.calls() == 4);
}
