#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/service_scene.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

// P12: the ranges of the read that causes the first open of a pool ride in the opening message.

namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
namespace asio = boost::asio;

using streams = support::stream_kind;
using support::every_stream_kind;

constexpr std::uint64_t size = 16;

/// An unopened pool on an object of 16 bytes in messages of 4, and reads of it.
class opening_scene : public support::service_scene {
public:
    opening_scene(sim::world& in, streams kind, const char* faults, bool finalized = true)
        : service_scene(in, options(faults, finalized)),
          pool_(std::make_unique<mrd_pool>(
              on(), support::factory_of(service(), kind, on()), pool_options().size(2)
          )) {}
    ~opening_scene() {
        pool_.reset();
        end();
    }

    mrd_pool& pool() { return *pool_; }

    /// The bytes of `range` that exist, or `expected`.
    asio::awaitable<void> read(byte_range range, bool allow_short = false, error_code expected = {}) {
        watched_memory::guard destination(memory(), range.length());
        const fetch_options how = fetch_options().allow_short(allow_short);
        error_value why;
        const std::size_t got =
            co_await pool_->async_fetch(range, destination.span(), how, redirect_error_value(why));
        ended(why, expected);
        if (why) co_return;
        const byte_range exists = range.clamp_to(size);
        world().check(got == exists.length(), "a read returns another number of bytes");
        world().check(
            service().holds(destination.span().first(got), range.offset()), "a read returns other bytes"
        );
    }

    asio::awaitable<void> read_block(byte_range range, error_code expected = {}) {
        error_value why;
        const byte_block got = co_await pool_->async_fetch(range, fetch_options(), redirect_error_value(why));
        ended(why, expected);
        if (!why) world().check(service().holds(got.span(), range.offset()), "a block has other bytes");
        if (!why) world().check(got.size() == range.length(), "a block has another size");
    }

    asio::awaitable<void> read_tail(std::uint64_t length) {
        error_value why;
        const object_tail got =
            co_await pool_->async_fetch_tail(length, fetch_options(), redirect_error_value(why));
        ended(why, {});
        world().check(got.bytes.size() == std::min(length, size), "a tail has another size");
        world().check(got.offset == size - got.bytes.size(), "a tail is elsewhere");
        world().check(service().holds(got.bytes.span(), got.offset), "a tail has other bytes");
    }

    asio::awaitable<void> close() {
        error_value why;
        co_await pool_->async_close(redirect_error_value(why));
        if (why) world().violate("close ends with: " + why.message());
    }

    int reads_ended() const noexcept { return reads_ended_; }

private:
    static scripted_service_options options(const char* faults, bool finalized) {
        scripted_service_options out;
        out.object_bytes(size).max_chunk_bytes(4).finalized(finalized).faults(fault_script::parse(faults));
        return out;
    }

    void ended(const error_value& why, error_code expected) {
        ++reads_ended_;
        if (why.code() != expected) world().violate("a read ends with: " + why.message());
    }

    std::unique_ptr<mrd_pool> pool_;
    int reads_ended_ = 0;
};

void explore_opening(const sim::program& program) {
    support::explore_at_locks(program, 600, 150, 2);
}

}  // namespace

TEST_CASE("P12: a read, a block and a tail each take one call and no further message") {
    for (const bool finalized : {true, false}) {
        for (const streams kind : every_stream_kind) {
            explore_opening([=](sim::world& w) {
                opening_scene s(w, kind, "", finalized);
                s.spawn("reader", s.read({4, 8}));
                w.run();
                w.check(s.service().calls() == 1, "a read makes a second call");
                w.check(s.pool().stats().ready == 1, "the pool is not open after the read");
                w.check(s.pool().info().has_value(), "the pool does not know its object");
            });
        }
        explore_opening([=](sim::world& w) {
            opening_scene s(w, streams::transport, "", finalized);
            s.spawn("reader", s.read_tail(5));
            w.run();
            w.check(s.service().calls() == 1, "a tail makes a second call");
        });
    }
}

TEST_CASE("P12: a tail on streams that have none is still the end of the object") {
    for (const streams kind : {streams::shared, streams::exclusive}) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "");
            s.spawn("reader", s.read_tail(5));
            w.run();
            w.check(s.reads_ended() == 1, "a tail has not ended");
        });
    }
}

TEST_CASE("P12: a read that is cancelled by total counts no bytes that it has dropped") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "");
            asio::cancellation_signal stop;
            std::vector<std::byte> memory(size, std::byte{0xee});
            const auto read = [&]() -> asio::awaitable<void> {
                co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
                error_value why;
                const byte_range all(0, size);
                const std::size_t got =
                    co_await s.pool().async_fetch(all, std::span(memory), redirect_error_value(why));
                w.check(
                    s.service().holds(std::span(memory).first(got), 0), "bytes count that are not in memory"
                );
            };
            const auto cancel = [&]() -> asio::awaitable<void> {
                stop.emit(asio::cancellation_type::total);
                co_return;
            };
            s.spawn("reader", read(), stop.slot());
            s.spawn("who cancels", cancel());
            w.run();
        });
    }
}

TEST_CASE("P12: a bad range fails its own read, also on streams that end with it") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "");
            s.spawn("bad", s.read({size + 5, 4}, false, errc::range_not_satisfiable));
            s.spawn("good", s.read({0, 4}));
            w.run();
            w.check(s.reads_ended() == 2, "a read has not ended");
            w.check(s.pool().stats().ready >= 1, "the pool is not open");
        });
    }
}

TEST_CASE("P12: several reads that open a pool at once are all served") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            // Only the library's own streams resume.
            opening_scene s(w, kind, kind == streams::transport ? "reset call=1 byte=4" : "");
            s.spawn("one", s.read({0, 8}));
            s.spawn("two", s.read_block({8, 8}));
            s.spawn_on_another_thread("three", s.read({4, 8}));
            w.run();
            w.check(s.reads_ended() == 3, "a read has not ended");
            w.check(s.pool().stats().leases == 0, "a lease is held");
        });
    }
}

TEST_CASE("P12: a range that the object does not have is explained by its size, and the pool is open") {
    for (const std::uint64_t offset : {size, size + 5}) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, streams::transport, "");
            s.spawn("reader", s.read({offset, 4}, false, errc::range_not_satisfiable));
            s.spawn("another", s.read_block({offset, 4}, errc::range_not_satisfiable));
            s.spawn("a third", s.read({0, 4}));
            w.run();
            w.check(s.pool().stats().ready >= 1, "the pool is not open");
            w.check(s.reads_ended() == 3, "a read has not ended");
        });
    }
}

TEST_CASE("P12: a read that opens a pool and may be short gets what there is, also at the end") {
    for (const std::uint64_t offset : {std::uint64_t{10}, size}) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, streams::transport, "");
            s.spawn("a short read", s.read({offset, 20}, true));
            w.run();
            w.check(s.reads_ended() == 1, "a read has not ended");
        });
    }
    explore_opening([=](sim::world& w) {
        opening_scene s(w, streams::transport, "");
        s.spawn("a tail longer than the object", s.read_tail(100));
        w.run();
        w.check(s.reads_ended() == 1, "a tail has not ended");
    });
}

TEST_CASE("P12: the failure of the open is the failure of the read, and the next read opens anew") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "fail-open call=1 status=NOT_FOUND");
            s.spawn("reader", s.read({0, 4}, false, errc::not_found));
            w.run();
            s.spawn("reader", s.read({0, 4}));
            w.run();
            w.check(s.reads_ended() == 2, "a read has not ended");
        });
    }
}

TEST_CASE("P12: a redirect of the open takes its ranges with it") {
    explore_opening([=](sim::world& w) {
        opening_scene s(w, streams::transport, "redirect call=1");
        s.spawn("reader", s.read({4, 8}));
        w.run();
        w.check(s.reads_ended() == 1, "a read has not ended");
        w.check(s.service().calls() == 2, "a redirect costs one call");
    });
}

TEST_CASE("P12, P9: a pool that is closed while it opens fails the read that opens it, with pool_closed") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "slow-open delay=1000s times=0");
            const auto must_end = w.expect_end("the read", 0ns);
            s.spawn("reader", [](opening_scene& in, std::uint64_t oracle) -> asio::awaitable<void> {
                co_await in.read({0, 4}, false, errc::pool_closed);
                in.world().ended(oracle);
            }(s, must_end));
            s.spawn_on_another_thread("closer", s.close());
            w.run();
        });
    }
}

TEST_CASE("P12: a read that is cancelled while it opens the pool ends at once, and the open continues") {
    for (const streams kind : every_stream_kind) {
        explore_opening([=](sim::world& w) {
            opening_scene s(w, kind, "slow-open delay=1s times=0");
            asio::cancellation_signal stop;
            s.spawn("reader", s.read({0, 4}, false, asio::error::operation_aborted), stop.slot());
            w.step();
            const auto began = w.now();
            stop.emit(asio::cancellation_type::terminal);
            while (s.reads_ended() == 0 && w.step()) {
            }
            w.check(w.now() == began, "a cancelled read waits");
            w.run();
            w.check(s.pool().stats().ready == 1, "the open has not continued");
            w.check(s.pool().stats().leases == 0, "a lease is held");
        });
    }
}
