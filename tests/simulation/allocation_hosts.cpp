#include <rangeio/sim/allocation_failures.hpp>

#include "fsm/budget_fsm.hpp"
#include "fsm/mrd_fsm.hpp"
#include "fsm/pool_cache_fsm.hpp"
#include "fsm/pool_fsm.hpp"
#include "runtime/machine_host.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <new>
#include <string>

// Machines under their hosts: an event that may ask for memory and gets none has changed nothing, and the others ask
// for none.

namespace {

using namespace rangeio;
using namespace rangeio::fsm;
using namespace std::chrono_literals;
using rangeio::sim::allocation_failures;

using pool_host = runtime::machine_host<pool_fsm, pool_action>;
using mrd_host = runtime::machine_host<mrd_fsm, mrd_action>;
using cache_host = runtime::machine_host<pool_cache_fsm, cache_action>;
using budget_host = runtime::machine_host<budget_fsm, budget_action>;

const pool_cache_fsm::time_point start{1h};

std::string state_of(const pool_fsm& m) {
    std::string out = fmt::format(
        "{} {} {} {}:",
        static_cast<int>(m.state()),
        m.waiters().size(),
        m.initializers().size(),
        m.closers().size()
    );
    for (const auto& s : m.streams())
        out += fmt::format(" {}/{}/{}", s.id, static_cast<int>(s.state), s.leases);
    return out;
}

std::string state_of(const mrd_fsm& m) {
    std::string out = fmt::format(
        "{} {} {} {} {}:",
        static_cast<int>(m.state()),
        static_cast<int>(m.call()),
        static_cast<int>(m.wire()),
        m.outstanding_bytes(),
        m.message().size()
    );
    for (const auto& r : m.ranges()) out += fmt::format(" {}/{}", r.number, static_cast<int>(r.state));
    return out;
}

std::string state_of(const pool_cache_fsm& m) {
    std::string out = fmt::format(
        "{} {} {} {}:", static_cast<int>(m.state()), m.keys().size(), m.pools().size(), m.closers().size()
    );
    for (const auto& s : m.streams())
        out += fmt::format(" {}/{}/{}", s.id, static_cast<int>(s.state), s.user);
    return out;
}

std::string state_of(const budget_fsm& m) {
    std::string out = fmt::format("{} {}:", m.stats().reserved_bytes, m.action_bound());
    for (const auto& w : m.waiters()) out += fmt::format(" {}/{}", w.id, static_cast<int>(w.lane));
    for (const auto& r : m.reservations()) out += fmt::format(" {}/{}", r.id, static_cast<int>(r.use));
    return out;
}

template <class Host>
std::string look(const Host& host) {
    return host.peek([](const auto& machine) { return state_of(machine); });
}

/// The event, with each of its allocations failing in turn, and then with memory. Returns how many failed.
template <class Host, class Event>
std::uint64_t feed_reserving(Host& host, Event event) {
    for (std::uint64_t n = 1;; ++n) {
        const std::string before = look(host);
        bool thrown = false;
        std::uint64_t injected = 0;
        {
            const allocation_failures failing(n);
            try {
                host.feed_reserving(event);
            } catch (const std::bad_alloc&) {
                thrown = true;
            }
            injected = failing.injected();
        }
        CHECK(thrown == (injected == 1));
        if (!thrown) return n - 1;
        CHECK(look(host) == before);
    }
}

/// The event, and not a byte of memory for it.
template <class Host, class Event>
void feed(Host& host, Event event) {
    const allocation_failures all(1, 1'000'000);
    host.feed(event);
}

template <class Host>
void drain(Host& host) {
    host.drain([](auto&) {});
}

}  // namespace

TEST_CASE("machine_host, pool_fsm: a new caller without memory leaves no trace, other events need none") {
    pool_fsm::options options;
    options.pool_size = 8;
    options.multi_request = false;
    pool_host host(options);
    std::uint64_t failed = 0;
    failed += feed_reserving(host, [](pool_fsm& m, pool_actions& out) { m.initialize(1, false, out); });
    for (waiter_id who = 2; who < 40; ++who) {
        failed += feed_reserving(host, [who](pool_fsm& m, pool_actions& out) {
            m.acquire(who, {}, rangeio::fsm::request_class::demand, out);
        });
        if (who % 3 == 0) drain(host);
    }
    CHECK(failed > 10);
    drain(host);
    feed(host, [](pool_fsm& m, pool_actions& out) { m.opened(1, nullptr, out); });
    for (stream_id id = 2; id < 7; ++id)
        feed(host, [id](pool_fsm& m, pool_actions& out) { m.opened(id, nullptr, out); });
    feed(host, [](pool_fsm& m, pool_actions& out) { m.ended(7, errc::stalled, out); });
    feed(host, [](pool_fsm& m, pool_actions& out) { m.ended(2, errc::stalled, out); });
    feed(host, [](pool_fsm& m, pool_actions& out) { m.cancel(35, out); });
    feed(host, [](pool_fsm& m, pool_actions& out) { m.release(1, out); });
    feed(host, [](pool_fsm& m, pool_actions& out) { m.release(3, out); });
    CHECK(feed_reserving(host, [](pool_fsm& m, pool_actions& out) { m.close(99, out); }) > 0);
    feed(host, [](pool_fsm& m, pool_actions& out) { m.close_now(out); });
    for (stream_id id = 1; id < 40; ++id)
        feed(host, [id](pool_fsm& m, pool_actions& out) { m.ended(id, {}, out); });
    CHECK(host.peek([](const pool_fsm& m) { return m.state(); }) == pool_state::closed);
}

TEST_CASE("machine_host, mrd_fsm: a range without memory leaves no trace, events of the wire need none") {
    mrd_host host(mrd_fsm::options{});
    const auto wire = [&host](auto event) { feed(host, event); };
    feed_reserving(host, [](mrd_fsm& m, mrd_actions& out) { m.open(out); });
    drain(host);
    std::uint64_t failed = 0;
    for (std::uintptr_t i = 1; i <= 150; ++i) {
        failed += feed_reserving(host, [i](mrd_fsm& m, mrd_actions& out) {
            m.add_range(nullptr, 8 * i, 8, {}, out);
        });
    }
    CHECK(failed > 5);
    wire([](mrd_fsm& m, mrd_actions& out) { return m.begin_call(out); });
    wire([](mrd_fsm& m, mrd_actions& out) { m.response(out); });
    wire([](mrd_fsm& m, mrd_actions& out) { m.write_done(out); });
    wire([](mrd_fsm& m, mrd_actions&) { return m.begin_write(); });
    const auto chunk = [&](std::int64_t id, std::int64_t offset, const error_value& damage) {
        wire([&](mrd_fsm& m, mrd_actions& out) {
            if (m.begin_chunk(id, offset, 8, true, out).accept) m.end_chunk(id, damage, out);
        });
    };
    for (std::int64_t id = 1; id <= 20; ++id) chunk(id, 8 * id, {});
    chunk(21, 8 * 21, errc::data_corrupted);
    chunk(22, 1, {});
    chunk(1'000'000, 1, {});
    for (std::int64_t id = 30; id < 40; ++id) {
        wire([id](mrd_fsm& m, mrd_actions& out) { m.cancel_range(id, errc::timed_out, out); });
    }
    wire([](mrd_fsm& m, mrd_actions& out) { m.out_of_memory(out); });
    wire([](mrd_fsm& m, mrd_actions& out) { m.call_ended({errc::stalled, false, {}}, {}, out); });
    wire([](mrd_fsm& m, mrd_actions& out) { m.close(errc::shut_down, errc::shut_down, out); });
    wire([](mrd_fsm& m, mrd_actions& out) { return m.begin_call(out); });
    CHECK(host.peek([](const mrd_fsm& m) { return m.state(); }) == mrd_state::failed);
}

TEST_CASE("machine_host, pool_cache_fsm: a new caller without memory leaves no trace, other events need none"
) {
    pool_cache_fsm::options options;
    options.idle_timeout = 10s;
    cache_host host(options);
    const object_ref object("bucket", "an object whose name is longer than a short string", 7);
    std::uint64_t failed = 0;
    for (int i = 0; i < 6; ++i) {
        failed += feed_reserving(host, [&](pool_cache_fsm& m, cache_actions&) { return m.enter(object); });
    }
    const pool_id pool = host.peek([](const pool_cache_fsm& m) { return m.pools().front().id; });
    const auto open = [&](caller_id user, pool_cache_fsm::time_point now) {
        failed += feed_reserving(host, [&, user](pool_cache_fsm& m, cache_actions& out) {
            m.open(user, pool, now, out);
        });
        drain(host);
        return host.peek([](const pool_cache_fsm& m) { return m.streams().back().id; });
    };
    std::vector<cached_id> streams;
    for (caller_id user = 1; user <= 4; ++user) {
        streams.push_back(open(user, start));
        feed(host, [&](pool_cache_fsm& m, cache_actions& out) {
            m.opened(streams.back(), {7, 64, true}, out);
        });
    }
    for (caller_id user = 1; user <= 4; ++user) {
        feed(host, [&](pool_cache_fsm& m, cache_actions& out) { m.give_up(user, true, {}, start, out); });
    }
    drain(host);
    // All idle streams are too old for this caller, and there is no memory for a new one.
    streams.push_back(open(5, start + 20s));
    feed(host, [&](pool_cache_fsm& m, cache_actions& out) { m.opened(streams.back(), {7, 64, true}, out); });
    failed += feed_reserving(host, [&](pool_cache_fsm& m, cache_actions& out) {
        m.reconnecting(streams.back(), out);
    });
    failed += feed_reserving(host, [&](pool_cache_fsm& m, cache_actions& out) {
        m.reconnected(streams.back(), out);
    });
    CHECK(failed > 5);
    CHECK(feed_reserving(host, [](pool_cache_fsm& m, cache_actions& out) { m.close(99, out); }) > 0);
    feed(host, [](pool_cache_fsm& m, cache_actions& out) { m.give_up(5, true, {}, start, out); });
    for (const cached_id id : streams) {
        feed(host, [id](pool_cache_fsm& m, cache_actions& out) { m.ended(id, {}, out); });
    }
    CHECK(host.peek([](const pool_cache_fsm& m) { return m.state(); }) == cache_state::closed);
}

TEST_CASE("machine_host, budget_fsm: a request without memory leaves no trace, other events need none") {
    budget_host host(budget_fsm::options{8, 2});
    std::uint64_t failed = 0;
    const std::size_t none = host.peek([](const budget_fsm& m) { return m.action_bound(); });
    for (reservation_id id = 1; id <= 40; ++id) {
        failed += feed_reserving(host, [id](budget_fsm& m, budget_actions& out) {
            m.request(id, 1 + id % 5, static_cast<rangeio::fsm::request_class>(id % 3), 1 + id % 2, out);
        });
        if (id % 3 == 0) drain(host);
    }
    CHECK(failed > 100);
    const auto event = [&host](auto change) { feed(host, change); };
    for (reservation_id id = 1; id <= 40; id += 2) {
        event([id](budget_fsm& m, budget_actions& out) { m.promote(id, out); });
    }
    for (reservation_id id = 1; id <= 40; ++id) {
        const auto use = static_cast<budget_use>(id % 4);
        event([id, use](budget_fsm& m, budget_actions& out) { m.mark(id, use, id, out); });
    }
    drain(host);
    for (reservation_id id = 1; id <= 40; id += 3) {
        event([id](budget_fsm& m, budget_actions& out) { m.keep(id, out); });
    }
    event([](budget_fsm& m, budget_actions& out) { m.leave(3, out); });
    CHECK(host.peek([](const budget_fsm& m) { return m.stats().reclaims; }) > 0);
    for (reservation_id id = 1; id <= 40; ++id) {
        event([id](budget_fsm& m, budget_actions& out) {
            if (!m.cancel(id, out)) m.release(id, out);
        });
    }
    CHECK(host.peek([](const budget_fsm& m) { return m.stats().reserved_bytes; }) == 0);
    CHECK(host.peek([](const budget_fsm& m) { return m.action_bound(); }) == none);
}
