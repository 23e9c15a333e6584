#include "fsm/pool_cache_fsm.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <string>

namespace {

using namespace std::chrono_literals;
using rangeio::errc;
using rangeio::error_value;
using rangeio::object_ref;
using rangeio::pool_cache_stats;
using rangeio::fsm::cache_action;
using rangeio::fsm::cache_action_kind;
using rangeio::fsm::cache_actions;
using rangeio::fsm::cache_state;
using rangeio::fsm::cached_id;
using rangeio::fsm::caller_id;
using rangeio::fsm::pool_cache_fsm;
using rangeio::fsm::pool_id;

std::string text(const cache_action& a) {
    const std::string why = a.why ? ": " + a.why.message() : "";
    switch (a.kind) {
        case cache_action_kind::open_stream: return fmt::format("new for {}", a.caller);
        case cache_action_kind::attach: return fmt::format("{} gets {}", a.caller, a.stream);
        case cache_action_kind::opened: return fmt::format("{} opened", a.caller);
        case cache_action_kind::reconnecting: return fmt::format("{} reconnecting", a.caller);
        case cache_action_kind::reconnected: return fmt::format("{} reconnected", a.caller);
        case cache_action_kind::detach: return fmt::format("{} ended{}", a.caller, why);
        case cache_action_kind::close_stream: return fmt::format("close {}{}", a.stream, why);
        case cache_action_kind::forget: return fmt::format("forget {}", a.stream);
        case cache_action_kind::complete: return fmt::format("{} done{}", a.caller, why);
        case cache_action_kind::closed: return "closed";
    }
    return {};
}

/// A cache whose events return their actions as one line, and which checks the balance after each.
class cache {
public:
    explicit cache(std::size_t keys = 16, std::size_t streams = 4, std::chrono::nanoseconds timeout = 60s)
        : machine_({keys, streams, timeout}) {}

    pool_id enter(const std::string& name, std::int64_t generation = 0) {
        return machine_.enter(object_ref("b-1", name, generation));
    }
    std::string leave(pool_id pool) {
        return feed([&](cache_actions& out) { machine_.leave(pool, out); });
    }
    std::string open(caller_id user, pool_id pool) {
        return feed([&](cache_actions& out) { machine_.open(user, pool, now_, out); });
    }
    std::string opened(
        cached_id id, std::int64_t generation, std::uint64_t size = 10, bool finalized = true
    ) {
        return feed([&](cache_actions& out) { machine_.opened(id, {generation, size, finalized}, out); });
    }
    std::string give_up(caller_id user, bool reusable = true, const error_value& why = {}) {
        return feed([&](cache_actions& out) { machine_.give_up(user, reusable, why, now_, out); });
    }
    std::string reconnecting(cached_id id) {
        return feed([&](cache_actions& out) { machine_.reconnecting(id, out); });
    }
    std::string reconnected(cached_id id) {
        return feed([&](cache_actions& out) { machine_.reconnected(id, out); });
    }
    std::string ended(cached_id id, const error_value& why = {}) {
        return feed([&](cache_actions& out) { machine_.ended(id, why, out); });
    }
    std::string tick() {
        return feed([&](cache_actions& out) { machine_.tick(now_, out); });
    }
    std::string close(caller_id who) {
        return feed([&](cache_actions& out) { machine_.close(who, out); });
    }

    /// A pool's whole life on one stream, as `user`: returns the stream.
    cached_id visit(caller_id user, const std::string& name, std::int64_t generation) {
        const pool_id pool = enter(name, generation);
        open(user, pool);
        const cached_id id = machine_.streams().back().id;
        opened(id, generation);
        give_up(user);
        leave(pool);
        return id;
    }

    void pass(std::chrono::nanoseconds time) { now_ += time; }
    cached_id last() const { return machine_.streams().back().id; }
    const pool_cache_fsm& machine() const { return machine_; }
    pool_cache_stats stats() const { return machine_.stats(); }
    std::chrono::nanoseconds until_expiry() const { return *machine_.next_expiry() - now_; }

private:
    template <class Event>
    std::string feed(Event&& event) {
        cache_actions out;
        event(out);
        std::string line;
        for (const cache_action& a : out) line += (line.empty() ? "" : ", ") + text(a);
        const pool_cache_stats s = machine_.stats();
        CHECK(s.donated == s.hits + s.expired + s.evicted + s.died + s.closed + s.idle_streams);
        return line;
    }

    pool_cache_fsm machine_;
    pool_cache_fsm::time_point now_{};
};

}  // namespace

TEST_CASE("pool cache: a returned stream is taken by the next pool on its generation") {
    cache c;
    const pool_id first = c.enter("o", 7);
    CHECK(c.open(101, first) == "new for 101");
    const cached_id s = c.last();
    CHECK(c.opened(s, 7) == "101 opened");
    CHECK(c.give_up(101) == "101 ended");
    CHECK(c.give_up(101) == "");  // twice is once
    CHECK(c.leave(first) == "");
    CHECK(c.stats().idle_keys == 1);

    const pool_id second = c.enter("o", 7);
    CHECK(c.stats().idle_keys == 0);
    CHECK(c.stats().keys_in_use == 1);
    CHECK(c.open(102, second) == fmt::format("102 gets {}", s));
    CHECK(c.open(103, second) == "new for 103");
    CHECK(c.stats().hits == 1);
    CHECK(c.stats().misses == 2);
}

TEST_CASE("pool cache: the stream that was returned last is taken first") {
    cache c;
    const pool_id pool = c.enter("o", 7);
    c.open(101, pool);
    const cached_id a = c.last();
    c.open(102, pool);
    const cached_id b = c.last();
    c.opened(a, 7);
    c.opened(b, 7);
    c.give_up(102);
    c.give_up(101);
    CHECK(c.open(103, pool) == fmt::format("103 gets {}", a));
    CHECK(c.open(104, pool) == fmt::format("104 gets {}", b));
}

TEST_CASE(
    "pool cache: a returned stream that is not healthy and idle is closed, and its user waits for the end"
) {
    cache c;
    const pool_id pool = c.enter("o", 7);
    SUBCASE("bytes are due on the stream") {
        c.open(101, pool);
        const cached_id s = c.last();
        c.opened(s, 7);
        CHECK(c.give_up(101, false) == fmt::format("close {}", s));
        CHECK(c.ended(s) == fmt::format("forget {}, 101 ended", s));
    }
    SUBCASE("the stream is closed with a reason") {
        c.open(101, pool);
        const cached_id s = c.last();
        c.opened(s, 7);
        CHECK(
            c.give_up(101, true, errc::stalled) ==
            fmt::format("close {}: {}", s, error_value(errc::stalled).message())
        );
    }
    SUBCASE("the stream has not opened") {
        c.open(101, pool);
        const cached_id s = c.last();
        CHECK(c.give_up(101) == fmt::format("close {}", s));
        CHECK(c.opened(s, 7) == "");
        CHECK(c.ended(s) == fmt::format("forget {}, 101 ended", s));
    }
    SUBCASE("the stream is reconnecting") {
        c.open(101, pool);
        const cached_id s = c.last();
        c.opened(s, 7);
        CHECK(c.reconnecting(s) == "101 reconnecting");
        CHECK(c.give_up(101) == fmt::format("close {}", s));
        CHECK(c.reconnected(s) == "");
    }
    SUBCASE("the stream reports another generation than the requested one") {
        c.open(101, pool);
        const cached_id s = c.last();
        c.opened(s, 8);
        CHECK(c.give_up(101) == fmt::format("close {}", s));
    }
    SUBCASE("the stream has reconnected, so it is kept") {
        c.open(101, pool);
        const cached_id s = c.last();
        c.opened(s, 7);
        c.reconnecting(s);
        CHECK(c.reconnected(s) == "101 reconnected");
        CHECK(c.give_up(101) == "101 ended");
    }
    CHECK(c.stats().donated == c.stats().idle_streams);
}

TEST_CASE("pool cache: a stream that fails while idle is never taken") {
    cache c;
    const cached_id s = c.visit(101, "o", 7);
    SUBCASE("the stream ends") {
        CHECK(c.ended(s, errc::stalled) == fmt::format("forget {}", s));
    }
    SUBCASE("the stream breaks and could reconnect") {
        CHECK(c.reconnecting(s) == fmt::format("close {}", s));
        CHECK(c.reconnected(s) == "");
    }
    CHECK(c.stats().died == 1);
    CHECK(c.stats().idle_keys == 0);
    const pool_id next = c.enter("o", 7);
    CHECK(c.open(102, next) == "new for 102");
}

TEST_CASE("pool cache: without a generation the first stream is new, and the others have its generation") {
    cache c;
    const cached_id of_7 = c.visit(101, "o", 7);
    const cached_id of_8 = c.visit(102, "o", 8);
    const pool_id pool = c.enter("o");
    CHECK(c.open(103, pool) == "new for 103");
    const cached_id fresh = c.last();
    CHECK(c.stats().keys_in_use == 1);
    CHECK(c.stats().idle_keys == 2);
    CHECK(c.opened(fresh, 8) == "103 opened");
    CHECK(c.stats().idle_keys == 1);
    CHECK(c.open(104, pool) == fmt::format("104 gets {}", of_8));
    CHECK(c.open(105, pool) == "new for 105");
    // It is kept under the generation that it found.
    c.give_up(103);
    const pool_id named = c.enter("o", 8);
    CHECK(c.open(106, named) == fmt::format("106 gets {}", fresh));
    const pool_id old = c.enter("o", 7);
    CHECK(c.open(107, old) == fmt::format("107 gets {}", of_7));
}

TEST_CASE("pool cache: after a failed first open the pool opens another new stream") {
    cache c;
    c.visit(101, "o", 7);
    const pool_id pool = c.enter("o");
    c.open(102, pool);
    const cached_id s = c.last();
    CHECK(
        c.ended(s, errc::not_found) ==
        fmt::format("forget {}, 102 ended: {}", s, error_value(errc::not_found).message())
    );
    CHECK(c.open(103, pool) == "new for 103");
}

TEST_CASE("pool cache: on an unfinalized object the first stream is new, and the others have as large a size"
) {
    cache c;
    const pool_id writer_was_at_10 = c.enter("o", 7);
    c.open(101, writer_was_at_10);
    const cached_id small = c.last();
    c.opened(small, 7, 10, false);
    const pool_id writer_was_at_20 = c.enter("o", 7);
    c.open(102, writer_was_at_20);
    const cached_id large = c.last();
    c.opened(large, 7, 20, false);
    c.give_up(101);
    c.give_up(102);

    const pool_id pool = c.enter("o", 7);
    CHECK(c.open(103, pool) == "new for 103");
    c.opened(c.last(), 7, 20, true);
    CHECK(c.open(104, pool) == fmt::format("104 gets {}", large));
    CHECK(c.open(105, pool) == "new for 105");
    CHECK(c.open(106, writer_was_at_10) == fmt::format("106 gets {}", small));
}

TEST_CASE("pool cache: beyond the limit of streams on one object the first returned ones are closed") {
    cache c(16, 2);
    const pool_id pool = c.enter("o", 7);
    cached_id ids[3];
    for (caller_id user = 0; user < 3; ++user) {
        c.open(101 + user, pool);
        ids[user] = c.last();
        c.opened(ids[user], 7);
    }
    CHECK(c.give_up(102) == "102 ended");
    CHECK(c.give_up(101) == "101 ended");
    CHECK(c.give_up(103) == fmt::format("103 ended, close {}", ids[1]));
    CHECK(c.stats().evicted == 1);
    CHECK(c.stats().idle_streams == 2);
}

TEST_CASE("pool cache: with a limit of no streams, each is closed when it is returned") {
    cache c(16, 0);
    const pool_id pool = c.enter("o", 7);
    c.open(101, pool);
    c.opened(c.last(), 7);
    CHECK(c.give_up(101) == fmt::format("close {}", c.last()));
    CHECK(c.stats().donated == 0);
}

TEST_CASE("pool cache: beyond its limit the least recently used object is dropped") {
    cache c(2);
    const cached_id a = c.visit(101, "a", 1);
    const cached_id b = c.visit(102, "b", 1);
    // "a" is used once more, without a stream: then "b" is the older one.
    c.leave(c.enter("a", 1));
    const pool_id pool = c.enter("c", 1);
    c.open(103, pool);
    c.opened(c.last(), 1);
    CHECK(c.give_up(103) == "103 ended");
    CHECK(c.leave(pool) == fmt::format("close {}", b));
    CHECK(c.stats().idle_keys == 2);
    CHECK(c.stats().evicted == 1);
    CHECK(c.open(104, c.enter("a", 1)) == fmt::format("104 gets {}", a));
}

TEST_CASE("pool cache: an object with an open pool does not count, and is never dropped") {
    cache c(1);
    const pool_id in_use = c.enter("a", 1);
    c.open(101, in_use);
    const cached_id a = c.last();
    c.opened(a, 1);
    c.give_up(101);
    c.visit(102, "b", 1);
    CHECK(c.stats().idle_streams == 2);
    c.visit(103, "c", 1);
    CHECK(c.stats().idle_streams == 2);
    CHECK(c.open(104, in_use) == fmt::format("104 gets {}", a));
}

TEST_CASE("pool cache: with a limit of no idle objects, streams are kept while another pool is open") {
    cache c(0);
    const pool_id first = c.enter("o", 7);
    const pool_id second = c.enter("o", 7);
    c.open(101, first);
    const cached_id s = c.last();
    c.opened(s, 7);
    CHECK(c.give_up(101) == "101 ended");
    CHECK(c.leave(first) == "");
    CHECK(c.leave(second) == fmt::format("close {}", s));
}

TEST_CASE("pool cache: a stream beyond its idle timeout is closed, and never taken") {
    cache c(16, 4, 60s);
    CHECK_FALSE(c.machine().next_expiry());
    const cached_id a = c.visit(101, "a", 1);
    CHECK(c.until_expiry() == 60s);
    c.pass(20s);
    const cached_id b = c.visit(102, "b", 1);
    CHECK(c.until_expiry() == 40s);
    c.pass(40s - 1ns);
    CHECK(c.tick() == "");
    c.pass(1ns);
    SUBCASE("the timer expires") {
        CHECK(c.tick() == fmt::format("close {}", a));
    }
    SUBCASE("a pool opens before the timer expires") {
        const pool_id pool = c.enter("a", 1);
        c.open(103, pool);
        CHECK(c.stats().misses == 3);
    }
    CHECK(c.stats().expired == 1);
    CHECK(c.until_expiry() == 20s);
    CHECK(c.open(104, c.enter("b", 1)) == fmt::format("104 gets {}", b));
    CHECK_FALSE(c.machine().next_expiry());
}

TEST_CASE("pool cache: without a timeout nothing expires, and no timer is set") {
    cache c(16, 4, 0s);
    c.visit(101, "o", 1);
    CHECK_FALSE(c.machine().next_expiry());
    c.pass(1000h);
    CHECK(c.tick() == "");
    CHECK(c.stats().idle_streams == 1);
}

TEST_CASE("pool cache: closing ends idle streams, keeps no others, and completes with the last stream") {
    cache c;
    const cached_id idle = c.visit(101, "a", 1);
    const pool_id pool = c.enter("b", 1);
    c.open(102, pool);
    const cached_id used = c.last();
    c.opened(used, 1);
    CHECK(c.close(901) == fmt::format("close {}", idle));
    CHECK(c.close(902) == "");
    CHECK(c.enter("c") == 0);
    CHECK(c.open(103, pool) == fmt::format("103 ended: {}", error_value(errc::pool_closed).message()));
    CHECK(c.give_up(102) == fmt::format("close {}", used));
    CHECK(c.ended(idle, errc::stalled) == fmt::format("forget {}", idle));
    CHECK(
        c.ended(used, errc::not_found) ==
        fmt::format(
            "forget {0}, 102 ended: {1}, closed, 901 done: {2}, 902 done: {2}",
            used,
            error_value(errc::not_found).message(),
            error_value(errc::stalled).message()
        )
    );
    CHECK(c.close(903) == "903 done: " + error_value(errc::stalled).message());
    CHECK(c.machine().state() == cache_state::closed);
    CHECK(c.leave(pool) == "");
    CHECK(c.stats().keys_in_use == 0);
}

TEST_CASE("pool cache: a caller that stops waiting for the close gets no completion") {
    cache c;
    c.visit(101, "a", 1);
    pool_cache_fsm machine = c.machine();
    cache_actions out;
    machine.close(901, out);
    CHECK(machine.cancel(901));
    CHECK_FALSE(machine.cancel(901));
    out.clear();
    machine.ended(machine.streams().front().id, {}, out);
    REQUIRE(out.size() == 2);
    CHECK(text(out[1]) == "closed");
}

TEST_CASE("pool_cache_fsm: a known generation counts as live for generation_max_age after the query") {
    using rangeio::fsm::pool_cache_fsm;
    pool_cache_fsm::options how;
    how.generation_max_age = 10s;
    pool_cache_fsm m(how);
    cache_actions out;
    const object_ref name("b-1", "o");
    const object_ref other("b-1", "p");
    const pool_cache_fsm::time_point start{};
    CHECK(m.known_generation(name, start) == 0);
    const pool_id pool = m.enter(name);
    m.open(1, pool, start, out);
    CHECK(m.known_generation(name, start + 1s) == 0);  // asked, not answered
    m.opened(m.streams().back().id, {7, 10, true}, out);
    CHECK(m.known_generation(name, start + 1s) == 7);
    CHECK(m.known_generation(other, start + 1s) == 0);
    // From the question on: it may have been replaced right after the service looked.
    CHECK(m.known_generation(name, start + 9999ms) == 7);
    CHECK(m.known_generation(name, start + 10s) == 0);

    SUBCASE("a pool by generation does not change the live one") {
        const pool_id named = m.enter(object_ref("b-1", "o", 3));
        m.open(2, named, start + 5s, out);
        m.opened(m.streams().back().id, {3, 10, true}, out);
        CHECK(m.known_generation(name, start + 6s) == 7);
    }
    SUBCASE("the answer to the latest query counts, even if it arrives first") {
        const pool_id late = m.enter(name);
        const pool_id early = m.enter(name);
        m.open(3, early, start + 11s, out);
        const auto first = m.streams().back().id;
        m.open(2, late, start + 12s, out);
        const auto second = m.streams().back().id;
        m.opened(second, {9, 10, true}, out);
        m.opened(first, {8, 10, true}, out);
        CHECK(m.known_generation(name, start + 13s) == 9);
        CHECK(m.known_generation(name, start + 22s) == 0);
    }
    SUBCASE("a lost generation is forgotten, and no other") {
        m.forget_generation(object_ref("b-1", "o", 6));
        CHECK(m.known_generation(name, start + 1s) == 7);
        m.forget_generation(object_ref("b-1", "o", 7));
        CHECK(m.known_generation(name, start + 1s) == 0);
    }
    SUBCASE("the newest 1024 names are kept") {
        for (int n = 0; n < 1024; ++n) {
            const pool_id next = m.enter(object_ref("b-1", fmt::format("n-{}", n)));
            m.open(static_cast<caller_id>(10 + n), next, start + 1s, out);
            m.opened(m.streams().back().id, {5, 10, true}, out);
        }
        CHECK(m.known_generation(name, start + 2s) == 0);
        CHECK(m.known_generation(object_ref("b-1", "n-0"), start + 2s) == 5);
        CHECK(m.known_generation(object_ref("b-1", "n-1023"), start + 2s) == 5);
    }
}

TEST_CASE("pool_cache_fsm: by default the service is always asked for the live generation") {
    rangeio::fsm::pool_cache_fsm m({});
    cache_actions out;
    const pool_id pool = m.enter(object_ref("b-1", "o"));
    m.open(1, pool, {}, out);
    m.opened(m.streams().back().id, {7, 10, true}, out);
    CHECK(m.known_generation(object_ref("b-1", "o"), {}) == 0);
}
