#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/manual_time.hpp>

#include "engine/pool_core.hpp"
#include "simulation/memory_service.hpp"
#include "simulation/open_into.hpp"
#include "support/grpc_failures.hpp"
#include "support/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using rangeio::byte_range;
using rangeio::errc;
using rangeio::lease;
using rangeio::mrd_pool;
using rangeio::pool_options;

// The shell of the pool, rule by rule: what the machine decides is tested with the machine; this is whether the shell
// does it, to coroutines.

namespace {

struct pool_fixture {
    explicit pool_fixture(
        std::size_t size = 2, bool multi_request = true, const rangeio::retry_policy& retry = {}
    )
        : pool(std::make_unique<mrd_pool>(
              context.get_executor(),
              service.factory(context.get_executor(), multi_request, retry),
              pool_options().size(size)
          )) {}
    ~pool_fixture() {
        pool.reset();
        context.restart();
        context.run_for(1s);
    }

    void settle(const outcome& end) {
        context.restart();
        while (!end.code && context.run_one_for(10s) != 0) {
        }
        REQUIRE(end.code);
    }

    memory_service service{std::string(100'000, 'x'), 2, 1000};
    asio::io_context context;
    rangeio::sim::manual_time time{context};
    std::unique_ptr<mrd_pool> pool;
};

asio::awaitable<void> initialize(mrd_pool& pool) {
    co_await pool.async_initialize();
}

}  // namespace

TEST_CASE("P1: concurrent initialize calls open one stream, and all of them complete") {
    pool_fixture f;
    f.service.pause();
    std::array<outcome, 5> ends;
    for (outcome& end : ends) asio::co_spawn(f.context, initialize(*f.pool), end.handler());
    f.context.poll();
    CHECK(f.pool->stats().waiters == 5);
    f.service.resume();
    for (const outcome& end : ends) {
        f.settle(end);
        CHECK_FALSE(end.code->failed());
    }
    CHECK(f.service.calls() == 1);
    CHECK(f.pool->stats().opened == 1);
    CHECK(f.pool->info()->size == 100'000);
}

TEST_CASE("P1: a failed open is reported to all waiters, and the pool can be opened again") {
    pool_fixture f(2, true, rangeio::retry_policy::none());
    f.service.refuse_opens(1);
    f.service.pause();
    std::array<outcome, 3> ends;
    for (outcome& end : ends) asio::co_spawn(f.context, initialize(*f.pool), end.handler());
    f.context.poll();
    CHECK(f.pool->stats().waiters == 3);
    f.service.resume();
    for (const outcome& end : ends) {
        f.settle(end);
        CHECK(*end.code == unavailable.code());
    }
    CHECK(f.pool->stats().failed == 1);
    run(f.context, initialize(*f.pool));
    CHECK(f.service.calls() == 2);
}

TEST_CASE("P3, P9, museum P06: a slow open delays neither a free stream nor close()") {
    pool_fixture f(2, false);
    lease held;
    run(f.context, acquire_into(*f.pool, held));
    f.service.pause();
    std::array<lease, 2> leases;
    std::array<outcome, 2> ends;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        asio::co_spawn(f.context, acquire_into(*f.pool, leases[i]), ends[i].handler());
    }
    f.context.restart();
    f.context.poll();
    CHECK(f.pool->stats().opening == 1);
    held.release();
    f.context.poll();
    CHECK(ends[0].code.has_value());
    CHECK_FALSE(ends[1].code.has_value());

    const auto close = [](mrd_pool& pool) -> asio::awaitable<void> { co_await pool.async_close(); };
    outcome closing;
    asio::co_spawn(f.context, close(*f.pool), closing.handler());
    f.context.poll();
    REQUIRE(ends[1].code);
    CHECK(*ends[1].code == errc::pool_closed);
    CHECK_FALSE(closing.code.has_value());
    leases[0].release();
    f.service.resume();
    f.settle(closing);
    CHECK(f.pool->stats().closed == 2);
}

TEST_CASE("P3, museum P07: opens run in parallel") {
    pool_fixture f(4, false);
    run(f.context, initialize(*f.pool));
    f.service.pause();
    std::array<lease, 4> leases;
    std::array<outcome, 4> ends;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        asio::co_spawn(f.context, acquire_into(*f.pool, leases[i]), ends[i].handler());
    }
    f.context.restart();
    f.context.poll();
    CHECK(f.service.calls() == 4);
    f.service.resume();
    for (const outcome& end : ends) f.settle(end);
    CHECK(f.pool->stats().leases == 4);
}

TEST_CASE("P8: streams that take one range at a time serve waiters in order, and cancelled ones leak nothing"
) {
    pool_fixture f(1, false);
    lease held;
    run(f.context, acquire_into(*f.pool, held));
    std::array<lease, 3> leases;
    std::array<outcome, 3> ends;
    asio::cancellation_signal second;
    asio::co_spawn(f.context, acquire_into(*f.pool, leases[0]), ends[0].handler());
    asio::co_spawn(
        f.context,
        acquire_into(*f.pool, leases[1]),
        asio::bind_cancellation_slot(second.slot(), ends[1].handler())
    );
    asio::co_spawn(f.context, acquire_into(*f.pool, leases[2]), ends[2].handler());
    f.context.restart();
    f.context.poll();
    CHECK(f.pool->stats().waiters == 3);

    second.emit(asio::cancellation_type::terminal);
    f.settle(ends[1]);
    CHECK(*ends[1].code == asio::error::operation_aborted);
    CHECK(f.pool->stats().waiters == 2);

    held.release();
    f.settle(ends[0]);
    CHECK(leases[0]);
    CHECK_FALSE(ends[2].code);
    leases[0].release();
    f.settle(ends[2]);
    CHECK(leases[2]);
    CHECK(f.pool->stats().leases == 1);
    CHECK(f.service.calls() == 1);
}

TEST_CASE("acquire: a timeout during the wait has its own code") {
    pool_fixture f(1, false);
    lease held;
    run(f.context, acquire_into(*f.pool, held));
    lease never;
    outcome end;
    asio::co_spawn(f.context, acquire_into(*f.pool, never, 1ms), end.handler());
    f.context.restart();
    f.context.poll();
    f.time.pass(1ms);
    f.settle(end);
    CHECK(*end.code == errc::timed_out);
    CHECK(f.pool->stats().waiters == 0);
}

TEST_CASE("P6: a stream that failed for good is not granted again, and a new one takes its place") {
    pool_fixture f(1, true, rangeio::retry_policy::none());
    f.service.break_after(3);
    const auto read_until_it_breaks = [](mrd_pool& pool) -> asio::awaitable<void> {
        std::vector<std::byte> memory(10'000);
        const byte_range range(0, 10'000);
        const auto broken = co_await failure_of(pool.async_fetch(range, memory));
        CHECK(broken.code() == unavailable.code());
        CHECK(broken.message() == "gs://b-1/o [0, 10000): the stream broke");
    };
    run(f.context, read_until_it_breaks(*f.pool));
    CHECK(f.pool->stats().failed == 1);
    CHECK(f.pool->stats().ready == 0);
    CHECK(f.pool->stats().leases == 0);
    f.service.break_after(0);
    lease fresh;
    run(f.context, acquire_into(*f.pool, fresh));
    CHECK(fresh);
    CHECK(f.pool->stats().opened == 2);
}

TEST_CASE("P9: closing fails the waiters, and completes with the release of the last lease") {
    pool_fixture f(1, false);
    lease held;
    run(f.context, acquire_into(*f.pool, held));
    lease never;
    outcome waiting;
    asio::co_spawn(f.context, acquire_into(*f.pool, never), waiting.handler());
    f.context.restart();
    f.context.poll();
    const auto close = [](mrd_pool& pool) -> asio::awaitable<void> { co_await pool.async_close(); };
    std::array<outcome, 2> closing;
    for (outcome& end : closing) asio::co_spawn(f.context, close(*f.pool), end.handler());
    f.settle(waiting);
    CHECK(*waiting.code == errc::pool_closed);
    CHECK_FALSE(closing[0].code);
    held.release();
    for (const outcome& end : closing) {
        f.settle(end);
        CHECK_FALSE(end.code->failed());
    }
    const auto stats = f.pool->stats();
    CHECK(stats.ready + stats.opening + stats.closing + stats.waiters + stats.leases == 0);
}

namespace {

asio::awaitable<void> close_within(mrd_pool& pool, std::chrono::nanoseconds deadline) {
    co_await pool.async_close(rangeio::close_options().deadline_after(deadline));
}

}  // namespace

TEST_CASE("P9: the deadline of close() stays in force when its caller stops waiting") {
    pool_fixture f;
    lease held;
    run(f.context, acquire_into(*f.pool, held));
    const std::size_t timers = f.time.timers();
    asio::cancellation_signal signal;
    outcome impatient;
    asio::co_spawn(
        f.context, close_within(*f.pool, 5s), asio::bind_cancellation_slot(signal.slot(), impatient.handler())
    );
    f.context.restart();
    f.context.poll();
    signal.emit(asio::cancellation_type::terminal);
    f.settle(impatient);
    CHECK(*impatient.code == asio::error::operation_aborted);
    REQUIRE(f.time.timers() == timers + 1);
    f.time.pass(4s);
    CHECK(f.pool->stats().ready == 1);
    f.time.pass(1s);
    outcome end;
    asio::co_spawn(f.context, close_within(*f.pool, {}), end.handler());
    f.settle(end);
    CHECK_FALSE(end.code->failed());
    CHECK(f.pool->stats().leases == 1);
}

TEST_CASE("P9: of several deadlines of close() the earliest applies, and no timer is left") {
    for (const bool earliest_first : {true, false}) {
        pool_fixture f;
        lease held;
        run(f.context, acquire_into(*f.pool, held));
        const std::size_t timers = f.time.timers();
        std::array<outcome, 3> ends;
        asio::co_spawn(f.context, close_within(*f.pool, earliest_first ? 2s : 3h), ends[0].handler());
        asio::co_spawn(f.context, close_within(*f.pool, {}), ends[1].handler());
        asio::co_spawn(f.context, close_within(*f.pool, earliest_first ? 3h : 2s), ends[2].handler());
        f.context.restart();
        f.context.poll();
        CHECK(f.time.timers() == timers + 1);
        f.time.pass(2s);
        for (const outcome& end : ends) f.settle(end);
        CHECK(f.time.timers() == timers);
    }
}

TEST_CASE("P9: the deadline timer of close() ends with the last stream or with the context") {
    for (const bool context_first : {true, false}) {
        auto f = std::make_unique<pool_fixture>();
        lease held;
        run(f->context, acquire_into(*f->pool, held));
        asio::co_spawn(f->context, close_within(*f->pool, 1h), [](std::exception_ptr) {});
        f->context.restart();
        f->context.poll();
        if (!context_first) {
            held.release();
            f->context.run_for(20s);
            CHECK(f->time.timers() == 0);
        }
        f.reset();
        held.release();
    }
}

namespace {

/// A user's factory, which calls the pool from each function that the pool calls.
class inquisitive_factory final : public rangeio::mrd_factory {
public:
    class stream final : public rangeio::multi_range_downloader {
    public:
        explicit stream(inquisitive_factory& of) : of_(of) {}
        void open(std::shared_ptr<rangeio::stream_listener> owner) override {
            owner_ = std::move(owner);
            rangeio::object_info info;
            info.generation = 7;
            owner_->opened(std::make_shared<const rangeio::object_info>(info));
        }
        std::int64_t read(std::shared_ptr<rangeio::range_sink>) override {
            throw std::runtime_error("reads are over quota");
        }
        void cancel(std::int64_t, const rangeio::error_value&) noexcept override {}
        void close(const rangeio::error_value& why) noexcept override {
            if (const auto owner = std::exchange(owner_, nullptr)) owner->ended(why);
        }
        std::uint64_t outstanding_bytes() const noexcept override {
            of_.ask();
            return 0;
        }

    private:
        inquisitive_factory& of_;
        std::shared_ptr<rangeio::stream_listener> owner_;
    };

    std::shared_ptr<rangeio::multi_range_downloader> create() override {
        if (refuses) throw std::runtime_error("streams are over quota");
        if (makes_none) return nullptr;
        return std::make_shared<stream>(*this);
    }
    bool supports_multi_request() const noexcept override { return true; }
    const rangeio::object_ref& object() const noexcept override { return object_; }
    rangeio::stream_stats stats() const noexcept override {
        ask();
        return {};
    }
    void ask() const {
        if (pool == nullptr || std::exchange(asking_, true)) return;
        (void)pool->stats();
        ++asked;
        asking_ = false;
    }

    mrd_pool* pool = nullptr;
    bool refuses = false;
    bool makes_none = false;
    mutable int asked = 0;

private:
    const rangeio::object_ref object_{"b-1", "o"};
    mutable bool asking_ = false;
};

asio::awaitable<void> read_ten(mrd_pool& pool, rangeio::error_value& why) {
    lease held = co_await pool.async_acquire();
    std::vector<std::byte> memory(10);
    const byte_range range(0, 10);
    why = co_await failure_of(held.async_fetch(range, memory));
}

asio::awaitable<void> open_and_fail(mrd_pool& pool, rangeio::error_value& why) {
    why = co_await failure_of(pool.async_initialize());
}

}  // namespace

TEST_CASE("pool: no code of a factory, or of its streams, runs under a lock of the pool") {
    asio::io_context context;
    const auto factory = std::make_shared<inquisitive_factory>();
    mrd_pool pool(
        context.get_executor(),
        factory,
        pool_options().size(1).sharing(rangeio::sharing_policy::least_outstanding)
    );
    factory->pool = &pool;
    (void)pool.stats();
    CHECK(factory->asked == 1);
    lease first, second;
    run(context, acquire_into(pool, first));
    run(context, acquire_into(pool, second));
    CHECK(factory->asked > 1);
    first.release();
    second.release();
    factory->pool = nullptr;
}

TEST_CASE("pool: an exception of a factory, or of its streams, is reported with its own text") {
    asio::io_context context;
    const auto factory = std::make_shared<inquisitive_factory>();
    mrd_pool pool(context.get_executor(), factory, pool_options().size(1));
    rangeio::error_value why;
    SUBCASE("the factory throws") {
        factory->refuses = true;
        run(context, open_and_fail(pool, why));
        CHECK(why.message().find("streams are over quota") != std::string::npos);
    }
    SUBCASE("the factory returns no stream") {
        factory->makes_none = true;
        run(context, open_and_fail(pool, why));
        CHECK(why.code() == errc::invalid_argument);
    }
    SUBCASE("a stream throws in read") {
        run(context, read_ten(pool, why));
        CHECK(why.message().find("reads are over quota") != std::string::npos);
    }
    CHECK(why.code() != boost::system::errc::not_enough_memory);
}

namespace {

/// Streams that open, break and fail when the test says so, with loads that the test sets.
class loaded_streams final : public rangeio::mrd_factory {
public:
    class stream final : public rangeio::multi_range_downloader {
    public:
        void open(std::shared_ptr<rangeio::stream_listener> to) override { owner = std::move(to); }
        std::int64_t read(std::shared_ptr<rangeio::range_sink>) override { return 1; }
        void cancel(std::int64_t, const rangeio::error_value&) noexcept override {}
        void close(const rangeio::error_value& why) noexcept override { end(why); }
        std::uint64_t outstanding_bytes() const noexcept override { return load; }
        void end(const rangeio::error_value& why) noexcept {
            if (const auto to = std::exchange(owner, nullptr)) to->ended(why);
        }

        std::shared_ptr<rangeio::stream_listener> owner;
        std::uint64_t load = 0;
    };

    std::shared_ptr<rangeio::multi_range_downloader> create() override {
        made.push_back(std::make_shared<stream>());
        return made.back();
    }
    bool supports_multi_request() const noexcept override { return true; }
    const rangeio::object_ref& object() const noexcept override { return object_; }

    std::vector<std::shared_ptr<stream>> made;

private:
    const rangeio::object_ref object_{"b-1", "o"};
};

/// A pool that shares by load, and one lease on each of its first two streams.
struct sharing_fixture {
    explicit sharing_fixture(std::size_t size)
        : pool(
              context.get_executor(),
              streams,
              pool_options().size(size).sharing(rangeio::sharing_policy::least_outstanding)
          ) {
        for (std::size_t i = 0; i < 2; ++i) {
            ask();
            streams->made.at(i)->owner->opened(std::make_shared<const rangeio::object_info>());
            settle();
            REQUIRE(stream_of(i) == streams->made[i].get());
        }
    }
    ~sharing_fixture() {
        for (auto& [held, end] : asked) held.release();
        settle();
    }

    void ask() {
        auto& [held, end] = asked.emplace_back();
        asio::co_spawn(context, acquire_into(pool, held), end.handler());
        settle();
    }
    void settle() {
        context.restart();
        context.poll();
    }
    void loads(std::uint64_t first, std::uint64_t second) const {
        streams->made[0]->load = first;
        streams->made[1]->load = second;
    }
    /// Which stream the request that came in that place has. Null: it waits.
    const rangeio::multi_range_downloader* stream_of(std::size_t place) const {
        return rangeio::engine::pool_access::stream(asked.at(place).first).get();
    }

    asio::io_context context;
    const std::shared_ptr<loaded_streams> streams = std::make_shared<loaded_streams>();
    std::deque<std::pair<lease, outcome>> asked;
    mrd_pool pool;
};

}  // namespace

TEST_CASE("P4: a caller whose open failed shares by the loads at that moment, not at its call") {
    sharing_fixture f(3);
    f.loads(100, 200);
    f.ask();
    REQUIRE(f.streams->made.size() == 3);
    CHECK(f.stream_of(2) == nullptr);
    f.loads(300, 200);
    f.streams->made[2]->end(rangeio::error_value(errc::stalled));
    f.settle();
    CHECK(f.stream_of(2) == f.streams->made[1].get());
}

TEST_CASE("P4: after a reconnect streams are shared by their loads at that time") {
    sharing_fixture f(2);
    f.loads(100, 200);
    for (const auto& stream : f.streams->made) stream->owner->reconnecting();
    f.ask();
    f.ask();
    CHECK(f.stream_of(2) == nullptr);
    f.loads(700, 600);
    f.streams->made[0]->owner->reconnected();
    f.settle();
    // A ready stream serves all waiters: none waits for another one.
    CHECK(f.stream_of(2) == f.streams->made[0].get());
    CHECK(f.stream_of(3) == f.streams->made[0].get());
    f.streams->made[1]->owner->reconnected();
    f.ask();
    CHECK(f.stream_of(4) == f.streams->made[1].get());
    f.loads(500, 501);
    f.ask();
    CHECK(f.stream_of(5) == f.streams->made[0].get());
}
