#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
namespace asio = boost::asio;
namespace sim = rangeio::sim;

// An object that grows, on a service that answers some calls with an older size than it has reported before (P14).

namespace {

constexpr std::uint64_t bytes_before = 1000;
constexpr std::uint64_t bytes_after = 1500;

/// The object grows by 500 bytes with the first piece that is read. The calls from `first` to `last` do not know of
/// them.
fault_script grown_and_unknown_to(std::uint64_t first, std::uint64_t last) {
    std::string text = "grow call=1 bytes=500";
    for (std::uint64_t call = first; call <= last; ++call) {
        text += fmt::format("; old-size call={} bytes=500", call);
    }
    return fault_script::parse(text);
}

/// A pool in a plain world whose first stream has reported the old size, then the new one, with the second call.
class old_size_scene {
public:
    explicit old_size_scene(const fault_script& faults, std::size_t streams = 2)
        : service_(
              world_,
              scripted_service_options()
                  .object_bytes(bytes_before)
                  .max_chunk_bytes(100)
                  .finalized(false)
                  .faults(faults)
          ),
          io_(std::make_unique<sim::context>(world_, "reader")),
          pool_(
              io_->get_executor(),
              service_.transport(io_->get_executor(), pool_options().open_timeout()),
              pool_options().size(streams)
          ) {}
    ~old_size_scene() {
        run([](old_size_scene& s) { return s.close(); });
        CHECK(service_.calls_open() == 0);
    }
    old_size_scene(const old_size_scene&) = delete;
    old_size_scene& operator=(const old_size_scene&) = delete;

    /// Runs `body` after the growth, unless it is the end.
    template <class Body>
    void run(Body body) {
        sim::spawn(io_->get_executor(), "the test", body(*this));
        world_.run();
        CHECK(world_.violation() == "");
    }

    asio::awaitable<void> grow() {
        lease held = co_await pool_.async_acquire();
        std::vector<std::byte> memory(10);
        const byte_range first(0, 10);
        CHECK(co_await held.async_fetch(first, memory) == 10);
    }
    asio::awaitable<void> learn() {
        co_await grow();
        CHECK(co_await pool_.async_refresh_size() == bytes_after);
        CHECK(service_.calls() == 2);
    }
    /// The right bytes, or why not.
    asio::awaitable<error_value> read(lease& on, byte_range range) {
        std::vector<std::byte> memory(range.length());
        std::size_t got = 0;
        try {
            got = co_await on.async_fetch(range, memory);
        } catch (const error& e) {
            co_return e.why();
        }
        CHECK(got == range.length());
        CHECK(service_.holds(std::span(memory).first(got), range.offset()));
        co_return error_value();
    }
    asio::awaitable<void> close() { co_await pool_.async_close(); }

    mrd_pool& pool() noexcept { return pool_; }
    const scripted_service& service() const noexcept { return service_; }
    sim::world::time_point now() const { return world_.now(); }
    bool all_struck() const {
        return std::ranges::none_of(service_.faults_struck(), [](std::uint64_t times) { return times == 0; });
    }

private:
    std::unique_ptr<sim::strategy> decides_ = sim::run_name::of({}).make_strategy();
    sim::world world_{*decides_, sim::world_options().max_steps(10'000'000)};
    scripted_service service_;
    std::unique_ptr<sim::context> io_;
    mrd_pool pool_;
};

/// On a stream that is opened after the pool has learnt the new size.
asio::awaitable<void> read_on_the_next_stream(old_size_scene& s, byte_range range, error_value& out) {
    co_await s.learn();
    const lease first = co_await s.pool().async_acquire();
    lease next = co_await s.pool().async_acquire();
    out = co_await s.read(next, range);
}

error_value failure_of_the_next_stream(old_size_scene& s, byte_range range) {
    error_value out;
    s.run([&](old_size_scene& self) { return read_on_the_next_stream(self, range, out); });
    return out;
}

}  // namespace

TEST_CASE("P14: appended bytes are read though the next stream's call reports the old size") {
    byte_range range;
    SUBCASE("a range that starts at the old end") {
        range = byte_range(bytes_before, 300);
    }
    SUBCASE("a range behind the old end") {
        range = byte_range(1200, 300);
    }
    SUBCASE("a range across the old end") {
        range = byte_range(900, 600);
    }
    old_size_scene s(grown_and_unknown_to(3, 4));
    CHECK(failure_of_the_next_stream(s, range).message() == error_value().message());
    CHECK(s.service().calls() == 5);
    CHECK(s.all_struck());
}

TEST_CASE("P14: a service that keeps reporting an old size ends a read with that cause after the budget") {
    byte_range range;
    std::string cause;
    SUBCASE("a range that starts at the old end") {
        range = byte_range(bytes_before, 300);
        cause = "the service knows of fewer than 1500 bytes";
    }
    SUBCASE("a range behind the old end") {
        range = byte_range(1200, 300);
        cause = "a range begins behind the end";
    }
    SUBCASE("a range across the old end") {
        range = byte_range(900, 600);
        cause = "the service knows of fewer than 1500 bytes";
    }
    old_size_scene s(grown_and_unknown_to(3, 400));
    const auto start = s.now();
    const error_value why = failure_of_the_next_stream(s, range);
    CAPTURE(why.message());
    CHECK(why.message().find(cause) != std::string::npos);
    CHECK(why.message().find("no progress for") != std::string::npos);
    CHECK(s.now() - start >= 60s);
    CHECK(s.now() - start <= 70s);
    CHECK(s.service().calls() < 100);
}

TEST_CASE("P14: fetch_tail returns the last bytes of the known size, not of an older one") {
    old_size_scene s(grown_and_unknown_to(3, 4), 1);
    s.run([](old_size_scene& self) -> asio::awaitable<void> {
        co_await self.learn();
        const auto tail = co_await self.pool().async_fetch_tail(50);
        CHECK(tail.offset == bytes_after - 50);
        CHECK(self.service().holds(tail.bytes.span(), bytes_after - 50));
    });
    CHECK(s.all_struck());
}

TEST_CASE("P14: refresh_size does not decrease when the service reports an older size") {
    old_size_scene s(grown_and_unknown_to(3, 3), 1);
    s.run([](old_size_scene& self) -> asio::awaitable<void> {
        co_await self.learn();
        CHECK(co_await self.pool().async_refresh_size() == bytes_after);
    });
    CHECK(s.all_struck());
}

TEST_CASE("P14: on a finalized object the fault old-size does not strike") {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    const scripted_service service(w, scripted_service_options().faults(fault_script::parse("old-size")));
    sim::context io(w, "reader");
    {
        mrd_pool pool(io.get_executor(), service.transport(io.get_executor(), 5s), pool_options().size(1));
        sim::spawn(io.get_executor(), "the test", [](mrd_pool& p) -> asio::awaitable<void> {
            const byte_range all(0, 64);
            std::vector<std::byte> memory(64);
            CHECK(co_await p.async_fetch(all, memory) == 64);
            co_await p.async_close();
        }(pool));
        w.run();
    }
    CHECK(w.violation() == "");
    CHECK(service.faults_struck().front() == 0);
}
