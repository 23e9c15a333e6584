#include <rangeio/error.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/run.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
namespace asio = boost::asio;
namespace sim = rangeio::sim;

// A cancellation after each step of a read, while its stream goes from open to close. The shipped programs that cancel
// cover a cancellation inside of a step, as in the middle of a copy.

namespace {

// The stream opens slowly, breaks, opens slowly again, and its pieces take their time.
constexpr const char* troubled =
    "slow-open delay=1ms times=0; latency delay=1ms times=0; reset call=1 range=1 byte=4";

scripted_service_options options() {
    scripted_service_options out;
    out.object_bytes(16).finalized(false).max_chunk_bytes(4).faults(fault_script::parse(troubled));
    return out;
}

class cancelling_scene {
public:
    explicit cancelling_scene(sim::world& in)
        : world_(in),
          service_(in, options()),
          io_(std::make_unique<sim::context>(in, "reader")),
          pool_(io_->get_executor(), service_.transport(io_->get_executor(), 5s), pool_options().size(1)) {}

    /// Runs a read for `steps` steps, then cancels it.
    void cancel_read(std::size_t steps) { cancel(read(), read_, steps); }

    /// The same with a read that has to know the object's size before it has memory.
    void cancel_block(std::size_t steps) { cancel(block(), read_, steps); }
    void cancel_tail(std::size_t steps) { cancel(tail(), read_, steps); }

    /// The same with a question for the size of an object that grows, on a stream that is there.
    void cancel_refresh(std::size_t steps) {
        sim::spawn(io_->get_executor(), "the first reader", read());
        world_.run();
        read_.reset();
        cancel(refresh(), read_, steps);
    }

    /// The same with a close that waits for a read.
    void cancel_close(std::size_t steps) {
        sim::spawn(io_->get_executor(), "the reader", read());
        // So that there is a lease to wait for: a close cancels an open, even one that has ranges.
        while ((pool_.stats().leases == 0 || pool_.stats().opening != 0) && world_.step()) {
        }
        cancel(close(), close_, steps);
    }

    /// A cancelled coroutine that resets its cancellation state opens the pool, reads and queries the size.
    void go_on() {
        asio::cancellation_signal signal;
        sim::spawn(io_->get_executor(), "who goes on", read_after(signal), signal.slot());
        world_.run();
        end();
    }

    /// Whether it was over before it was cancelled; else where it was.
    bool over() const noexcept { return over_; }
    const std::string& where() const noexcept { return where_; }
    const error_value& read_end() const { return read_.value(); }
    const error_value& close_end() const { return close_.value(); }

private:
    void cancel(asio::awaitable<void> operation, const std::optional<error_value>& ended, std::size_t steps) {
        asio::cancellation_signal signal;
        sim::spawn(io_->get_executor(), "who is cancelled", std::move(operation), signal.slot());
        for (std::size_t i = 0; i < steps && world_.step(); ++i) {
        }
        where_ = stage();
        over_ = ended.has_value();
        signal.emit(asio::cancellation_type::terminal);
        world_.run();
        end();
    }

    std::string stage() const {
        const auto s = pool_.stats();
        if (s.closing != 0) return "closing";
        if (s.reconnecting != 0) return "resuming";
        if (s.opening != 0) return s.waiters != 0 ? "waiting for a stream that opens" : "opening";
        if (s.leases == 0) return "nothing under way";
        return service_.calls() == 1 ? "reading" : "reading on";
    }

    void end() {
        sim::spawn(io_->get_executor(), "closing at the end", close());
        world_.run();
        const auto s = pool_.stats();
        CHECK(s.opening + s.ready + s.reconnecting + s.closing + s.leases + s.waiters == 0);
        CHECK(service_.calls_open() == 0);
        CHECK(memory_.intact());
        CHECK(world_.violation() == "");
    }

    asio::awaitable<void> read() {
        watched_memory::guard destination(memory_, 16);
        const auto memory = destination.span();
        fetch_options how;
        how.concurrency(2).min_chunk_bytes(1);
        const auto got = co_await support::try_fetch(pool_, byte_range(0, 16), memory, how);
        read_ = got ? error_value() : got.error();
        if (got) CHECK(service_.holds(memory, 0));
    }

    asio::awaitable<void> read_after(asio::cancellation_signal& cancel) {
        co_await asio::this_coro::throw_if_cancelled(false);
        cancel.emit(asio::cancellation_type::terminal);
        co_await read();
        const error_value first = read_.value();
        co_await refresh();
        if (first) read_ = first;
    }

    asio::awaitable<void> block() { read_ = co_await told(pool_.async_fetch(byte_range(0, 16))); }
    asio::awaitable<void> tail() { read_ = co_await told(pool_.async_fetch_tail(8)); }

    /// What it fails with, by an error of ours and never by Asio's own.
    template <class Awaitable>
    asio::awaitable<error_value> told(Awaitable operation) {
        error_value out;
        try {
            out = co_await support::failure_of(std::move(operation));
        } catch (const boost::system::system_error& e) {
            CHECK(std::string(e.what()) == "");
            out = e.code();
        }
        co_return out;
    }

    asio::awaitable<void> refresh() { read_ = co_await support::failure_of(pool_.async_refresh_size()); }

    asio::awaitable<void> close() {
        const error_value end = co_await support::failure_of(pool_.async_close());
        if (!close_) close_ = end;
    }

    sim::world& world_;
    watched_memory memory_;
    scripted_service service_;
    std::unique_ptr<sim::context> io_;
    mrd_pool pool_;
    std::optional<error_value> read_;
    std::optional<error_value> close_;
    bool over_ = false;
    std::string where_;
};

using places = std::set<std::string>;

/// Cancels after 0, 1, 2... steps, until the operation ends before its cancellation; returns the places of the
/// cancellations. `ended` returns how the operation ended. A read that has all its bytes by then succeeds.
places cancel_everywhere(
    void (cancelling_scene::*cancel)(std::size_t), const error_value& (cancelling_scene::*ended)() const
) {
    places seen;
    for (std::size_t steps = 0; steps < 1000; ++steps) {
        const auto decides = sim::run_name::of({}).make_strategy();
        sim::world w(*decides);
        cancelling_scene s(w);
        (s.*cancel)(steps);
        CAPTURE(steps);
        CAPTURE(s.where());
        const error_value& end = (s.*ended)();
        if (s.over()) {
            CHECK_FALSE(end);
            return seen;
        }
        // Bytes are missing there; at other places the completion may be on its way already.
        const bool unfinished = s.where() == "waiting for a stream that opens" || s.where() == "opening" ||
                                s.where() == "resuming";
        if (end || unfinished) CHECK(end.code() == asio::error::operation_aborted);
        // A close does not disturb the read.
        if (cancel == &cancelling_scene::cancel_close) CHECK_FALSE(s.read_end());
        seen.insert(s.where());
    }
    FAIL("it does not end");
    return seen;
}

}  // namespace

TEST_CASE("cancelling: a read ends as cancelled and leaves its memory alone, at each step of its stream") {
    const places all{
        "nothing under way", "waiting for a stream that opens", "reading", "resuming", "reading on"
    };
    CHECK(cancel_everywhere(&cancelling_scene::cancel_read, &cancelling_scene::read_end) == all);
}

TEST_CASE("cancelling: a read that rides in the opening message ends as cancelled, at each step") {
    places all{"nothing under way", "opening", "reading", "resuming"};
    CHECK(cancel_everywhere(&cancelling_scene::cancel_tail, &cancelling_scene::read_end) == all);
    all.insert("reading on");
    CHECK(cancel_everywhere(&cancelling_scene::cancel_block, &cancelling_scene::read_end) == all);
}

TEST_CASE("cancelling: refresh_size of a growing object ends as cancelled, at each step") {
    const places all{"nothing under way", "reading on", "resuming"};
    CHECK(cancel_everywhere(&cancelling_scene::cancel_refresh, &cancelling_scene::read_end) == all);
}

TEST_CASE("cancelling: a cancelled close stops waiting at each step, while read and close continue") {
    const places all{"reading", "resuming", "reading on", "closing", "nothing under way"};
    CHECK(cancel_everywhere(&cancelling_scene::cancel_close, &cancelling_scene::close_end) == all);
}

TEST_CASE("cancelling: a coroutine that continues after a cancellation, as for a clean-up, is served") {
    const auto decides = sim::run_name::of({}).make_strategy();
    sim::world w(*decides);
    cancelling_scene s(w);
    s.go_on();
    CHECK_FALSE(s.read_end());
}
