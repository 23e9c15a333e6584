#include <rangeio/memory_budget.hpp>

#include "engine/budget_core.hpp"
#include "support/budget_unit.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

using rangeio::fsm::budget_use;
using rangeio::fsm::request_class;
using support::budget_scene;
using support::budget_unit;

// Many threads against one budget, for the thread sanitizer: its reports are the assertion here, besides the balance.

namespace {

/// Units that all threads exchange.
struct unit_exchange {
    std::mutex mutex;
    std::array<std::shared_ptr<budget_unit>, 16> units;

    std::shared_ptr<budget_unit> swap(std::size_t slot, std::shared_ptr<budget_unit> with) {
        const std::lock_guard lock(mutex);
        return std::exchange(units[slot], std::move(with));
    }
    std::shared_ptr<budget_unit> get(std::size_t slot) {
        const std::lock_guard lock(mutex);
        return units[slot];
    }
};

}  // namespace

TEST_CASE("budget shell: units come and go, and are promoted, marked and reclaimed, on many threads") {
    constexpr auto unit = budget_scene::unit;
    const budget_scene scene(4);
    unit_exchange all;
    std::atomic<std::uint64_t> granted{0}, asked{0};
    std::atomic<bool> over{false};
    const auto work = [&](unsigned seed) {
        std::minstd_rand random(seed);
        const auto reader = scene.core()->new_id();
        for (int i = 0; i < 3000; ++i) {
            const std::size_t slot = random() % all.units.size();
            const auto other = all.get(slot);
            switch (random() % 4) {
                case 0: {
                    auto made = std::make_shared<budget_unit>(
                        scene.core(),
                        [&](budget_unit&) { ++granted; },
                        [&](budget_unit& self) {
                            if (++asked % 3 == 0) return self.room.keep();
                            self.room.release();
                        }
                    );
                    made->request(reader, static_cast<request_class>(random() % 3), 1 + random() % unit);
                    all.swap(slot, std::move(made));
                    break;
                }
                case 1:
                    if (other != nullptr) other->room.promote();
                    break;
                case 2:
                    if (other != nullptr)
                        other->room.mark(static_cast<budget_use>(random() % 4), random() % 8);
                    break;
                default: all.swap(slot, nullptr); break;
            }
            if (i % 500 == 0) scene.core()->leave(reader);
        }
    };
    std::thread onlooker([&] {
        while (!over) {
            const auto s = scene.budget().stats();
            CHECK(s.reserved_bytes <= s.peak_bytes);
            CHECK(s.peak_bytes <= s.limit_bytes + 3 * unit);  // B4
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 3; ++seed) threads.emplace_back(work, seed);
    for (std::thread& t : threads) t.join();
    over = true;
    onlooker.join();
    CHECK(granted > 0);
    CHECK(asked > 0);
    CHECK(asked <= scene.budget().stats().reclaims);  // some were released meanwhile
    for (std::size_t slot = 0; slot < all.units.size(); ++slot) all.swap(slot, nullptr);
}
