#include <rangeio/memory_budget.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>
#include <rangeio/sim/world.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "support/schedules.hpp"
#include "support/service_scene.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

// What readers fetch ahead, over the library's own streams, in virtual time.

namespace {

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::testing::fault_script;
using rangeio::testing::link_options;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
using support::read_end;
using support::run_in_one_schedule;

constexpr std::uint64_t kib = 1 << 10, mib = 1 << 20;
constexpr std::array every_prefetching{prefetching::off, prefetching::linear_ramp, prefetching::adaptive};

scripted_service_options large_object(std::uint64_t size, const char* faults = "") {
    return scripted_service_options().object_bytes(size).max_chunk_bytes(256 * kib).faults(
        fault_script::parse(faults)
    );
}

/// Readers of one object that share a pool and a budget.
class ahead_scene : public support::service_scene {
public:
    ahead_scene(
        sim::world& in,
        const scripted_service_options& how,
        const reader_options& options = {},
        std::size_t readers = 1,
        memory_budget budget = memory_budget()
    )
        : service_scene(in, how),
          budget_(std::move(budget)),
          pool_(on(), service().transport(on()), pool_options().size(2)) {
        for (std::size_t i = 0; i < readers; ++i) {
            readers_.push_back(std::make_unique<object_reader>(pool_, reader_options(options).memory(budget_))
            );
        }
    }
    ~ahead_scene() {
        readers_.clear();
        pool_ = mrd_pool();
        end();
        world().check(budget_.stats().reserved_bytes == 0, "memory is reserved after the end");
    }

    using service_scene::memory;
    object_reader& reader(std::size_t i = 0) { return *readers_[i]; }
    const memory_budget& budget() const { return budget_; }
    void destroy_readers() { readers_.clear(); }

    asio::awaitable<read_end> read(
        std::size_t size, std::optional<std::uint64_t> at = {}, std::size_t who = 0
    ) {
        return service_scene::read(reader(who), size, at);
    }
    asio::awaitable<read_end> read_block(std::size_t max, std::size_t who = 0) {
        return service_scene::read_block(reader(who), max);
    }
    asio::awaitable<void> close(std::size_t who = 0) {
        error_value why;
        co_await reader(who).async_close(redirect_error_value(why));
        world().check(!why, "close fails");
    }

private:
    memory_budget budget_;
    mrd_pool pool_;
    std::vector<std::unique_ptr<object_reader>> readers_;
};

/// Runs one task in virtual time, and returns the time.
std::chrono::nanoseconds time_of(
    const scripted_service_options& how,
    const reader_options& options,
    const std::function<asio::awaitable<void>(ahead_scene&)>& task
) {
    std::chrono::nanoseconds out{};
    run_in_one_schedule([&](sim::world& w) {
        ahead_scene s(w, how, options);
        s.spawn("task", task(s));
        const auto began = w.now();
        w.run();
        out = w.now() - began;
    });
    return out;
}

asio::awaitable<void> scan(ahead_scene& s, std::uint64_t bytes, std::size_t step) {
    for (std::uint64_t at = 0; at < bytes; at += step) {
        const read_end got = co_await s.read(step);
        s.world().check(!got.why && got.bytes == step, "a read of a scan fails");
    }
}

asio::awaitable<void> scan_in_blocks(ahead_scene& s, std::uint64_t bytes, std::size_t step) {
    for (std::uint64_t at = 0; at < bytes;) {
        const read_end got = co_await s.read_block(step);
        s.world().check(!got.why && got.bytes != 0, "a block of a scan fails");
        at += got.bytes;
    }
}

}  // namespace

TEST_CASE("prefetching: a scan of small reads does not pay a round trip for each") {
    const auto how = large_object(4 * mib).link(link_options().latency(10ms));
    const auto all = [](ahead_scene& s) { return scan(s, 4 * mib, 64 * kib); };
    const auto off = time_of(how, reader_options().prefetch(prefetching::off), all);
    CHECK(off >= 64 * 10ms);
    CHECK(time_of(how, reader_options().prefetch(prefetching::linear_ramp), all) < off / 2);
    CHECK(time_of(how, reader_options(), all) < off / 5);
    const auto blocks = [](ahead_scene& s) { return scan_in_blocks(s, 4 * mib, 64 * kib); };
    CHECK(time_of(how, reader_options(), blocks) < off / 5);
}

TEST_CASE("prefetching: a scan requests each byte once, and wastes none") {
    for (const prefetching ahead : every_prefetching) {
        CAPTURE(ahead);
        run_in_one_schedule([ahead](sim::world& w) {
            ahead_scene s(w, large_object(4 * mib), reader_options().prefetch(ahead));
            s.spawn("scan", scan(s, 4 * mib, 64 * kib));
            w.run();
            CHECK(s.service().bytes_sent() == 4 * mib);
            const reader_stats stats = s.reader().stats();
            CHECK(stats.wasted_bytes == 0);
            CHECK((stats.hits != 0) == (ahead != prefetching::off));
            CHECK((stats.prefetched_bytes != 0) == (ahead != prefetching::off));
        });
    }
}

TEST_CASE("prefetching: random reads request nothing else") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(64 * mib));
        const auto task = [&s]() -> asio::awaitable<void> {
            std::minstd_rand random(7);
            for (int i = 0; i < 40; ++i) (void)co_await s.read(4 * kib, random() % 1000 * 64 * kib);
        };
        s.spawn("random", task());
        w.run();
        CHECK(s.reader().stats().prefetched_bytes == 0);
        CHECK(s.service().bytes_sent() == 40 * 4 * kib);
    });
}

TEST_CASE("prefetching: the request of a far seek leaves at once, and waits for nothing that is under way") {
    constexpr auto latency = 10ms;
    const auto how = large_object(64 * mib).link(link_options().latency(latency));
    run_in_one_schedule([&](sim::world& w) {
        ahead_scene s(w, how);
        const auto task = [&]() -> asio::awaitable<void> {
            co_await scan(s, 4 * mib, 256 * kib);
            const auto began = w.now();
            const std::uint64_t before = s.service().ranges_requested();
            (void)co_await s.read(4 * kib, 60 * mib);
            CHECK(w.now() - began == latency);
            CHECK(s.service().ranges_requested() > before);
        };
        s.spawn("task", task());
        w.run();
    });
}

TEST_CASE("prefetching: what is under way is not requested again by a seek back") {
    const auto how = large_object(16 * mib).link(link_options().latency(10ms));
    run_in_one_schedule([&](sim::world& w) {
        ahead_scene s(w, how);
        const auto task = [&]() -> asio::awaitable<void> {
            s.reader().will_need(byte_range(4 * mib, mib));
            (void)co_await s.read(64 * kib);  // opens, and begins to fetch what is announced
            s.reader().dont_need(byte_range(4 * mib, mib));
            CHECK(s.reader().stats().orphan_bytes == mib);
            const read_end got = co_await s.read(mib, 4 * mib);
            CHECK(got.bytes == mib);
            CHECK(s.reader().stats().orphan_bytes == 0);
        };
        s.spawn("task", task());
        w.run();
        CHECK(s.service().bytes_sent() == mib + 64 * kib);
    });
}

TEST_CASE("prefetching: announced ranges are fetched in their order, before they are read") {
    const auto how = large_object(64 * mib).link(link_options().latency(10ms));
    run_in_one_schedule([&](sim::world& w) {
        ahead_scene s(w, how);
        const auto task = [&]() -> asio::awaitable<void> {
            const std::array wanted{
                byte_range(40 * mib, mib), byte_range(20 * mib, mib), byte_range(100 * mib, mib)
            };
            s.reader().will_need(wanted);
            (void)co_await s.read(4 * kib);
            const auto began = w.now();
            (void)co_await s.read(mib, 40 * mib);
            (void)co_await s.read(mib, 20 * mib);
            CHECK(w.now() - began <= 11ms);
            CHECK(s.reader().stats().hits >= 1);
        };
        s.spawn("task", task());
        w.run();
        // What has been read is given up; nothing was requested past the end.
        CHECK(s.budget().stats().reserved_bytes == 0);
        CHECK(s.service().bytes_sent() == 2 * mib + 4 * kib);
    });
}

TEST_CASE("prefetching: a failed unit is an error for the read that asks for it, and for no other") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(16 * mib, "range-error range=2 status=NOT_FOUND"));
        const auto task = [&]() -> asio::awaitable<void> {
            s.reader().will_need(byte_range(4 * mib, mib));
            CHECK_FALSE((co_await s.read(4 * kib)).why);
            CHECK_FALSE((co_await s.read(4 * kib, 8 * mib)).why);
            const read_end failed = co_await s.read(4 * kib, 4 * mib);
            CHECK(failed.why);
            CHECK(failed.bytes == 0);
            CHECK((co_await s.read(4 * kib, 4 * mib)).bytes == 4 * kib);
        };
        s.spawn("task", task());
        w.run();
    });
}

TEST_CASE("prefetching: with one unit of budget, many readers finish, and memory is bounded") {
    constexpr std::size_t readers = 8;
    for (const prefetching ahead : {prefetching::linear_ramp, prefetching::adaptive}) {
        CAPTURE(ahead);
        run_in_one_schedule([&](sim::world& w) {
            const memory_budget budget(memory_budget::min_limit_bytes);
            ahead_scene s(
                w,
                large_object(2 * mib).link(link_options().latency(1ms)),
                reader_options().prefetch(ahead),
                readers,
                budget
            );
            std::size_t finished = 0;
            const auto task = [&](std::size_t who) -> asio::awaitable<void> {
                for (std::uint64_t at = 0; at < 2 * mib; at += 256 * kib) {
                    const read_end got = co_await s.read(256 * kib, std::nullopt, who);
                    w.check(got.bytes == 256 * kib, "a read fails");
                }
                ++finished;
            };
            for (std::size_t i = 0; i < readers; ++i) s.spawn("reader", task(i));
            w.run();
            CHECK(finished == readers);
            CHECK(budget.stats().peak_bytes <= (readers + 1) * mib);
        });
    }
}

TEST_CASE("prefetching: a block counts in the budget for as long as it is held") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(4 * mib));
        const auto task = [&]() -> asio::awaitable<void> {
            s.reader().advise(access_pattern::random);
            (void)co_await s.read(4 * kib);
            byte_slice block = co_await s.reader().async_read_block(64 * kib);
            CHECK(block.size() == 64 * kib);
            CHECK(s.budget().stats().reserved_bytes == 64 * kib);
            byte_slice other = co_await s.reader().async_read_block(64 * mib);
            CHECK(other.size() == mib);
            CHECK(s.budget().stats().reserved_bytes == mib + 64 * kib);
            block = {};
            other = {};
            CHECK(s.budget().stats().reserved_bytes == 0);
        };
        s.spawn("task", task());
        w.run();
    });
}

TEST_CASE("prefetching: no more than max_prefetch_bytes are fetched ahead, and advice changes how many") {
    const auto how = large_object(32 * mib).link(link_options().latency(10ms).bandwidth(1 << 30));
    const auto most_ahead = [&](const reader_options& options, std::optional<access_pattern> advice) {
        std::uint64_t most = 0;
        run_in_one_schedule([&](sim::world& w) {
            ahead_scene s(w, how, options);
            const auto task = [&]() -> asio::awaitable<void> {
                if (advice) s.reader().advise(*advice);
                for (std::uint64_t at = 0; at < 4 * mib; at += 256 * kib) {
                    (void)co_await s.read(256 * kib);
                    most = std::max(most, s.budget().stats().reserved_bytes);
                }
            };
            s.spawn("task", task());
            w.run();
        });
        return most;
    };
    const std::uint64_t usual = most_ahead({}, {});
    CHECK(usual > 2 * mib);
    CHECK(most_ahead(reader_options().max_prefetch_bytes(512 * kib), {}) < usual / 2);
    CHECK(most_ahead({}, access_pattern::random) == 0);
    const auto linear = reader_options().prefetch(prefetching::linear_ramp);
    CHECK(most_ahead(reader_options(linear).max_prefetch_bytes(512 * kib), {}) < most_ahead(linear, {}));
    // A scan that is announced is fetched ahead from its first read on.
    const auto first_read_ahead = [&](access_pattern advice) {
        std::uint64_t ahead = 0;
        run_in_one_schedule([&](sim::world& w) {
            ahead_scene s(w, how);
            const auto task = [&]() -> asio::awaitable<void> {
                s.reader().advise(advice);
                (void)co_await s.read(256 * kib);
                ahead = s.reader().stats().prefetched_bytes;
            };
            s.spawn("task", task());
            w.run();
        });
        return ahead;
    };
    CHECK(first_read_ahead(access_pattern::unknown) == 0);
    CHECK(first_read_ahead(access_pattern::sequential) > 0);
}

TEST_CASE("prefetching: a read waits for no memory, whatever is announced") {
    run_in_one_schedule([](sim::world& w) {
        const memory_budget budget(memory_budget::min_limit_bytes);
        ahead_scene s(w, large_object(8 * mib).link(link_options().latency(1ms)), {}, 1, budget);
        bool over = false;
        const auto task = [&]() -> asio::awaitable<void> {
            (void)co_await s.read(4 * kib);
            s.reader().will_need(byte_range(0, 4 * mib));
            CHECK((co_await s.read(3 * mib, 64 * kib)).bytes == 3 * mib);
            over = true;
        };
        s.spawn("task", task());
        w.run();
        CHECK(over);
    });
}

TEST_CASE("prefetching: a block that is held does not keep the next one waiting") {
    run_in_one_schedule([](sim::world& w) {
        const memory_budget budget(memory_budget::min_limit_bytes);
        ahead_scene s(w, large_object(8 * mib), {}, 1, budget);
        bool over = false;
        const auto task = [&]() -> asio::awaitable<void> {
            s.reader().advise(access_pattern::random);
            (void)co_await s.read(4 * kib);
            byte_slice block = co_await s.reader().async_read_block(mib);
            block =
                co_await s.reader().async_read_block(mib);  // the first one lives until the second is there
            CHECK(block.size() == mib);
            CHECK(budget.stats().peak_bytes == 2 * mib);
            over = true;
        };
        s.spawn("task", task());
        w.run();
        CHECK(over);
    });
}

TEST_CASE("prefetching: memory that a slice holds is not waited for") {
    run_in_one_schedule([](sim::world& w) {
        const memory_budget budget(2 * mib);
        ahead_scene s(w, large_object(8 * mib), {}, 2, budget);
        bool over = false;
        const auto task = [&]() -> asio::awaitable<void> {
            for (std::size_t who : {0U, 1U}) {
                s.reader(who).advise(access_pattern::random);
                (void)co_await s.read(4 * kib, 0, who);
                s.reader(who).will_need(byte_range(mib, mib));
                (void)co_await s.read(4 * kib, mib + 4 * kib, who);
                s.reader(who).seek(mib);
            }
            // The one has lent a slice of its unit; the other has its unit to give.
            const byte_slice held = co_await s.reader(0).async_read_block(4 * kib);
            (void)co_await s.read(8 * kib, mib, 0);
            s.reader(1).dont_need(byte_range(0, 8 * mib));
            s.reader(1).seek(4 * mib);
            CHECK((co_await s.read_block(mib, 1)).bytes == mib);
            over = true;
        };
        s.spawn("task", task());
        w.run();
        CHECK(over);
    });
}

TEST_CASE("prefetching: announced bytes that come with the open are not requested again") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(8 * mib));
        const auto task = [&]() -> asio::awaitable<void> {
            s.reader().advise(access_pattern::random);
            s.reader().will_need(byte_range(0, 256 * kib));
            (void)co_await s.read(64 * kib);
            (void)co_await s.read(192 * kib);
            CHECK(s.reader().stats().orphan_bytes == 0);
        };
        s.spawn("task", task());
        w.run();
        CHECK(s.service().bytes_sent() == 256 * kib);
    });
}

TEST_CASE("prefetching: a long list of ranges becomes units as it is fetched") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(std::uint64_t{1} << 42), {}, 1, memory_budget(4 * mib));
        const auto task = [&]() -> asio::awaitable<void> {
            (void)co_await s.read(4 * kib);
            s.reader().will_need(byte_range(0, std::uint64_t{1} << 42));
            CHECK(s.reader().stats().under_way_bytes <= 64 * mib);
            CHECK((co_await s.read(4 * kib, std::uint64_t{1} << 40)).bytes == 4 * kib);
            s.reader().dont_need(byte_range(0, std::uint64_t{1} << 42));
        };
        s.spawn("task", task());
        w.run();
    });
}

TEST_CASE("prefetching: a cancelled read counts no bytes that it has not written") {
    run_in_one_schedule([](sim::world& w) {
        ahead_scene s(w, large_object(8 * mib).link(link_options().latency(10ms)));
        asio::cancellation_signal cancel;
        watched_memory::guard destination(s.memory(), 2 * mib);
        std::ranges::fill(destination.span(), std::byte{7});
        bool over = false;
        const auto prepare = [&]() -> asio::awaitable<void> {
            s.reader().advise(access_pattern::random);
            (void)co_await s.read(4 * kib);
            s.reader().will_need(byte_range(mib, mib));
            (void)co_await s.read(4 * kib, 4 * mib);  // a round trip: the unit has arrived
            s.reader().async_read_some_at(
                mib,
                destination.span(),
                asio::bind_cancellation_slot(
                    cancel.slot(),
                    [&](error_code why, std::size_t bytes) {
                        CHECK(why == asio::error::operation_aborted);
                        CHECK(bytes == 0);
                        over = true;
                    }
                )
            );
            cancel.emit(asio::cancellation_type::total);
        };
        s.spawn("prepare", prepare());
        w.run();
        CHECK(over);
        CHECK(std::ranges::count(destination.span(), std::byte{7}) == std::ptrdiff_t{2 * mib});
    });
}

TEST_CASE("prefetching: close waits for what is under way, and the destructor does not") {
    const auto how = large_object(16 * mib).link(link_options().latency(10ms));
    for (const bool closes : {true, false}) {
        CAPTURE(closes);
        run_in_one_schedule([&](sim::world& w) {
            ahead_scene s(w, how);
            const auto task = [&]() -> asio::awaitable<void> {
                co_await scan(s, 2 * mib, 256 * kib);
                s.reader().will_need(byte_range(8 * mib, 4 * mib));
                CHECK(s.reader().stats().under_way_bytes != 0);
                if (closes) co_await s.close();
                CHECK((s.budget().stats().reserved_bytes == 0) == closes);
                s.destroy_readers();
            };
            s.spawn("task", task());
            w.run();
        });
    }
}

namespace {

/// Reads, blocks, seeks and hints, and what each of them has to return.
asio::awaitable<void> random_use(ahead_scene& s, std::uint64_t seed, std::size_t who) {
    std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed));
    const auto below = [&random](std::uint64_t n) { return random() % n; };
    const std::uint64_t size = s.service().object_bytes();
    object_reader& r = s.reader(who);
    std::uint64_t position = 0;
    for (int i = 0; i < 24; ++i) {
        const std::uint64_t at = below(size);
        const std::size_t n = 1 + below(size / 4);
        const auto check = [&](const read_end& got, std::uint64_t from, bool whole) {
            const std::uint64_t expected = from >= size ? 0 : std::min<std::uint64_t>(n, size - from);
            if (expected == 0) {
                s.world().check(got.why.code() == make_error_code(asio::error::eof), "no end of the object");
            } else {
                s.world().check(!got.why, "a read fails");
                s.world().check(
                    whole ? got.bytes == expected : got.bytes <= expected && got.bytes != 0, "short"
                );
            }
        };
        switch (below(10)) {
            case 0: position = r.seek(static_cast<std::int64_t>(at)); break;
            case 1: r.will_need(byte_range(at, n)); break;
            case 2: r.dont_need(byte_range(at, n)); break;
            case 3: r.advise(static_cast<access_pattern>(below(3))); break;
            case 4: check(co_await s.read(n, at, who), at, true); break;
            case 5: {
                const read_end got = co_await s.read_block(n, who);
                check(got, position, false);
                position += got.bytes;
                break;
            }
            default: {
                const read_end got = co_await s.read(n, std::nullopt, who);
                check(got, position, true);
                position += got.bytes;
                break;
            }
        }
        s.world().check(r.tell() == position, "the position is elsewhere");
    }
}

}  // namespace

TEST_CASE("prefetching: any use of two readers, through faults, returns the bytes of the object") {
    const std::uint64_t runs = std::max<std::uint64_t>(8, support::schedule_budget() / 20);
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        CAPTURE(seed);
        run_in_one_schedule([seed](sim::world& w) {
            const char* faults = seed % 3 == 0 ? "reset byte=8 times=2; slow-open delay=1ms" : "";
            ahead_scene s(
                w,
                large_object(3 * mib, faults).link(link_options().latency(seed % 2 * 2ms)),
                reader_options().prefetch(every_prefetching[seed % 3]),
                2,
                memory_budget(seed % 4 == 0 ? mib : 128 * mib)
            );
            s.spawn("one", random_use(s, seed, 0));
            s.spawn("other", random_use(s, seed + 1000, 1));
            w.run();
        });
    }
}

TEST_CASE("prefetching: reads, hints, reclaims and the end on several threads, in all schedules") {
    for (const prefetching ahead : {prefetching::linear_ramp, prefetching::adaptive}) {
        support::explore_at_locks(
            [ahead](sim::world& w) {
                ahead_scene s(
                    w,
                    scripted_service_options().object_bytes(64).max_chunk_bytes(16),
                    reader_options().prefetch(ahead),
                    1
                );
                const auto forward = [&s]() -> asio::awaitable<void> {
                    for (int i = 0; i < 4; ++i) (void)co_await s.read(8);
                };
                const auto hints = [&s]() -> asio::awaitable<void> {
                    s.reader().will_need(byte_range(40, 16));
                    (void)co_await s.read(16, 40);
                    s.reader().dont_need(byte_range(0, 64));
                };
                const auto end = [&s]() -> asio::awaitable<void> { co_await s.close(); };
                s.spawn("forward", forward());
                s.spawn_on_another_thread("hints", hints());
                s.spawn_on_another_thread("end", end());
                w.run();
            },
            300,
            60,
            2
        );
    }
}
