#include <rangeio/fetch_options.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// The hops of an operation: how often it submits a task to the executor of its handler. A completion needs one, and
// operations of one executor that complete together share it.

namespace asio = boost::asio;
namespace sim = rangeio::sim;
using rangeio::byte_range;
using rangeio::error_code;
using rangeio::mrd_pool;
using rangeio::pool_options;
using rangeio::testing::scripted_service;
using rangeio::testing::scripted_service_options;

namespace {

/// An executor of a simulated context that counts the tasks submitted to it.
class counting_executor {
public:
    counting_executor(const sim::executor& inner, std::size_t& hops) : inner_(inner), hops_(&hops) {}

    sim::context& query(asio::execution::context_t what) const noexcept { return inner_.query(what); }
    asio::execution::blocking_t query(asio::execution::blocking_t what) const noexcept {
        return inner_.query(what);
    }
    counting_executor require(asio::execution::blocking_t::never_t what) const {
        return {inner_.require(what), *hops_};
    }
    counting_executor require(asio::execution::blocking_t::possibly_t what) const {
        return {inner_.require(what), *hops_};
    }
    template <class F>
    void execute(F&& f) const {
        ++*hops_;
        inner_.execute(std::forward<F>(f));
    }
    bool operator==(const counting_executor&) const noexcept = default;

private:
    sim::executor inner_;
    std::size_t* hops_;
};

/// Runs operations on an open pool of one stream, and counts the hops of all of them.
class bench {
public:
    explicit bench(sim::world& w)
        : world_(w),
          service_(w, scripted_service_options().max_chunk_bytes(64)),
          io_(w, "io"),
          on_(io_.make_executor("handlers"), hops_),
          pool(make_pool()) {
        pool.async_initialize([&w](error_code ec) { w.check(!ec, "the pool does not open"); });
        w.run();
    }
    ~bench() {
        pool.async_close([](error_code) {});
        world_.run();
    }

    mrd_pool make_pool() { return {io_.get_executor(), service_.streams(), pool_options().size(1)}; }
    /// A handler on the counting executor, for a value or none.
    auto handler() {
        return asio::bind_executor(on_, [this](error_code ec, auto&&...) {
            world_.check(!ec, "an operation fails: " + ec.message());
            ++completed_;
        });
    }
    void expect(std::size_t operations, std::size_t hops, const std::string& name) {
        world_.run();
        world_.check(std::exchange(completed_, 0) == operations, name + ": not all complete");
        const std::size_t taken = std::exchange(hops_, 0);
        world_.check(taken == hops, name + ": " + std::to_string(taken) + " hops");
    }

private:
    sim::world& world_;
    scripted_service service_;
    sim::context io_;
    std::size_t hops_ = 0;
    std::size_t completed_ = 0;
    counting_executor on_;

public:
    mrd_pool pool;
};

void holds(const std::function<void(bench&)>& what) {
    const auto result = sim::explore(
        [&](sim::world& w) {
            bench b(w);
            what(b);
        },
        sim::explore_options().schedules(50)
    );
    CHECK_MESSAGE(!result.found, result.text());
}

}  // namespace

TEST_CASE("hops: an operation that waits for the service submits one task, its completion") {
    holds([](bench& b) {
        std::vector<std::byte> memory(16);
        b.pool.async_fetch(byte_range(0, 16), std::span(memory), b.handler());
        b.expect(1, 1, "fetch into memory");
        b.pool.async_fetch(byte_range(0, 16), b.handler());
        b.expect(1, 1, "fetch into new memory");
        b.pool.async_fetch_tail(8, b.handler());
        b.expect(1, 1, "fetch of a tail");
        b.pool.async_refresh_size(b.handler());
        b.expect(1, 1, "refresh_size");
    });
}

TEST_CASE("hops: an operation that completes at once submits one task, too") {
    holds([](bench& b) {
        b.pool.async_initialize(b.handler());
        b.expect(1, 1, "initialize");
        b.pool.async_acquire(b.handler());
        b.expect(1, 1, "acquire");
        std::vector<std::byte> none;
        b.pool.async_fetch(byte_range(0, 0), std::span(none), b.handler());
        b.expect(1, 1, "fetch of no byte");
    });
}

TEST_CASE("hops: a read in four parts submits one task") {
    holds([](bench& b) {
        std::vector<std::byte> memory(64);
        b.pool.async_fetch(
            byte_range(0, 64),
            std::span(memory),
            rangeio::fetch_options().concurrency(4).min_chunk_bytes(1),
            b.handler()
        );
        b.expect(1, 1, "fetch in parts");
    });
}

TEST_CASE("hops: callers that wait for one opening share one task") {
    holds([](bench& b) {
        mrd_pool unopened = b.make_pool();
        unopened.async_initialize(b.handler());
        unopened.async_initialize(b.handler());
        b.expect(2, 1, "two callers of initialize");
        unopened.async_close(b.handler());
        b.expect(1, 1, "close");
    });
}
