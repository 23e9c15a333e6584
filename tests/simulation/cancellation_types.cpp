#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
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
using asio::cancellation_type;

// The table of docs/combining.md, cell by cell: each operation is cancelled by each type after each step that it takes.

namespace {

constexpr std::size_t object_bytes = 16;
constexpr std::byte unwritten{0xEE};

class scene {
public:
    explicit scene(sim::world& in)
        : world(in),
          service(
              in,
              scripted_service_options()
                  .object_bytes(object_bytes)
                  .finalized(false)
                  .max_chunk_bytes(4)
                  .faults(fault_script::parse("slow-open delay=1ms times=0; latency delay=1ms times=0"))
          ),
          io(in, "caller"),
          pool(io.get_executor(), service.transport(io.get_executor(), 5s), pool_options().size(2)),
          cache(io.get_executor(), [this](const object_ref&, const pool_options&) {
              return service.transport(io.get_executor(), 5s);
          }) {
        memory.fill(unwritten);
    }

    void take_leases() {
        cache.async_open(service.object(), [this](error_code, mrd_pool p) { cached = std::move(p); });
        pool.async_acquire([this](error_code, lease l) { held = std::move(l); });
        world.run();
        cached.async_acquire([this](error_code, lease l) { held_of_cache = std::move(l); });
        world.run();
        REQUIRE(held);
        REQUIRE(held_of_cache);
    }

    std::function<void(error_code, std::size_t)> ended() {
        return [this](error_code why, std::size_t n) {
            CHECK_FALSE(code);
            code = why;
            bytes = n;
            memory_at_the_end = memory;
        };
    }
    /// The handler of an operation that has another result than a number of bytes, or none.
    auto handler(asio::cancellation_slot slot) {
        return asio::bind_cancellation_slot(slot, [this](error_code why, auto&&...) { ended()(why, 0); });
    }
    auto counting_handler(asio::cancellation_slot slot) {
        return asio::bind_cancellation_slot(slot, ended());
    }
    bool touched() const {
        return std::ranges::any_of(memory, [](std::byte b) { return b != unwritten; });
    }
    bool right(std::size_t count) const { return service.holds(std::span(memory).first(count), 0); }

    sim::world& world;
    scripted_service service;
    sim::context io;
    mrd_pool pool;
    mrd_pool_cache cache;
    mrd_pool cached;
    lease held;
    lease held_of_cache;
    std::array<std::byte, object_bytes> memory{};
    std::array<std::byte, object_bytes> memory_at_the_end{};
    std::optional<error_code> code;
    std::size_t bytes = 0;
};

const byte_range whole(0, object_bytes);

/// An operation, what has to be there before, and whether it writes to memory of the caller.
struct row {
    const char* name;
    bool writes;
    bool on_a_lease;
    std::function<void(scene&, asio::cancellation_slot)> start;
};

fetch_options two_parts() {
    return fetch_options().concurrency(2).min_chunk_bytes(1);
}

const std::vector<row> table{
    {"mrd_pool::async_initialize",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_initialize(s.handler(slot)); }},
    {"mrd_pool::async_acquire",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_acquire(s.handler(slot)); }},
    {"mrd_pool::async_close",
     false,
     true,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_close(s.handler(slot)); }},
    {"mrd_pool::async_refresh_size",
     false,
     true,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_refresh_size(s.handler(slot)); }},
    {"mrd_pool::async_fetch, into buffers",
     true,
     false,
     [](scene& s, asio::cancellation_slot slot) {
         const std::array<asio::mutable_buffer, 2> buffers{
             asio::buffer(s.memory.data(), 5), asio::buffer(s.memory.data() + 5, object_bytes - 5)
         };
         s.pool.async_fetch(whole, buffers, two_parts(), s.counting_handler(slot));
     }},
    {"mrd_pool::async_fetch, into a view",
     true,
     false,
     [](scene& s, asio::cancellation_slot slot) {
         direct_buffer buffer{std::span<std::byte>(s.memory)};
         s.pool.async_fetch(whole, buffer.make_view(0, object_bytes), two_parts(), s.counting_handler(slot));
     }},
    {"mrd_pool::async_fetch, into fresh memory",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_fetch(whole, two_parts(), s.handler(slot)); }},
    {"mrd_pool::async_fetch_tail",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) { s.pool.async_fetch_tail(8, s.handler(slot)); }},
    {"mrd_pool::async_fetch_split",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) {
         s.pool.async_fetch_split(0, std::vector<std::uint64_t>{4, 12}, two_parts(), s.handler(slot));
     }},
    {"mrd_pool::async_fetch_ranges",
     true,
     false,
     [](scene& s, asio::cancellation_slot slot) {
         std::vector<range_request> requests;
         requests.emplace_back(byte_range(0, 8), std::span(s.memory).first(8));
         requests.emplace_back(byte_range(8, 8), std::span(s.memory).last(8));
         s.pool.async_fetch_ranges(std::move(requests), s.handler(slot));
     }},
    {"lease::async_fetch",
     true,
     true,
     [](scene& s, asio::cancellation_slot slot) {
         s.held.async_fetch(whole, asio::buffer(s.memory.data(), object_bytes), s.counting_handler(slot));
     }},
    {"mrd_pool_cache::async_open",
     false,
     false,
     [](scene& s, asio::cancellation_slot slot) { s.cache.async_open(s.service.object(), s.handler(slot)); }},
    {"mrd_pool_cache::async_close",
     false,
     true,
     [](scene& s, asio::cancellation_slot slot) { s.cache.async_close(s.handler(slot)); }},
};

bool closes(const row& r) {
    return std::string(r.name).find("close") != std::string::npos;
}

/// The results of a cancellation, over all steps.
struct cell {
    int cancelled = 0;       // it ended with operation_aborted
    int ignored = 0;         // it ended as if nothing had been
    std::size_t prefix = 0;  // the longest that was reported with operation_aborted
};

/// Runs an operation for so many steps, and cancels it. False: there are no later ones.
bool cancel_after(const row& r, cancellation_type type, std::size_t steps, cell& sum) {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    scene s(w);
    if (r.on_a_lease) s.take_leases();
    asio::cancellation_signal signal;
    r.start(s, signal.slot());
    bool idle = false;
    for (std::size_t i = 0; i < steps && !idle; ++i) idle = !w.step();
    if (s.code) return false;
    const bool touched = s.touched();
    signal.emit(type);
    w.run();
    CAPTURE(std::string(r.name));
    CAPTURE(steps);
    if (closes(r) && type == cancellation_type::total) {
        CHECK_FALSE(s.code);
        s.held.release();
        s.held_of_cache.release();
        w.run();
    }
    REQUIRE(s.code);
    // The memory is unchanged since the completion, although all pending work has ended by now.
    CHECK(s.memory == s.memory_at_the_end);
    CHECK(w.violation() == "");
    const bool cancelled = *s.code == asio::error::operation_aborted;
    ++(cancelled ? sum.cancelled : sum.ignored);
    CHECK((cancelled || !*s.code));
    if (type == cancellation_type::total && r.writes) {
        CHECK(cancelled == !touched);
        CHECK(s.touched() == touched);
    }
    if (r.writes) CHECK(s.right(cancelled ? s.bytes : object_bytes));
    if (cancelled) sum.prefix = std::max(sum.prefix, s.bytes);
    // What was cancelled leaves the others usable.
    if (type != cancellation_type::terminal && !closes(r)) {
        const auto read = [&](auto start) {
            s.code.reset();
            s.memory.fill(unwritten);
            start();
            w.run();
            REQUIRE(s.code);
            CHECK_FALSE(*s.code);
            CHECK(s.right(object_bytes));
        };
        read([&] { s.pool.async_fetch(whole, s.memory, s.ended()); });
        if (s.held) read([&] { s.held.async_fetch(whole, s.memory, s.ended()); });
        s.held.release();
        s.held_of_cache.release();
        mrd_pool cached;
        s.cache.async_open(s.service.object(), [&](error_code, mrd_pool p) { cached = std::move(p); });
        w.run();
        read([&] { cached.async_fetch(whole, s.memory, s.ended()); });
    }
    return !idle;
}

cell cancel_everywhere(const row& r, cancellation_type type) {
    cell out;
    for (std::size_t steps = 0; cancel_after(r, type, steps, out); ++steps) REQUIRE(steps < 1000);
    return out;
}

}  // namespace

TEST_CASE("cancellation: terminal and partial end each operation at any stage, without later writes") {
    for (const row& r : table) {
        for (const auto type : {cancellation_type::terminal, cancellation_type::partial}) {
            const cell c = cancel_everywhere(r, type);
            CAPTURE(std::string(r.name));
            CHECK(c.cancelled > 0);
            const bool counts = r.writes && std::string(r.name) != "mrd_pool::async_fetch_ranges";
            CHECK((c.prefix > 0) == counts);
        }
    }
}

TEST_CASE("cancellation: total ends an operation until it has written to its caller's memory") {
    for (const row& r : table) {
        const cell c = cancel_everywhere(r, cancellation_type::total);
        CAPTURE(std::string(r.name));
        // What closes does so whether or not it is waited for.
        CHECK((c.cancelled > 0) == !closes(r));
        if (closes(r)) continue;
        // Where nothing is written, all types are alike: too late is only what has ended already.
        if (r.writes) {
            CHECK(c.ignored > 0);
        } else {
            CHECK(c.ignored == cancel_everywhere(r, cancellation_type::terminal).ignored);
        }
    }
}

TEST_CASE("cancellation: the cancellation types match the table in docs/combining.md") {
    const char* const page = std::getenv("RANGEIO_COMBINING_PAGE");
    REQUIRE(page != nullptr);
    std::ifstream file(page);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const row& r : table) {
        const std::string total = closes(r)  ? "never"
                                  : r.writes ? "until something was written"
                                             : "at any stage";
        const std::string name = r.name;
        const std::string first = name.substr(0, name.find(','));
        const std::string line =
            "| `" + first + "`" + name.substr(first.size()) + " | at any stage | " + total + " |";
        CAPTURE(line);
        CHECK(text.find(line) != text.npos);
    }
}
