#include "fsm/pool_fsm.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

using rangeio::errc;
using rangeio::error_value;
using rangeio::pool_stats;
using rangeio::fsm::pool_action;
using rangeio::fsm::pool_action_kind;
using rangeio::fsm::pool_actions;
using rangeio::fsm::pool_fsm;
using rangeio::fsm::pool_state;
using rangeio::fsm::request_class;
using rangeio::fsm::share_policy;
using rangeio::fsm::stream_id;
using rangeio::fsm::waiter_id;

std::string text(const pool_action& a) {
    switch (a.kind) {
        case pool_action_kind::open_stream: return fmt::format("open {}", a.stream);
        case pool_action_kind::close_stream: return fmt::format("close {}", a.stream);
        case pool_action_kind::grant: return fmt::format("{} gets {}", a.waiter, a.stream);
        case pool_action_kind::drop: return fmt::format("drop {}", a.stream);
        case pool_action_kind::complete: break;
    }
    return fmt::format("{} {}", a.waiter, a.why ? a.why.message() : "done");
}

/// A pool whose events return their actions as one line, and which checks the balance (P11) after each.
class pool {
public:
    explicit pool(
        std::size_t size, bool multi_request = true, share_policy sharing = share_policy::round_robin
    )
        : machine_({size, multi_request, sharing}) {}

    std::string initialize(waiter_id who, bool rides = false) {
        return feed([&](pool_actions& out) { machine_.initialize(who, rides, out); });
    }
    /// Returns the waiter that has a lease before the stream opens.
    waiter_id made(stream_id id) { return machine_.made(id, nullptr).rider; }
    std::string acquire(waiter_id who, request_class what = request_class::demand) {
        return feed([&](pool_actions& out) { machine_.acquire(who, {}, what, out); });
    }
    std::string close(waiter_id who) {
        return feed([&](pool_actions& out) { machine_.close(who, out); });
    }
    std::string close_now() {
        return feed([&](pool_actions& out) { machine_.close_now(out); });
    }
    /// Cancels a waiter; no other action follows.
    bool cancel(waiter_id who) {
        bool waited = false;
        CHECK(feed([&](pool_actions& out) { waited = machine_.cancel(who, out); }) == "");
        return waited;
    }
    std::string release(stream_id id) {
        return feed([&](pool_actions& out) { machine_.release(id, out); });
    }
    std::string opened(stream_id id) {
        return feed([&](pool_actions& out) { machine_.opened(id, nullptr, out); });
    }
    std::string reconnecting(stream_id id) {
        return feed([&](pool_actions& out) { machine_.reconnecting(id, out); });
    }
    std::string reconnected(stream_id id) {
        return feed([&](pool_actions& out) { machine_.reconnected(id, out); });
    }
    std::string failed(stream_id id, const error_value& why = errc::not_found) {
        return feed([&](pool_actions& out) { machine_.ended(id, why, out); });
    }
    std::string ended(stream_id id) {
        return feed([&](pool_actions& out) { machine_.ended(id, {}, out); });
    }

    pool_fsm& machine() { return machine_; }
    pool_stats stats() const { return machine_.stats(); }

private:
    template <class Event>
    std::string feed(Event event) {
        pool_actions out;
        event(out);
        const pool_stats s = machine_.stats();
        CHECK(s.opened == s.opening + s.ready + s.reconnecting + s.closed + s.failed);
        std::uint64_t leases = 0;
        for (const auto& stream : machine_.streams()) leases += stream.leases;
        CHECK(s.leases == leases);
        std::string line;
        for (const pool_action& a : out) line += (line.empty() ? "" : ", ") + text(a);
        return line;
    }

    pool_fsm machine_;
};

/// A pool of `size` with its first stream open and idle.
pool open_pool(
    std::size_t size, bool multi_request = true, share_policy sharing = share_policy::round_robin
) {
    pool out(size, multi_request, sharing);
    CHECK(out.initialize(100) == "open 1");
    CHECK(out.opened(1) == "100 done");
    return out;
}

/// The same, with as many idle streams as it may have. The one used last is the last one.
pool full_pool(
    std::size_t size, bool multi_request = true, share_policy sharing = share_policy::round_robin
) {
    pool out = open_pool(size, multi_request, sharing);
    for (stream_id id = 1; id <= size; ++id) out.acquire(1000 + id);
    for (stream_id id = 2; id <= size; ++id) out.opened(id);
    for (stream_id id = 1; id <= size; ++id) out.release(id);
    CHECK(out.stats().ready == size);
    CHECK(out.stats().leases == 0);
    return out;
}

}  // namespace

TEST_CASE("pool_fsm: P1, museum P01: the first stream is opened once for any number of callers") {
    pool p(4);
    CHECK(p.initialize(1) == "open 1");
    CHECK(p.initialize(2) == "");
    CHECK(p.acquire(3) == "");
    CHECK(p.opened(1) == "1 done, 2 done, 3 gets 1");
    CHECK(p.initialize(4) == "4 done");
    CHECK(p.stats().opened == 1);
}

TEST_CASE("pool_fsm: P1: acquire initializes a pool that is not yet initialized") {
    pool p(1);
    CHECK(p.acquire(1) == "open 1");
    CHECK(p.initialize(2) == "");
    CHECK(p.opened(1) == "2 done, 1 gets 1");
}

TEST_CASE("pool_fsm: P1: a failed first open fails for all waiters, and the next call opens anew") {
    pool p(4);
    p.initialize(1);
    p.initialize(2);
    p.acquire(3);
    CHECK(p.failed(1) == "1 not found, 2 not found, 3 not found");
    CHECK(p.machine().state() == pool_state::fresh);
    CHECK(p.initialize(4) == "open 2");
    CHECK(p.opened(2) == "4 done");
}

TEST_CASE("pool_fsm: P1: a first open outlives the waiters that cancelled") {
    pool p(4);
    p.initialize(1);
    CHECK(p.cancel(1));
    CHECK(p.initialize(2) == "");
    CHECK(p.opened(1) == "2 done");
}

TEST_CASE("pool_fsm: P1, P9: a closed pool completes every new call with pool_closed") {
    pool p = open_pool(1);
    CHECK(p.close(1) == "close 1");
    CHECK(p.initialize(2) == "2 pool closed");
    CHECK(p.acquire(3) == "3 pool closed");
    CHECK(p.ended(1) == "1 done");
    CHECK(p.initialize(4) == "4 pool closed");
    CHECK(p.acquire(5) == "5 pool closed");
}

TEST_CASE("pool_fsm: P12: the caller that causes the first open has a lease on the unopened stream") {
    pool p(4);
    CHECK(p.initialize(1, true) == "open 1");
    CHECK(p.initialize(2, true) == "");
    CHECK(p.made(1) == 1);
    CHECK(p.stats().leases == 1);
    CHECK(p.opened(1) == "2 done");
    CHECK(p.acquire(3) == "open 2");
    CHECK(p.release(1) == "3 gets 1");
    CHECK(p.made(2) == 0);
}

TEST_CASE("pool_fsm: P12: nobody rides who initializes an open pool, or has given up") {
    pool p(4);
    CHECK(p.initialize(1, true) == "open 1");
    CHECK(p.cancel(1));
    CHECK(p.made(1) == 0);
    CHECK(p.opened(1) == "");
    CHECK(p.initialize(2, true) == "2 done");
}

TEST_CASE("pool_fsm: P12, P9: close cancels the first open, although it carries ranges") {
    pool p(4);
    CHECK(p.initialize(1, true) == "open 1");
    CHECK(p.made(1) == 1);
    CHECK(p.close(2) == "close 1");
    CHECK(p.release(1) == "");
    CHECK(p.ended(1) == "2 done");
}

TEST_CASE(
    "pool_fsm: P12, P1: the failure of a first open with ranges reaches the others, and the next call opens "
    "anew"
) {
    pool p(4);
    CHECK(p.initialize(1, true) == "open 1");
    CHECK(p.made(1) == 1);
    CHECK(p.initialize(2) == "");
    CHECK(p.failed(1) == "2 not found");
    CHECK(p.initialize(3, true) == "open 2");
    CHECK(p.made(2) == 3);
    CHECK(p.release(1) == "");
    CHECK(p.opened(2) == "");
}

TEST_CASE("pool_fsm: P12: a bad range in the opening message is the fault of its read alone") {
    pool p(4);
    CHECK(p.initialize(1, true) == "open 1");
    CHECK(p.made(1) == 1);
    CHECK(p.initialize(2, true) == "");
    CHECK(p.failed(1, errc::range_not_satisfiable) == "open 2");
    CHECK(p.made(2) == 0);
    CHECK(p.release(1) == "");
    CHECK(p.opened(2) == "2 done");
}

TEST_CASE("pool_fsm: P2: an idle stream is granted first, the last used one before the others") {
    pool p = full_pool(3);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    p.release(1);
    p.release(3);
    p.release(2);
    CHECK(p.acquire(4) == "4 gets 2");
    CHECK(p.acquire(5) == "5 gets 3");
    CHECK(p.acquire(6) == "6 gets 1");
}

TEST_CASE("pool_fsm: P2: with no idle stream the pool grows to its size, then shares") {
    pool p = open_pool(2);
    CHECK(p.acquire(1) == "1 gets 1");
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.acquire(3) == "3 gets 1");
    CHECK(p.opened(2) == "2 gets 2");
    CHECK(p.acquire(4) == "4 gets 1");
    CHECK(p.acquire(5) == "5 gets 2");
    CHECK(p.stats().opened == 2);
    CHECK(p.stats().leases == 5);
}

TEST_CASE("pool_fsm: P2: streams that serve one range at a time are never shared") {
    pool p = open_pool(1, false);
    CHECK(p.acquire(1) == "1 gets 1");
    CHECK(p.acquire(2) == "");
    CHECK(p.acquire(3) == "");
    CHECK(p.stats().waiters == 2);
    CHECK(p.release(1) == "2 gets 1");
    CHECK(p.release(1) == "3 gets 1");
}

TEST_CASE("pool_fsm: P3, museum P07: opens run in parallel") {
    pool p = open_pool(3);
    p.acquire(1);
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.acquire(3) == "open 3");
    CHECK(p.stats().opening == 2);
    CHECK(p.opened(3) == "2 gets 3");
    CHECK(p.opened(2) == "3 gets 2");
}

TEST_CASE("pool_fsm: P3, museum P06: a stream released during an open serves the waiter, the new one is idle"
) {
    pool p = open_pool(2, false);
    p.acquire(1);
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.release(1) == "2 gets 1");
    CHECK(p.opened(2) == "");
    CHECK(p.acquire(3) == "3 gets 2");
}

TEST_CASE("pool_fsm: P4: round robin selects the busy streams in turn") {
    pool p = full_pool(3);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    const stream_id last = p.machine().last_shared();
    for (stream_id n = 1; n <= 6; ++n) {
        CHECK(p.acquire(10 + n) == fmt::format("{} gets {}", 10 + n, (last - 1 + n) % 3 + 1));
    }
}

TEST_CASE("pool_fsm: P4: least_outstanding shares the stream with the fewest bytes, then the fewest leases") {
    pool p = full_pool(3, true, share_policy::least_outstanding);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    p.machine().set_load(1, 500);
    p.machine().set_load(2, 20);
    p.machine().set_load(3, 300);
    CHECK(p.acquire(4) == "4 gets 2");
    p.machine().set_load(1, 0);
    p.machine().set_load(2, 0);
    p.machine().set_load(3, 0);
    CHECK(p.acquire(5) == "5 gets 1");
    CHECK(p.acquire(6) == "6 gets 3");
}

TEST_CASE("pool_fsm: P4: sharing skips streams that are reconnecting or failed") {
    pool p = full_pool(3);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    p.reconnecting(1);
    p.failed(2);
    CHECK(p.acquire(4) == "open 4");
    CHECK(p.acquire(5) == "5 gets 3");
    CHECK(p.opened(4) == "4 gets 4");
    p.reconnecting(3);
    p.reconnecting(4);
    CHECK(p.acquire(6) == "");
    CHECK(p.acquire(7) == "");
    CHECK(p.reconnected(1) == "6 gets 1, 7 gets 1");
}

TEST_CASE("pool_fsm: P4, museum P12: a stream that is reconnecting is not idle") {
    pool p = open_pool(2);
    CHECK(p.reconnecting(1) == "");
    CHECK(p.stats().reconnecting == 1);
    CHECK(p.acquire(1) == "open 2");
    CHECK(p.opened(2) == "1 gets 2");
    CHECK(p.reconnected(1) == "");
    CHECK(p.acquire(2) == "2 gets 1");
}

TEST_CASE("pool_fsm: P5, museum P04: only the last release of a shared stream makes it idle, once") {
    pool p = open_pool(1, true);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.stats().leases == 3);
    p.release(1);
    p.release(1);
    CHECK(p.stats().leases == 1);
    CHECK(p.machine().streams().at(0).leases == 1);
    p.release(1);
    CHECK(p.stats().leases == 0);
    CHECK(p.stats().ready == 1);
    CHECK(p.release(1) == "");
    CHECK(p.stats().leases == 0);
}

TEST_CASE("pool_fsm: P5: the first release of a shared stream does not serve an exclusive waiter") {
    pool p = open_pool(2);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);  // shares stream 1 while 2 is being opened
    CHECK(p.release(1) == "");
    CHECK(p.release(1) == "2 gets 1");
}

TEST_CASE("pool_fsm: P6, museum P08: a failed stream is never granted again") {
    pool p = full_pool(2);
    CHECK(p.failed(2) == "");
    CHECK(p.acquire(1) == "1 gets 1");
    CHECK(p.failed(1) == "");
    CHECK(p.machine().knows(1));
    CHECK(p.acquire(2) == "open 3");
    CHECK(p.release(1) == "");
    CHECK_FALSE(p.machine().knows(1));
    CHECK(p.stats().failed == 2);
}

TEST_CASE("pool_fsm: P6, museum P08: a failed stream that is still leased is not shared") {
    pool p = open_pool(1);
    p.acquire(1);
    CHECK(p.failed(1) == "");
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.acquire(3) == "");
    CHECK(p.opened(2) == "2 gets 2, 3 gets 2");
}

TEST_CASE("pool_fsm: P6: when a stream fails the next waiter opens its replacement") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.failed(1) == "open 2");
    CHECK(p.opened(2) == "2 gets 2");
    CHECK(p.release(1) == "");
    CHECK(p.release(2) == "3 gets 2");
}

TEST_CASE("pool_fsm: P7: a failed open fails the waiter that requested it and no other") {
    pool p = open_pool(3, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    p.failed(1);
    CHECK(p.failed(3) == "3 not found");
    CHECK_FALSE(p.cancel(3));
    CHECK(p.stats().waiters == 1);
    CHECK(p.opened(2) == "2 gets 2");
}

TEST_CASE("pool_fsm: P7: a failed open does not fail a waiter that other streams can serve") {
    SUBCASE("the waiter shares a ready stream") {
        pool p = open_pool(2);
        p.acquire(1);
        CHECK(p.acquire(2) == "open 2");
        CHECK(p.failed(2) == "2 gets 1");
    }
    SUBCASE("the waiter waits for a reconnecting stream") {
        pool p = open_pool(2);
        p.acquire(1);
        p.acquire(2);
        p.reconnecting(1);
        CHECK(p.failed(2) == "");
        CHECK(p.acquire(3) == "open 3");  // which may have more luck
        CHECK(p.reconnected(1) == "2 gets 1");
    }
    SUBCASE("the waiter waits for a released stream, where streams are not shared") {
        pool p = open_pool(2, false);
        p.acquire(1);
        p.acquire(2);
        CHECK(p.failed(2) == "");
        CHECK(p.acquire(3) == "open 3");
        CHECK(p.release(1) == "2 gets 1");
    }
    SUBCASE("the waiter fails when no stream is left") {
        pool p = open_pool(2);
        p.acquire(1);
        p.acquire(2);
        p.reconnecting(1);
        CHECK(p.failed(2) == "");
        CHECK(p.failed(1, rangeio::errc::stalled) == "2 not found");
    }
    SUBCASE("the waiter takes a younger waiter's stream, and that one fails in its place") {
        pool p = open_pool(3, false);
        p.acquire(1);
        p.acquire(2);
        p.acquire(3);
        CHECK(p.failed(2) == "");
        CHECK(p.opened(3) == "2 gets 3");
        CHECK(p.failed(3, rangeio::errc::stalled) == "");
        CHECK(p.failed(1) == "3 not found");
    }
}

TEST_CASE("pool_fsm: P7, museum P03: a failed open is not counted, so that the pool can grow again") {
    pool p = open_pool(2);
    p.acquire(1);
    for (stream_id id = 2; id < 10; ++id) {
        CHECK(p.acquire(id) == fmt::format("open {}", id));
        CHECK(p.failed(id) == fmt::format("{} gets 1", id));
    }
    CHECK(p.stats().failed == 8);
    CHECK(p.stats().opening == 0);
}

TEST_CASE("pool_fsm: P7: the failed open of a waiter that another stream served fails no waiter") {
    pool p = open_pool(2, false);
    p.acquire(1);
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.release(1) == "2 gets 1");
    CHECK(p.acquire(3) == "");
    CHECK(p.failed(2) == "open 3");
    CHECK(p.opened(3) == "3 gets 3");
}

TEST_CASE("pool_fsm: P7: two waiters exchange their opens when the younger one's completes first") {
    pool p = open_pool(3, false);
    p.acquire(1);
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.acquire(3) == "open 3");
    CHECK(p.opened(3) == "2 gets 3");
    CHECK(p.failed(2) == "");
    CHECK(p.failed(3) == "");
    CHECK(p.failed(1) == "3 not found");
}

TEST_CASE("pool_fsm: P7: a waiter that exchanged its open can cancel, and its new open has no waiter then") {
    pool p = open_pool(3, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.opened(3) == "2 gets 3");
    CHECK(p.cancel(3));
    CHECK(p.acquire(4) == "");
    CHECK(p.failed(2) == "open 4");
    CHECK(p.opened(4) == "4 gets 4");
}

TEST_CASE("pool_fsm: P7: an open that ends without a reason still fails its waiter") {
    pool p = open_pool(2);
    p.acquire(1);
    p.acquire(2);
    p.failed(1);
    CHECK(p.ended(2) == "2 stream closed");
    pool fresh(1);
    fresh.initialize(1);
    CHECK(fresh.ended(1) == "1 stream closed");
}

TEST_CASE("pool_fsm: P8, museum P11: waiters are served in order, and no new caller overtakes them") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2);
    CHECK(p.release(1) == "2 gets 1");
    CHECK(p.acquire(3) == "");
    CHECK(p.acquire(4) == "");
    CHECK(p.release(1) == "3 gets 1");
    CHECK(p.release(1) == "4 gets 1");
}

TEST_CASE("pool_fsm: P8: a cancelled waiter is skipped") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.cancel(2));
    CHECK_FALSE(p.cancel(2));
    CHECK(p.release(1) == "3 gets 1");
}

TEST_CASE("pool_fsm: P8: demands are served before hinted and speculative requests, each in order") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2, request_class::speculative);
    p.acquire(3, request_class::hinted);
    p.acquire(4);
    p.acquire(5, request_class::hinted);
    p.acquire(6);
    for (const char* next : {"4 gets 1", "6 gets 1", "3 gets 1", "5 gets 1", "2 gets 1", ""}) {
        CHECK(p.release(1) == next);
    }
}

TEST_CASE("pool_fsm: P8: a request that a caller comes to wait for moves behind the demands") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2, request_class::speculative);
    p.acquire(3, request_class::speculative);
    p.acquire(4);
    p.machine().promote(3);
    p.machine().promote(3);
    p.machine().promote(99);
    p.acquire(5);
    for (const char* next : {"4 gets 1", "3 gets 1", "5 gets 1", "2 gets 1", ""}) CHECK(p.release(1) == next);
}

TEST_CASE("pool_fsm: P8: a class is passed 16 times in a row, and then gets a grant") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(1000, request_class::speculative);
    p.acquire(1001, request_class::speculative);
    p.acquire(2000, request_class::hinted);
    for (waiter_id id = 2; id <= 60; ++id) p.acquire(id);
    std::vector<std::string> order;
    for (std::string next; (next = p.release(1)) != "";) order.push_back(next);
    REQUIRE(order.size() == 62);
    const auto place = [&order](const char* what) {
        return std::ranges::find(order, std::string(what)) - order.begin();
    };
    CHECK(place("2000 gets 1") == 16);
    CHECK(place("1000 gets 1") == 17);
    CHECK(place("1001 gets 1") == 34);
}

TEST_CASE("pool_fsm: P8, museum P10: a grant that races with a cancellation passes to the next waiter") {
    pool p = open_pool(1, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.release(1) == "2 gets 1");
    CHECK_FALSE(p.cancel(2));  // too late: the cancelled caller releases the lease
    CHECK(p.release(1) == "3 gets 1");
}

TEST_CASE("pool_fsm: P8: the open of a cancelled waiter serves the next waiter") {
    pool p = open_pool(2, false);
    p.acquire(1);
    CHECK(p.acquire(2) == "open 2");
    CHECK(p.cancel(2));
    CHECK(p.acquire(3) == "");
    CHECK(p.opened(2) == "3 gets 2");
}

TEST_CASE("pool_fsm: P8: a failed open of a cancelled waiter does not fail the next, which opens another") {
    pool p = open_pool(2, false);
    p.acquire(1);
    p.acquire(2);
    CHECK(p.cancel(2));
    p.acquire(3);
    CHECK(p.failed(2) == "open 3");
    CHECK(p.failed(3) == "");
    CHECK(p.failed(1) == "3 not found");
}

TEST_CASE("pool_fsm: P9, museum P02: close fails the waiters and cancels the opens") {
    pool p = open_pool(2, false);
    p.acquire(1);
    p.acquire(2);
    p.acquire(3);
    CHECK(p.close(4) == "2 pool closed, 3 pool closed, close 2");
    CHECK(p.opened(2) == "");  // it had opened already; it is not granted
    CHECK(p.ended(2) == "");
    CHECK(p.release(1) == "close 1");
    CHECK(p.ended(1) == "4 done");
    CHECK(p.stats().closed == 2);
    CHECK(p.stats().closing == 0);
}

TEST_CASE("pool_fsm: P9, museum P05: a leased stream closes with its last lease") {
    pool p = open_pool(1);
    p.acquire(1);
    p.acquire(2);
    CHECK(p.close(3) == "");
    CHECK(p.release(1) == "");
    CHECK(p.release(1) == "close 1");
    CHECK(p.ended(1) == "3 done");
}

TEST_CASE("pool_fsm: P9, museum P09: close ends every stream, and reports the first error after the last end"
) {
    pool p = full_pool(3);
    CHECK(p.close(1) == "close 1, close 2, close 3");
    CHECK(p.close(2) == "");
    CHECK(p.failed(2, errc::stalled) == "");
    CHECK(p.failed(1, errc::data_corrupted) == "");
    CHECK(p.ended(3) == "1 stalled, 2 stalled");
    CHECK(p.close(3) == "3 stalled");
    CHECK(p.machine().streams().empty());
}

TEST_CASE("pool_fsm: P9: a pool that was never opened closes at once") {
    pool p(2);
    CHECK(p.close(1) == "1 done");
    CHECK(p.close(2) == "2 done");
    CHECK(p.close_now() == "");
}

TEST_CASE("pool_fsm: P9: a close during the first open fails all its waiters") {
    pool p(2);
    p.initialize(1);
    p.acquire(2);
    CHECK(p.close(3) == "1 pool closed, 2 pool closed, close 1");
    CHECK(p.ended(1) == "3 done");
}

TEST_CASE("pool_fsm: P9: close() ends leased streams after its deadline") {
    pool p = full_pool(2);
    p.acquire(1);
    CHECK(p.close(2) == "close 1");
    CHECK(p.close_now() == "close 2");
    CHECK(p.ended(1) == "");
    CHECK(p.ended(2) == "2 done");
    CHECK(p.stats().leases == 1);
    CHECK(p.machine().knows(2));
    CHECK(p.release(2) == "");
    CHECK_FALSE(p.machine().knows(2));
}

TEST_CASE("pool_fsm: P9: close_now closes all streams without a waiting caller") {
    pool p = open_pool(1);
    p.acquire(1);
    CHECK(p.close_now() == "close 1");
    CHECK(p.acquire(2) == "2 pool closed");
    CHECK(p.ended(1) == "");
    CHECK(p.machine().state() == pool_state::closed);
}

TEST_CASE("pool_fsm: P9: a cancelled close stops waiting, and the pool still closes") {
    pool p = open_pool(1);
    CHECK(p.close(1) == "close 1");
    CHECK(p.close(2) == "");
    CHECK(p.cancel(1));
    CHECK(p.ended(1) == "2 done");
}

TEST_CASE("pool_fsm: P9: a stream that fails during the close does not delay it") {
    pool p = open_pool(1);
    p.acquire(1);
    p.close(2);
    CHECK(p.failed(1) == "2 done");
    CHECK(p.release(1) == "");
    CHECK(p.machine().streams().empty());
}

TEST_CASE("pool_fsm: P11: the counters distinguish the streams by state") {
    pool p = full_pool(3);
    p.acquire(1);
    p.acquire(2);
    p.reconnecting(1);
    p.failed(3);
    p.acquire(3);
    const pool_stats s = p.stats();
    CHECK(s.opened == 4);
    CHECK(s.opening == 1);
    CHECK(s.ready == 1);
    CHECK(s.closed == 0);
    CHECK(s.reconnecting == 1);
    CHECK(s.failed == 1);
    CHECK(s.waiters == 1);
}

TEST_CASE("pool_fsm: events of removed streams, and of states that they do not fit, change nothing") {
    pool p = open_pool(1);
    CHECK(p.opened(1) == "");
    CHECK(p.reconnected(1) == "");
    CHECK(p.opened(7) == "");
    CHECK(p.failed(7) == "");
    CHECK(p.release(7) == "");
    CHECK(p.reconnecting(7) == "");
    CHECK_FALSE(p.cancel(7));
    CHECK(p.stats().ready == 1);
}

TEST_CASE("pool_fsm: events of the network and of destructors need no memory") {
    // Each waiter's own stream may open, serve it and fail before its lease is released.
    pool p = open_pool(1, false);
    constexpr waiter_id tasks = 40;
    for (waiter_id who = 1; who <= tasks; ++who) p.acquire(who);
    const std::size_t room = p.machine().streams().capacity();
    for (stream_id id = 1; id <= tasks; ++id) {
        p.failed(id);
        p.opened(id + 1);
    }
    CHECK(p.machine().streams().size() == tasks);
    CHECK(p.machine().streams().capacity() == room);
}
