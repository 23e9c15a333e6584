#include <rangeio/crc32c.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "engine/cache_wait.hpp"
#include "engine/pool_cache_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/transfer.hpp"
#include "simulation/open_into.hpp"
#include "support/await_operation.hpp"
#include "support/awaited_transfer.hpp"
#include "support/service_scene.hpp"
#include "testing/service/watched_memory.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

using namespace rangeio;
using namespace std::chrono_literals;
using rangeio::engine::cache_wait;
using rangeio::engine::pool_access;
using rangeio::engine::pool_cache_core;
using rangeio::engine::pool_core;
using rangeio::engine::pool_wait;
using rangeio::engine::transfer_parts;
using rangeio::testing::fault_script;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;
using rangeio::testing::watched_memory;
using support::acquire_into;
using support::awaited_transfer;
using support::open_into;
namespace asio = boost::asio;
namespace sim = rangeio::sim;

// The shells in small programs, where other actors act on an operation in place of other threads, before any lock.
// A cancelled operation must end before time passes, even if the service stays mute; a lost cancellation is a
// violation, not a hang.

namespace {

const error_value aborted = make_error_code(asio::error::operation_aborted);

void explore_all(const sim::program& p) {
    support::explore_at_locks(p, 3000, 600, 3);
}

using kind = support::stream_kind;
using support::factory_of;

scripted_service_options options(const char* faults) {
    return scripted_service_options().object_bytes(16).max_chunk_bytes(4).faults(fault_script::parse(faults));
}

/// A thread that ends an operation, which then has to end without the help of the service.
class canceller {
public:
    canceller(sim::world& in, sim::context& io) : world_(in), where_(io.make_executor("canceller")) {}

    void cancel(const std::shared_ptr<runtime::operation>& op) {
        asio::post(where_, [this, op] {
            op->cancel(aborted);
            if (!ended_) must_end_ = world_.expect_end("what is cancelled", 0ns);
        });
    }
    void ended() {
        ended_ = true;
        world_.ended(must_end_);
    }

private:
    sim::world& world_;
    sim::executor where_;
    bool ended_ = false;
    std::uint64_t must_end_ = 0;
};

template <class Op>
asio::awaitable<void> await_then(std::shared_ptr<Op> op, std::function<void()> then) {
    co_await support::await_operation(op);
    then();
}

transfer_parts two_parts(std::span<std::byte> memory) {
    transfer_parts out(2);
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i].range = byte_range(8 * i, 8);
        out[i].memory = memory.data() + 8 * i;
    }
    return out;
}

/// A read of two parts is cancelled by another thread, at any moment.
void cancelled_transfer(sim::world& w, kind streams, const char* faults, bool may_succeed) {
    watched_memory memory;
    const scripted_service service(w, options(faults));
    sim::context io(w, "io");
    const auto on = io.make_executor("reader");
    auto pool = std::make_unique<mrd_pool>(on, factory_of(service, streams, on), pool_options().size(1));
    const auto core = pool_access::core(*pool);
    canceller other(w, io);
    auto destination = std::make_unique<watched_memory::guard>(memory, 16);
    const auto op = std::make_shared<awaited_transfer>(core, two_parts(destination->span()));
    sim::spawn(on, "reader", await_then(op, [&] {
                   other.ended();
                   w.check(core->stats().leases == 0, "the transfer has ended and has a lease");
                   if (op->why()) {
                       if (op->why().code() != aborted.code()) w.violate(op->why().message());
                   } else {
                       w.check(may_succeed, "it succeeds without an answer");
                       w.check(service.holds(destination->span(), 0), "it has other bytes than the object");
                   }
                   destination.reset();
               }));
    other.cancel(op);
    w.run();
    w.check(core->stats().waiters == 0, "the transfer has ended and waits");
    pool.reset();
    w.run();
    w.check(service.calls_open() == 0, "a call is open");
    w.check(memory.intact(), "memory was written after the end");
}

}  // namespace

TEST_CASE("shells: a transfer cancelled before it has a lease ends though no lease is ever granted") {
    for (const kind streams : support::every_stream_kind) {
        explore_all([=](sim::world& w) {
            cancelled_transfer(w, streams, "slow-open delay=1000s times=0", false);
        });
    }
}

TEST_CASE("shells: a transfer cancelled while its ranges get their ids ends though no byte arrives") {
    for (const kind streams : support::every_stream_kind) {
        explore_all([=](sim::world& w) { cancelled_transfer(w, streams, "mute times=0", false); });
    }
}

TEST_CASE("shells: a transfer cancelled while bytes arrive ends, with or without success, and leaves nothing"
) {
    for (const kind streams : support::every_stream_kind) {
        explore_all([=](sim::world& w) { cancelled_transfer(w, streams, "latency delay=1ms times=0", true); }
        );
        explore_all([=](sim::world& w) { cancelled_transfer(w, streams, "", true); });
    }
}

namespace {

/// A stream on which the end of each range is on its way from the beginning, so that cancelling comes too late.
class prompt_stream final : public multi_range_downloader {
public:
    explicit prompt_stream(sim::world& in) : world_(in), thread_(in.add_actor("service", true)) {}

    void open(std::shared_ptr<stream_listener>) override {}
    std::int64_t read(std::shared_ptr<range_sink> sink) override {
        world_.post(
            thread_,
            sim::task([this, sink] {
                range_outcome all;
                all.received = sink->range().length();
                sink->done(all);
                ++done;
            }),
            "ends a range"
        );
        return ++last_id_;
    }
    void cancel(std::int64_t, const error_value&) noexcept override {}
    void close(const error_value&) noexcept override {}
    std::uint64_t outstanding_bytes() const noexcept override { return 0; }

    int done = 0;

private:
    sim::world& world_;
    const sim::actor_id thread_;
    std::int64_t last_id_ = 0;
};

}  // namespace

TEST_CASE("shells: a transfer whose ranges have all succeeded succeeds, whenever it is cancelled") {
    explore_all([](sim::world& w) {
        sim::context io(w, "io");
        const auto stream = std::make_shared<prompt_stream>(w);
        std::vector<std::byte> memory(16);
        const auto op = std::make_shared<awaited_transfer>(stream, nullptr, two_parts(memory));
        bool late = false;
        sim::spawn(io.make_executor("reader"), "reader", await_then(op, [&] {
                       w.check(!late || !op->why(), "a cancellation that came too late undoes a success");
                   }));
        asio::post(io.make_executor("canceller"), [&] {
            late = stream->done == 2;
            op->cancel(aborted);
        });
        w.run();
    });
}

TEST_CASE("shells: a cancelled acquire returns the lease, or an error and leaves the lease to others") {
    explore_all([](sim::world& w) {
        const scripted_service service(w, options(""));
        sim::context io(w, "io");
        const auto on = io.make_executor("waiter");
        auto pool = std::make_unique<mrd_pool>(on, service.streams(false), pool_options().size(1));
        const auto core = pool_access::core(*pool);
        lease held;
        const auto first = std::make_shared<engine::acquire_operation>(core, acquire_options());
        sim::spawn(on, "first", await_then(first, [&] { held = first->take_lease(); }));
        w.run();
        w.check(static_cast<bool>(held), "there is no lease");

        canceller other(w, io);
        const auto op = std::make_shared<engine::acquire_operation>(core, acquire_options());
        sim::spawn(on, "waiter", await_then(op, [&] {
                       other.ended();
                       const lease got = op->take_lease();
                       w.check(
                           static_cast<bool>(got) != static_cast<bool>(op->why()),
                           "neither a lease nor a reason"
                       );
                   }));
        other.cancel(op);
        asio::post(io.make_executor("holder"), [&] {
            if (w.choose(2) == 0) held.release();
        });
        w.run();
        held.release();
        const auto s = core->stats();
        w.check(s.leases == 0 && s.waiters == 0 && s.ready == 1, "a lease or a stream was lost");
        pool.reset();
        w.run();
    });
}

TEST_CASE("shells: a wait for a pool to open or to close ends when it is cancelled") {
    for (const bool closing : {false, true}) {
        explore_all([closing](sim::world& w) {
            const scripted_service service(
                w, options(closing ? "mute times=0" : "slow-open delay=1000s times=0")
            );
            sim::context io(w, "io");
            const auto on = io.make_executor("waiter");
            auto pool = std::make_unique<mrd_pool>(on, service.streams(), pool_options().size(1));
            const auto core = pool_access::core(*pool);
            lease held;
            if (closing) {
                const auto first = std::make_shared<engine::acquire_operation>(core, acquire_options());
                sim::spawn(on, "first", await_then(first, [&] { held = first->take_lease(); }));
                w.run();
            }
            canceller other(w, io);
            std::shared_ptr<pool_wait> op = std::make_shared<engine::initialize_operation>(core);
            if (closing) op = std::make_shared<engine::close_operation>(core, close_options());
            sim::spawn(on, "waiter", await_then(op, [&] {
                           other.ended();
                           w.check(op->why().code() == aborted.code(), "it ends in another way");
                       }));
            other.cancel(op);
            w.run();
            held.release();
            pool.reset();
            w.run();
            w.check(service.calls_open() == 0, "a call is open");
        });
    }
}

TEST_CASE("shells: a wait for the cache's close ends when cancelled, and the cache ends with its last lease"
) {
    explore_all([](sim::world& w) {
        const scripted_service service(w, options(""));
        sim::context io(w, "io");
        const auto on = io.make_executor("waiter");
        const auto cache = pool_cache_core::make(
            on,
            [&](const object_ref&, const pool_options&) { return service.streams(); },
            pool_cache_options()
        );
        auto pool = std::make_unique<mrd_pool>(cache->make_pool(service.object(), pool_options().size(1)));
        lease held;
        auto first = std::make_shared<engine::acquire_operation>(pool_access::core(*pool), acquire_options());
        sim::spawn(on, "first", await_then(first, [&] { held = first->take_lease(); }));
        w.run();
        first.reset();  // it keeps the pool
        canceller other(w, io);
        const auto op = std::make_shared<cache_wait>(cache, close_options());
        sim::spawn(on, "waiter", await_then(op, [&] {
                       other.ended();
                       w.check(op->why() || !held, "it is closed and a lease is out");
                   }));
        other.cancel(op);
        asio::post(io.make_executor("holder"), [&] {
            if (w.choose(2) == 1) held.release();
        });
        w.run();
        held.release();
        pool.reset();
        w.run();
        const auto s = cache->stats();
        w.check(
            s.keys_in_use == 0 && s.idle_streams == 0 && service.calls_open() == 0, "the cache is not closed"
        );
    });
}

namespace {

/// Work that another thread does, and that can be called off until it is done.
class errand final : public runtime::operation {
public:
    errand(sim::world& in, std::chrono::nanoseconds takes)
        : world_(in), thread_(in.add_actor("service", true)), takes_(takes) {}

    void stop(const error_value& why) noexcept override { end(why); }
    const error_value& why() const noexcept { return why_; }

    bool done = false;

private:
    void start() noexcept override {
        world_.call_after(
            thread_,
            takes_,
            sim::task([this, alive = shared_from_this()] {
                end({});
                done = true;
            }),
            "does the work"
        );
        {
            const std::lock_guard lock(mutex_);
            started_ = true;
            if (!over_ || std::exchange(completed_, true)) return;
        }
        complete();
    }
    void reject(const error_value& why) noexcept override { why_ = why; }
    void end(const error_value& why) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(over_, true)) return;
            why_ = why;
            if (!started_ || std::exchange(completed_, true)) return;
        }
        complete();
    }

    sim::world& world_;
    const sim::actor_id thread_;
    const std::chrono::nanoseconds takes_;
    runtime::mutex mutex_;
    bool started_ = false;
    bool over_ = false;
    bool completed_ = false;
    error_value why_;
};

asio::awaitable<void> await_limited(std::shared_ptr<errand> op, sim::world& w, int& resumed) {
    const auto start = w.now();
    co_await support::await_operation(op, 2ms);
    ++resumed;
    w.check(w.now() - start <= 2ms, "it takes longer than it may");
    const auto code = op->why().code();
    w.check(!op->why() || code == errc::timed_out || code == aborted.code(), "it ends for no reason");
}

}  // namespace

TEST_CASE("shells: an operation that ends, times out and is cancelled at once resumes its caller once") {
    explore_all([](sim::world& w) {
        sim::context io(w, "io");
        const auto op = std::make_shared<errand>(w, 1ms * static_cast<int>(w.choose(4)));
        int resumed = 0;
        sim::spawn(io.make_executor("caller"), "caller", await_limited(op, w, resumed));
        asio::post(io.make_executor("canceller"), [&] {
            const bool late = op->done;
            op->cancel(aborted);
            w.check(!late || !op->why(), "a cancellation that came too late undoes a success");
        });
        w.run();
        w.check(resumed == 1, "the caller is not resumed once");
    });
}

namespace {

asio::awaitable<void> read_from(lease& held, std::span<std::byte> memory, std::function<void()> then) {
    try {
        co_await held.async_fetch(byte_range(0, memory.size()), memory);
    } catch (const error&) {
        // The stream is closed under it.
    }
    then();
}

asio::awaitable<void> visit(mrd_pool_cache& cache, object_ref object, std::span<std::byte> memory) {
    try {
        mrd_pool pool = co_await cache.async_open(std::move(object));
        lease mine = co_await pool.async_acquire();
        co_await mine.async_fetch(byte_range(4, memory.size()), memory, read_options().timeout(1s));
    } catch (const error&) {
        // The service may be mute.
    }
}

}  // namespace

TEST_CASE("shells: a stream with a range pending while its pool ends is not given to another pool") {
    for (const kind streams : {kind::exclusive, kind::transport})
        explore_all([streams](sim::world& w) {
            const scripted_service service(w, options("mute chance=50%"));
            sim::context io(w, "io");
            const auto on = io.make_executor("cache");
            mrd_pool_cache cache(on, [&](const object_ref&, const pool_options&) {
                return factory_of(service, streams, on);
            });
            std::unique_ptr<mrd_pool> pool;
            lease held;
            sim::spawn(on, "opener", open_into(cache, service.object(), pool));
            w.run();
            sim::spawn(on, "acquirer", acquire_into(*pool, held));
            w.run();

            std::vector<std::byte> first(4);
            std::vector<std::byte> second(4);
            bool ended = false;
            std::uint64_t must_end = 0;
            const auto then = [&] {
                ended = true;
                w.ended(must_end);
            };
            sim::spawn(io.make_executor("reader"), "reader", read_from(held, first, then));
            asio::post(io.make_executor("destroyer"), [&] {
                pool.reset();
                if (!ended) must_end = w.expect_end("a read on a pool that is gone", 0ns);
            });
            sim::spawn(io.make_executor("visitor"), "visitor", visit(cache, service.object(), second));
            w.run();
            held.release();
            w.run();
            w.check(cache.stats().keys_in_use == 0, "no pool is there and an object counts as used");
            w.check(service.calls_open() == cache.stats().idle_streams, "a stream is nobody's");
        });
}

namespace {

/// A range that must get its end once, and no byte after that.
class strict_read final : public range_sink {
public:
    explicit strict_read(sim::world& in) : world_(in) {}

    byte_range range() const noexcept override { return {0, 16}; }
    std::uint32_t take(std::uint64_t, std::span<const std::byte> bytes, std::uint32_t crc) noexcept override {
        world_.check(!over, "bytes come after the end");
        return crc32c_extend(crc, bytes);
    }
    void done(const range_outcome&) noexcept override {
        world_.check(!over, "it ends twice");
        over = true;
    }

    bool over = false;

private:
    sim::world& world_;
};

class strict_listener final : public stream_listener {
public:
    explicit strict_listener(sim::world& in) : world_(in) {}
    void opened(std::shared_ptr<const object_info>) noexcept override { hear(); }
    void reconnecting() noexcept override { hear(); }
    void reconnected() noexcept override { hear(); }
    void ended(const error_value&) noexcept override {
        hear();
        over = true;
    }

    bool over = false;

private:
    void hear() { world_.check(!over, "the stream has ended and goes on"); }

    sim::world& world_;
};

}  // namespace

TEST_CASE("shells: a stream read, cancelled and closed by three threads ends each range and itself once") {
    for (const kind streams : {kind::shared, kind::transport}) {
        for (const char* faults :
             {"", "mute times=0", "reset byte=4 chance=50%; latency delay=1ms chance=50%"}) {
            explore_all([=](sim::world& w) {
                const scripted_service service(w, options(faults));
                sim::context io(w, "io");
                const auto on = io.make_executor("asker");
                const auto stream = factory_of(service, streams, on)->create();
                const auto owner = std::make_shared<strict_listener>(w);
                stream->open(owner);
                const auto first = std::make_shared<strict_read>(w);
                const auto second = std::make_shared<strict_read>(w);
                std::int64_t id = 0;
                asio::post(on, [&] {
                    id = stream->read(first);
                    stream->read(second);
                });
                asio::post(io.make_executor("canceller"), [&] { stream->cancel(id, aborted); });
                asio::post(io.make_executor("closer"), [&] { stream->close({}); });
                w.run();
                w.check(first->over && second->over, "a range never ends");
                w.check(owner->over, "the stream never ends");
                w.check(service.calls_open() == 0, "a call is open");
            });
        }
    }
}
