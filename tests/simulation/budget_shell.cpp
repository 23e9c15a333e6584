#include <rangeio/byte_slice.hpp>
#include <rangeio/error.hpp>
#include <rangeio/memory_budget.hpp>
#include <rangeio/sim/context.hpp>

#include "engine/budget_core.hpp"
#include "support/budget_unit.hpp"
#include "support/service_scene.hpp"

#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using rangeio::memory_budget;
using rangeio::fsm::budget_use;
using rangeio::fsm::reader_id;
using rangeio::fsm::request_class;
using support::budget_scene;
using support::budget_unit;

// The shell of the budget: what the machine decides is tested with the machine; this is whether holders are called for
// it, and whether what they do with a reservation reaches it.

namespace {

constexpr auto mib = budget_scene::unit;

/// Units whose calls are recorded, by name: `+a` is granted, `-a` is asked for.
class unit_log {
public:
    explicit unit_log(const budget_scene& scene) : scene_(scene) {}

    std::shared_ptr<budget_unit> unit(
        const std::string& name, reader_id reader, request_class lane, std::uint64_t bytes = mib
    ) {
        const auto out = std::make_shared<budget_unit>(
            scene_.core(),
            [this, name](budget_unit&) { calls_ += "+" + name; },
            [this, name](budget_unit&) { calls_ += "-" + name; }
        );
        out->request(reader, lane, bytes);
        return out;
    }
    std::string calls() { return std::exchange(calls_, ""); }

private:
    const budget_scene& scene_;
    std::string calls_;
};

}  // namespace

TEST_CASE("memory_budget: copies share one budget, and its limit is at least one unit") {
    CHECK(memory_budget().limit_bytes() == 128 * mib);
    CHECK(memory_budget(mib).limit_bytes() == mib);
    CHECK(memory_budget(std::numeric_limits<std::uint64_t>::max()).stats().limit_bytes > 0);
    try {
        const memory_budget less(mib - 1);
        FAIL("a budget of less than a unit");
    } catch (const rangeio::error& why) {
        CHECK(why.code() == rangeio::errc::invalid_argument);
        CHECK(
            std::string(why.what()).find("memory budget: 1048575 is less than 1048576") != std::string::npos
        );
    }
    const budget_scene scene(2);
    const memory_budget copy = scene.budget();
    unit_log log(scene);
    const auto held = log.unit("a", 1, request_class::demand);
    CHECK(copy.stats().reserved_bytes == mib);
    CHECK(copy.stats() == scene.budget().stats());
}

TEST_CASE("budget shell: each lane is served in turn, and the statistics have what waits in it") {
    const budget_scene scene(1);
    unit_log log(scene);
    auto first = log.unit("a", 1, request_class::demand);
    auto s = log.unit("s", 2, request_class::speculative);
    auto t = log.unit("t", 2, request_class::speculative);
    auto h = log.unit("h", 2, request_class::hinted);
    auto d = log.unit("d", 1, request_class::demand);
    CHECK(log.calls() == "+a");
    const auto stats = scene.budget().stats();
    CHECK(stats.waiting_demand == 1);
    CHECK(stats.waiting_hinted == 1);
    CHECK(stats.waiting_speculative == 2);
    CHECK(stats.limit_bytes == mib);
    CHECK(stats.peak_bytes == mib);
    first.reset();
    CHECK(log.calls() == "+d");
    d->room.release();
    CHECK(log.calls() == "+h");
    h.reset();
    CHECK(log.calls() == "+s");
    s.reset();
    CHECK(log.calls() == "+t");
    CHECK(scene.reserved_units() == 1);
}

TEST_CASE("budget shell: a request that a caller comes to wait for is promoted") {
    const budget_scene scene(1);
    unit_log log(scene);
    auto held = log.unit("a", 1, request_class::demand);
    const auto s = log.unit("s", 1, request_class::speculative);
    const auto h = log.unit("h", 1, request_class::hinted);
    s->room.promote();
    held.reset();
    CHECK(log.calls() == "+a+s");
    CHECK(scene.budget().stats().promotions == 1);
    h->room.promote();  // B4: its reader does not wait for `s` any more
    s->room.mark(budget_use::held);
    CHECK(log.calls() == "+h");
    CHECK(scene.budget().stats().above_limit == 1);
}

TEST_CASE("budget shell: a holder gives up its bytes when it is asked, or keeps them and is not asked again"
) {
    const budget_scene scene(2);
    unit_log log(scene);
    auto far = log.unit("f", 1, request_class::speculative);
    auto near = log.unit("n", 1, request_class::speculative);
    far->room.mark(budget_use::ahead, 9);
    near->room.mark(budget_use::ahead, 1);
    CHECK(log.calls() == "+f+n");
    const auto hinted = log.unit("h", 2, request_class::hinted);
    CHECK(log.calls() == "-f");
    far->room.keep();
    CHECK(log.calls() == "-n");
    near.reset();
    CHECK(log.calls() == "+h");
    const auto other = log.unit("i", 2, request_class::hinted);
    CHECK(log.calls() == "");  // `f` is held
    far->room.mark(budget_use::ahead, 9);
    CHECK(log.calls() == "-f");
    far->room.release();
    CHECK(log.calls() == "+i");
    CHECK(scene.budget().stats().reclaims == 3);
}

TEST_CASE("budget shell: a holder that has gone is not called, and those behind it take its turn") {
    const budget_scene scene(1);
    unit_log log(scene);
    auto held = log.unit("a", 1, request_class::speculative);
    auto waits = log.unit("b", 1, request_class::speculative);
    const auto behind = log.unit("c", 1, request_class::speculative);
    waits.reset();
    held->room.release();
    held->room.release();
    held->room.promote();  // of no effect, as the others
    held->room.mark(budget_use::parked);
    held->room.keep();
    held.reset();
    CHECK(log.calls() == "+a+c");
    CHECK(scene.reserved_units() == 1);
}

TEST_CASE("budget shell: a holder is not called for what was decided before it released its bytes") {
    const budget_scene scene(1);
    const auto nothing = [](budget_unit&) {};
    auto held = std::make_shared<budget_unit>(scene.core(), nothing, nothing);
    held->request(1, request_class::speculative, mib);
    int calls = 0;
    const auto count = [&calls](budget_unit&) { ++calls; };
    const auto other = std::make_shared<budget_unit>(scene.core(), count, count);
    const auto first =
        std::make_shared<budget_unit>(scene.core(), [&](budget_unit&) { other->room.release(); }, nothing);
    first->request(1, request_class::speculative, mib / 2);
    other->request(1, request_class::speculative, mib / 2);
    held.reset();
    CHECK(calls == 0);
    CHECK(scene.core()->stats().reserved_bytes == mib / 2);
}

TEST_CASE("budget shell: a reader that leaves has no request granted, and a request of another reader is next"
) {
    const budget_scene scene(1);
    unit_log log(scene);
    const reader_id leaving = scene.core()->new_id();
    const reader_id other = scene.core()->new_id();
    REQUIRE(leaving != other);
    auto held = log.unit("a", leaving, request_class::speculative);
    const auto b = log.unit("b", leaving, request_class::hinted);
    const auto c = log.unit("c", leaving, request_class::speculative);
    const auto d = log.unit("d", other, request_class::speculative);
    scene.core()->leave(leaving);
    held.reset();
    CHECK(log.calls() == "+a+d");
}

TEST_CASE("budget shell: B7: the bytes of a slice are reserved for as long as it is held") {
    struct unit_memory {
        std::shared_ptr<budget_unit> unit;
        std::array<std::byte, 8> bytes{};
    };
    const budget_scene scene(1);
    unit_log log(scene);
    rangeio::byte_slice slice;
    {
        const auto memory = std::make_shared<unit_memory>();
        memory->unit = log.unit("a", 1, request_class::demand);
        const std::span<std::byte> bytes(memory->bytes);
        slice = {std::shared_ptr<const std::byte[]>(memory, bytes.data()), bytes.subspan(2, 3)};
    }
    CHECK(scene.reserved_units() == 1);
    rangeio::byte_slice copy = slice;
    slice = {};
    CHECK(scene.reserved_units() == 1);
    copy = {};
    CHECK(scene.reserved_units() == 0);
}

TEST_CASE("budget shell: holders use the budget when they are called, and the handle may have gone before") {
    std::shared_ptr<budget_unit> next, held;
    std::string calls;
    std::optional<memory_budget> handle(mib);
    const auto core = rangeio::engine::budget_access::core(*handle);
    const auto note = [&calls](const char* what) { return [&calls, what](budget_unit&) { calls += what; }; };
    next = std::make_shared<budget_unit>(core, note("+next"), note("-next"));
    held = std::make_shared<budget_unit>(
        core,
        [&](budget_unit& self) {
            calls += "+held";
            self.room.mark(budget_use::ahead);
            next->request(2, request_class::hinted, mib);
            CHECK(calls == "+held");  // calls are not nested
        },
        [&](budget_unit&) {
            calls += "-held";
            held.reset();
        }
    );
    handle.reset();
    held->request(1, request_class::speculative, mib);
    CHECK(calls == "+held-held+next");
    CHECK(core->stats().reserved_bytes == mib);
    next.reset();
    CHECK(core->stats().reserved_bytes == 0);
}

// From here on other actors act in place of other threads, before any lock.

namespace {

void explore_budget(const rangeio::sim::program& p) {
    support::explore_at_locks(p, 3000, 600, 3);
}

/// Several threads of one program, each with one task.
class unit_threads {
public:
    explicit unit_threads(rangeio::sim::world& in) : io_(in, "io") {}
    void post(const char* name, std::function<void()> what) {
        boost::asio::post(io_.make_executor(name), std::move(what));
    }

private:
    rangeio::sim::context io_;
};

}  // namespace

TEST_CASE(
    "budget shell: a request withdrawn by another thread while it is granted leaves its bytes to the next"
) {
    for (const auto lane : {request_class::demand, request_class::hinted, request_class::speculative}) {
        explore_budget([lane](rangeio::sim::world& w) {
            const budget_scene scene(1);
            unit_threads threads(w);
            int granted = 0;
            const auto unit = [&](std::function<void()> on_granted) {
                return std::make_shared<budget_unit>(
                    scene.core(),
                    [on_granted](budget_unit&) { on_granted(); },
                    [&w](budget_unit&) { w.violate("asked for what it does not have to spare"); }
                );
            };
            auto held = unit([] {});
            held->request(1, request_class::demand, mib);
            auto withdrawn = unit([&] {
                w.check(++granted == 1, "granted twice");
                w.check(scene.core()->stats().reserved_bytes <= mib, "granted without room");
            });
            withdrawn->request(1, lane, mib);
            bool next_granted = false;
            auto next = unit([&] { next_granted = true; });
            next->request(1, request_class::speculative, mib);
            threads.post("releases", [&] { held.reset(); });
            threads.post("withdraws", [&] { withdrawn.reset(); });
            w.run();
            w.check(next_granted, "the turn was lost");
            w.check(scene.reserved_units() == 1, "bytes were lost");
        });
    }
}

TEST_CASE(
    "budget shell: a unit promoted, granted and released by three threads is granted once, and its bytes "
    "return"
) {
    explore_budget([](rangeio::sim::world& w) {
        const budget_scene scene(1);
        unit_threads threads(w);
        int granted = 0, last_granted = 0;
        const auto nothing = [](budget_unit&) {};
        auto held = std::make_shared<budget_unit>(scene.core(), nothing, nothing);
        held->request(1, request_class::demand, mib);
        const auto last =
            std::make_shared<budget_unit>(scene.core(), [&](budget_unit&) { ++last_granted; }, nothing);
        auto unit = std::make_shared<budget_unit>(scene.core(), [&](budget_unit&) { ++granted; }, nothing);
        last->request(1, request_class::hinted, mib);
        unit->request(1, request_class::speculative, mib);
        threads.post("releases", [&] { held.reset(); });
        threads.post("promotes", [&, unit] { unit->room.promote(); });
        threads.post("reads", [&, unit] {
            if (w.choose(2) == 1) unit->room.mark(budget_use::kept);
            unit->room.release();
        });
        unit.reset();
        w.run();
        w.check(granted <= 1, "granted twice");
        w.check(last_granted == 1 && scene.reserved_units() == 1, "bytes were lost");
    });
}

TEST_CASE(
    "budget shell: a unit that is asked for while others release it, or come to wait, answers for itself "
    "alone"
) {
    explore_budget([](rangeio::sim::world& w) {
        const budget_scene scene(1);
        unit_threads threads(w);
        int waiter_granted = 0;
        const auto nothing = [](budget_unit&) {};
        const auto released_or_kept = [&](budget_unit& self) {
            if (w.choose(2) == 0) return self.room.release();
            self.room.keep();
            self.room.mark(budget_use::held);
        };
        auto read_ahead = std::make_shared<budget_unit>(scene.core(), nothing, released_or_kept);
        read_ahead->request(1, request_class::speculative, mib);
        read_ahead->room.mark(budget_use::ahead);
        auto waiter =
            std::make_shared<budget_unit>(scene.core(), [&](budget_unit&) { ++waiter_granted; }, nothing);
        threads.post("needs bytes", [&] { waiter->request(2, request_class::hinted, mib); });
        threads.post("comes to wait", [&, read_ahead] {
            read_ahead->room.promote();
            if (w.choose(2) == 1) read_ahead->room.mark(budget_use::kept);
        });
        threads.post("closes", [&, read_ahead] {
            if (w.choose(2) == 1) read_ahead->room.release();
        });
        w.run();
        read_ahead.reset();
        w.check(waiter_granted == 1, "what was released has not reached the waiter");
        w.check(scene.reserved_units() == 1, "bytes were lost");
    });
}

// A unit takes the memory of another one, as it does in an allocator: its address identifies nothing.
TEST_CASE("budget shell: the question for a unit that has gone does not reach the one in its place") {
    explore_budget([](rangeio::sim::world& w) {
        const budget_scene scene(1);
        unit_threads threads(w);
        const auto nothing = [](budget_unit&) {};
        const auto storage = std::make_unique<std::array<std::byte, sizeof(budget_unit)>>();
        const auto place = [&](budget_unit::call on_reclaim) {
            return std::shared_ptr<budget_unit>(
                new (storage->data()) budget_unit(scene.core(), nothing, std::move(on_reclaim)),
                [](budget_unit* u) { u->~budget_unit(); }
            );
        };
        // The one who asks may hold the old unit for a moment.
        auto old = place(nothing);
        const std::weak_ptr<budget_unit> old_is_there = old;
        old->request(1, request_class::speculative, mib);
        old->room.mark(budget_use::ahead);
        std::shared_ptr<budget_unit> young;
        const auto waiter = std::make_shared<budget_unit>(scene.core(), nothing, nothing);
        threads.post("needs bytes", [&] { waiter->request(2, request_class::hinted, mib); });
        threads.post("replaces", [&] {
            old.reset();
            if (!old_is_there.expired()) return;
            young = place([&w](budget_unit&) { w.violate("a new unit is asked for, though it is held"); });
            young->request(1, request_class::speculative, mib);
        });
        w.run();
    });
}
