#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/schedules.hpp"
#include "support/service_scene.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

// A reader over the library's own streams, in virtual time.

namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::link_options;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
using support::read_end;
using support::run_in_one_schedule;
namespace asio = boost::asio;

constexpr std::uint64_t object_bytes = 64;

scripted_service_options object_of(const char* faults = "", std::uint64_t size = object_bytes) {
    return scripted_service_options().object_bytes(size).max_chunk_bytes(8).faults(fault_script::parse(faults)
    );
}

/// A service, and a reader with a pool of its own.
class reader_scene : public support::service_scene {
public:
    explicit reader_scene(
        sim::world& in, const scripted_service_options& how = object_of(), reader_options options = {}
    )
        : service_scene(in, how),
          reader_(std::make_unique<object_reader>(
              mrd_pool(on(), service().transport(on()), pool_options().size(2)), std::move(options)
          )) {}
    ~reader_scene() {
        reader_.reset();
        end();
    }

    object_reader& reader() { return *reader_; }
    void destroy_reader() { reader_.reset(); }

    asio::awaitable<read_end> read(std::size_t size, std::optional<std::uint64_t> at = {}) {
        return service_scene::read(*reader_, size, at);
    }
    asio::awaitable<read_end> read_block(std::size_t max) { return service_scene::read_block(*reader_, max); }
    asio::awaitable<error_value> close() {
        error_value why;
        co_await reader_->async_close(redirect_error_value(why));
        co_return why;
    }

private:
    std::unique_ptr<object_reader> reader_;
};

void run_task(
    const scripted_service_options& how, const std::function<asio::awaitable<void>(reader_scene&)>& task
) {
    for (const prefetching ahead : {prefetching::off, prefetching::linear_ramp, prefetching::adaptive}) {
        CAPTURE(ahead);
        run_in_one_schedule([&](sim::world& w) {
            reader_scene s(w, how, reader_options().prefetch(ahead));
            s.spawn("task", task(s));
            w.run();
        });
    }
}

void explore_scene(const sim::program& program) {
    support::explore_at_locks(program, 600, 150, 2);
}

asio::awaitable<void> close_twice(reader_scene& s) {
    s.world().check(!(co_await s.close()), "close fails");
    s.world().check(s.service().calls_open() == 0, "a call is open after the close");
    s.world().check(!(co_await s.close()), "a second close fails");
}

const error_code eof = make_error_code(asio::error::eof);
const error_code read_aborted = make_error_code(asio::error::operation_aborted);
const error_code in_progress = make_error_code(asio::error::in_progress);

asio::awaitable<void> read_through(reader_scene& s) {
    object_reader& r = s.reader();
    CHECK(s.service().calls() == 0);
    CHECK_FALSE(r.size());
    CHECK((co_await s.read(0)).bytes == 0);
    CHECK(s.service().calls() == 0);
    for (std::uint64_t at = 0; at < 60; at += 10) {
        CHECK(r.tell() == at);
        CHECK((co_await s.read(10)).bytes == 10);
    }
    CHECK(r.size() == object_bytes);
    CHECK((co_await s.read(10)).bytes == 4);
    CHECK(r.tell() == object_bytes);
    const read_end at_end = co_await s.read(10);
    CHECK(at_end.why.code() == eof);
    CHECK(at_end.bytes == 0);
    CHECK(r.tell() == object_bytes);
    CHECK((co_await s.read(10, 60)).bytes == 4);
    CHECK((co_await s.read(10, object_bytes)).why.code() == eof);
    CHECK((co_await s.read(10, byte_range::max_end)).why.code() == eof);
    CHECK((co_await s.read(10, ~std::uint64_t{0})).why.code() == eof);
    CHECK((co_await s.read_block(10)).why.code() == eof);
    CHECK(r.seek(-4, seek_basis::end) == 60);
    CHECK((co_await s.read_block(10)).bytes == 4);
    CHECK(r.seek(-60, seek_basis::current) == 4);
    CHECK((co_await s.read_block(0)).bytes == 0);
    CHECK((co_await s.read_block(20)).bytes == 20);
    CHECK(r.tell() == 24);
    CHECK(s.service().calls() <= 2);  // the second one of what is fetched ahead
}

asio::awaitable<void> seek_wrongly(reader_scene& s) {
    object_reader& r = s.reader();
    error_code why;
    r.seek(5);
    const auto fails = [&](std::int64_t offset, seek_basis from) {
        CHECK(r.seek(offset, from, why) == 0);
        CHECK(why == errc::invalid_argument);
        CHECK(r.tell() == 5);
    };
    fails(0, seek_basis::end);  // which is not known yet
    fails(-1, seek_basis::set);
    fails(-6, seek_basis::current);
    fails(std::numeric_limits<std::int64_t>::min(), seek_basis::current);
    fails(std::numeric_limits<std::int64_t>::max(), seek_basis::current);
    CHECK_THROWS_WITH_AS(r.seek(-1), "reader: seek to a position that no object has", error);
    CHECK((co_await s.read(1)).bytes == 1);
    CHECK(r.seek(10, seek_basis::end, why) == object_bytes + 10);
    CHECK_FALSE(why);
    CHECK((co_await s.read(1)).why.code() == eof);
}

}  // namespace

TEST_CASE("object_reader: reads from the position and at offsets, with the end of the object as eof") {
    run_task(object_of(), read_through);
}

TEST_CASE("object_reader: a seek out of range is an error and leaves the position") {
    run_task(object_of(), seek_wrongly);
}

TEST_CASE("object_reader: a read of an empty object that opens it is eof") {
    run_task(object_of("", 0), [](reader_scene& s) -> asio::awaitable<void> {
        CHECK((co_await s.read(10)).why.code() == eof);
        CHECK(s.reader().size() == 0);
    });
}

namespace {

constexpr auto latency = 50ms;

asio::awaitable<void> count_round_trips(reader_scene& s) {
    const auto since = [&s, began = s.world().now()] { return (s.world().now() - began) / latency; };
    s.reader().advise(footer{16});
    CHECK((co_await s.read(4)).bytes == 4);
    CHECK(since() == 1);
    // The footer came with the first read; a read that begins before it asks for the rest.
    CHECK((co_await s.read(4, 60)).bytes == 4);
    CHECK((co_await s.read(16, 48)).bytes == 16);
    CHECK((co_await s.read(100, 48)).bytes == 16);
    CHECK(since() == 1);
    CHECK((co_await s.read(20, 44)).bytes == 20);
    CHECK(since() == 2);
    s.reader().seek(40);
    CHECK((co_await s.read_block(100)).bytes == 24);
    CHECK(since() == 3);
    s.reader().seek(50);
    CHECK((co_await s.read_block(100)).bytes == 14);
    CHECK(since() == 3);
    // A far seek.
    s.reader().seek(0);
    CHECK((co_await s.read(8)).bytes == 8);
    CHECK(since() == 4);
}

}  // namespace

TEST_CASE("object_reader: the first byte costs one round trip, and the footer that rides with it none") {
    run_task(object_of().link(link_options().latency(latency)), count_round_trips);
}

TEST_CASE("object_reader: a footer that is larger than the object is all of it") {
    run_task(object_of().link(link_options().latency(latency)), [](reader_scene& s) -> asio::awaitable<void> {
        s.reader().advise(footer{1000});
        CHECK((co_await s.read(4)).bytes == 4);
        const auto now = s.world().now();
        CHECK((co_await s.read(100)).bytes == object_bytes - 4);
        CHECK(s.world().now() == now);
    });
    run_in_one_schedule([](sim::world& w) {
        reader_scene s(w);
        CHECK_THROWS_WITH_AS(
            s.reader().advise(footer{5 << 20}), "footer: 5242880 is not in 0..4194304", error
        );
    });
}

namespace {

asio::awaitable<void> use_position_twice(reader_scene& s) {
    object_reader& r = s.reader();
    std::array<std::byte, 8> one{};
    std::array<std::byte, 8> two{};
    std::optional<error_code> first;
    r.async_read_some(std::span(one), [&](error_code why, std::size_t) { first = why; });
    CHECK((co_await s.read(4)).why.code() == in_progress);
    CHECK((co_await s.read_block(4)).why.code() == in_progress);
    error_code why;
    r.seek(1, seek_basis::set, why);
    CHECK(why == in_progress);
    CHECK(r.tell() == 0);
    CHECK_FALSE(first);
    // Any number may read at offsets.
    const std::size_t got = co_await r.async_read_some_at(8, std::span(two));
    CHECK(got == 8);
    CHECK(s.service().holds(two, 8));
    co_await s.read(1, 0);
    REQUIRE(first);
    CHECK_FALSE(*first);
    CHECK(s.service().holds(one, 0));
    CHECK(r.tell() == 8);
    CHECK((co_await s.read(4)).bytes == 4);
}

}  // namespace

TEST_CASE("object_reader: one read at a time has the position, and others fail without effect") {
    run_task(object_of("latency delay=1ms times=0"), use_position_twice);
}

namespace {

asio::awaitable<void> fail_and_continue(reader_scene& s) {
    CHECK((co_await s.read(8)).bytes == 8);
    const read_end failed = co_await s.read(8);
    CHECK(failed.why.code() == errc::not_found);
    CHECK(s.reader().tell() == 8);
    CHECK((co_await s.read(8)).bytes == 8);
    CHECK(s.reader().tell() == 16);
}

}  // namespace

TEST_CASE("object_reader: a failed read leaves the position, and the next one succeeds") {
    run_task(object_of("range-error call=1 range=2 status=NOT_FOUND"), fail_and_continue);
}

TEST_CASE("object_reader: a replaced object is an error of its own") {
    run_task(
        object_of("new-generation call=1 byte=8; reset call=1 byte=12"),
        [](reader_scene& s) -> asio::awaitable<void> {
            std::vector<std::byte> memory(object_bytes);
            error_value why;
            co_await s.reader().async_read_some(std::span(memory), redirect_error_value(why));
            CHECK(why.code() == errc::generation_changed);
        }
    );
}

namespace {

reader_options following() {
    return reader_options().follow(true).follow_interval(7s);
}

scripted_service_options growing_object() {
    // The second call reports the size before it grows, and the third one reports the new one.
    return object_of("grow call=2 bytes=16").finalized(false);
}

asio::awaitable<void> read_to_the_end(reader_scene& s) {
    CHECK((co_await s.read(object_bytes)).bytes == object_bytes);
}

}  // namespace

TEST_CASE("object_reader: with follow, a read at the end of a growing object waits for more bytes") {
    run_in_one_schedule([](sim::world& w) {
        reader_scene s(w, growing_object(), following());
        s.spawn("task", [](reader_scene& in) -> asio::awaitable<void> {
            co_await read_to_the_end(in);
            const auto began = in.world().now();
            CHECK((co_await in.read(100)).bytes == 16);
            // Asked at once, and once more after the interval.
            CHECK(in.world().now() - began == 7s);
            CHECK(in.reader().size() == object_bytes + 16);
        }(s));
        w.run();
    });
}

TEST_CASE("object_reader: without follow, a growing object ends at the size that is known") {
    run_in_one_schedule([](sim::world& w) {
        reader_scene s(w, growing_object());
        s.spawn("task", [](reader_scene& in) -> asio::awaitable<void> {
            co_await read_to_the_end(in);
            CHECK((co_await in.read(100)).why.code() == eof);
            CHECK(in.service().calls() == 1);
        }(s));
        w.run();
    });
}

TEST_CASE(
    "object_reader: a read that waits for a growing object ends when it is cancelled or the reader closed"
) {
    using asio::cancellation_type;
    for (const auto how : {cancellation_type::none, cancellation_type::terminal, cancellation_type::total}) {
        explore_scene([how](sim::world& w) {
            reader_scene s(w, object_of().finalized(false), following());
            asio::cancellation_signal stop;
            std::uint64_t must_end = 0;
            const auto follow = [&]() -> asio::awaitable<void> {
                co_await asio::this_coro::throw_if_cancelled(false);
                co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
                const read_end end = co_await s.read(8, object_bytes);
                w.check(end.why.code() == read_aborted, "the read ends with: " + end.why.message());
                w.ended(must_end);
            };
            s.spawn("reader", follow(), stop.slot());
            const auto began = w.now();
            while (w.now() < began + 20s && w.step()) {
            }
            must_end = w.expect_end("the read", 0ns);
            if (how == cancellation_type::none) {
                s.spawn_on_another_thread("closer", close_twice(s));
            } else {
                stop.emit(how);
            }
            w.run();
        });
    }
}

TEST_CASE("object_reader: a cancelled read leaves the position, and the reader usable") {
    explore_scene([](sim::world& w) {
        reader_scene s(w, object_of("latency delay=1ms times=0"));
        asio::cancellation_signal stop;
        s.spawn(
            "reader",
            [](reader_scene& in) -> asio::awaitable<void> {
                co_await asio::this_coro::throw_if_cancelled(false);
                const read_end end = co_await in.read(40);
                const bool cancelled = end.why.code() == read_aborted;
                in.world().check(cancelled || end.bytes == 40, "a cancelled read ends otherwise");
                in.world().check(
                    in.reader().tell() == (cancelled ? 0 : 40), "a cancelled read moves the position"
                );
                co_await asio::this_coro::reset_cancellation_state();
                const read_end next = co_await in.read(8);
                in.world().check(next.bytes == 8, "the next read fails: " + next.why.message());
            }(s),
            stop.slot()
        );
        for (int i = 0; i < 6 && w.step(); ++i) {
        }
        stop.emit(asio::cancellation_type::terminal);
        w.run();
    });
}

namespace {

asio::awaitable<void> read_until_closed(reader_scene& s, std::uint64_t at) {
    for (int i = 0; i < 3; ++i) {
        const read_end end = co_await s.read(8, at);
        if (end.why.code() == errc::pool_closed) co_return;
        s.world().check(
            end.bytes == 8 || end.why.code() == read_aborted, "a read ends with: " + end.why.message()
        );
    }
}

}  // namespace

TEST_CASE("object_reader: close ends reads at any moment, and completes when nothing is left") {
    for (const char* faults : {"", "slow-open delay=1s times=0", "mute times=0"}) {
        explore_scene([faults](sim::world& w) {
            reader_scene s(w, object_of(faults));
            s.spawn("one", read_until_closed(s, 0));
            s.spawn_on_another_thread("two", read_until_closed(s, 16));
            s.spawn_on_another_thread("closer", close_twice(s));
            w.run();
        });
    }
}

TEST_CASE("object_reader: the end of the handle ends its reads") {
    explore_scene([](sim::world& w) {
        reader_scene s(w, object_of("mute times=0"));
        std::optional<error_code> end;
        std::vector<std::byte> memory(8);
        s.reader().async_read_some_at(0, std::span(memory), [&](error_code why, std::size_t) { end = why; });
        for (int i = 0; i < 3 && w.step(); ++i) {
        }
        s.destroy_reader();
        w.run();
        w.check(end == read_aborted, "the read does not end as cancelled");
    });
}

TEST_CASE("object_reader: readers of one pool leave it open, and end with it") {
    run_in_one_schedule([](sim::world& w) {
        const scripted_service service(w, object_of());
        sim::context io(w, "io");
        const auto on = io.make_executor("reader");
        auto pool = std::make_unique<mrd_pool>(on, service.transport(on));
        object_reader one(*pool);
        object_reader two(*pool);
        int checked = 0;
        const auto task = [&]() -> asio::awaitable<void> {
            std::array<std::byte, 8> memory{};
            CHECK(co_await one.async_read_some(std::span(memory)) == 8);
            CHECK(co_await two.async_read_some(std::span(memory)) == 8);
            CHECK(service.calls() <= 2);
            co_await one.async_close();
            CHECK(co_await two.async_read_some(std::span(memory)) == 8);
            pool.reset();
            error_value why;
            co_await two.async_read_some(std::span(memory), redirect_error_value(why));
            CHECK(why.code() == errc::pool_closed);
            ++checked;
        };
        sim::spawn(on, "task", task());
        w.run();
        CHECK(checked == 1);
    });
}

TEST_CASE("object_reader: an empty handle fails every operation") {
    run_in_one_schedule([](sim::world& w) {
        sim::context io(w, "io");
        object_reader none;
        CHECK_FALSE(none);
        CHECK(none.tell() == 0);
        CHECK_FALSE(none.size());
        CHECK_THROWS_AS(none.seek(0), error);
        CHECK_THROWS_AS(none.advise(footer{1}), error);
        int failed = 0;
        std::array<std::byte, 8> memory{};
        const auto on = io.make_executor("reader");
        const auto task = [&]() -> asio::awaitable<void> {
            error_value why;
            co_await none.async_read_some(std::span(memory), redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
            (void)co_await none.async_read_block(1, redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
            co_await none.async_close(redirect_error_value(why));
            failed += why.code() == errc::invalid_argument;
        };
        sim::spawn(on, "task", task());
        w.run();
        CHECK(failed == 3);
    });
}

TEST_CASE("object_reader: options out of their range are errors of the constructor") {
    run_in_one_schedule([](sim::world& w) {
        const scripted_service service(w, object_of());
        sim::context io(w, "io");
        const auto on = io.make_executor("reader");
        const mrd_pool pool(on, service.transport(on));
        const auto made = [&](reader_options how) { object_reader reader(pool, std::move(how)); };
        CHECK_THROWS_WITH_AS(
            made(reader_options().follow_interval(0ms)), "follow_interval: 0 s is not in 0.001..3600 s", error
        );
        CHECK_THROWS_WITH_AS(
            made(reader_options().fetching(fetch_options().concurrency(0))),
            "concurrency: 0 is not in 1..1024",
            error
        );
    });
}

namespace {

/// Operations drawn at random, against an array of bytes: the position, and what is read from where.
asio::awaitable<void> random_operations(reader_scene& s, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&random](std::uint64_t n) { return random() % n; };
    object_reader& r = s.reader();
    if (below(2) == 0) r.advise(footer{below(2 * object_bytes)});
    std::uint64_t position = 0;
    for (int i = 0; i < 12; ++i) {
        const std::uint64_t n = below(object_bytes / 2);
        const std::uint64_t at = below(object_bytes + 8);
        const auto expected = [&](std::uint64_t from) {
            return std::min(n, from < object_bytes ? object_bytes - from : 0);
        };
        const auto check = [&](const read_end& end, std::uint64_t from) {
            const bool at_end = n != 0 && expected(from) == 0;
            s.world().check(
                end.why.code() == (at_end ? eof : error_code()), "a read ends with: " + end.why.message()
            );
            s.world().check(end.bytes == expected(from), "a read returns another number of bytes");
        };
        switch (below(4)) {
            case 0:
                check(co_await s.read(n), position);
                position += expected(position);
                break;
            case 1: {
                // A block may be shorter than what exists.
                const read_end end = co_await s.read_block(n);
                const std::uint64_t most = expected(position);
                s.world().check(end.bytes <= most && (end.bytes == 0) == (most == 0), "a block has no byte");
                position += end.bytes;
                break;
            }
            case 2: check(co_await s.read(n, at), at); break;
            default: position = r.seek(static_cast<std::int64_t>(at)); break;
        }
        s.world().check(r.tell() == position, "the position is elsewhere");
    }
}

}  // namespace

TEST_CASE("object_reader: random reads and seeks, through faults, return the bytes of the object") {
    const std::uint64_t runs = support::schedule_budget() / 5;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        CAPTURE(seed);
        run_in_one_schedule([seed](sim::world& w) {
            const char* faults = seed % 3 == 0 ? "reset byte=8 times=2; slow-open delay=1ms" : "";
            reader_scene s(w, object_of(faults));
            s.spawn("reader", random_operations(s, seed));
            w.run();
        });
    }
}
