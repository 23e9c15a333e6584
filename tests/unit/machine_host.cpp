#include "runtime/machine_host.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

namespace {

struct machine {
    static constexpr std::size_t action_bound() { return 1; }
};

}  // namespace

TEST_CASE("machine_host: a queue that is never empty keeps the room reserved for actions that must not fail"
) {
    rangeio::runtime::machine_host<machine, int> host;
    // More than are taken at once.
    host.feed_reserving([](machine&, std::vector<int>& actions) { actions.assign({0, 1, 2, 3, 4, 5}); });
    std::size_t least_room = 100;
    std::vector<int> performed;
    host.drain([&](int action) {
        performed.push_back(action);
        if (action + 6 > 99) return;
        host.feed([&](machine& m, std::vector<int>& actions) {
            const std::size_t room = actions.capacity() - actions.size();
            if (room < least_room) least_room = room;
            if (room >= m.action_bound()) actions.push_back(action + 6);
        });
    });
    CHECK(least_room >= machine::action_bound());
    REQUIRE(performed.size() == 100);
    for (std::size_t i = 0; i < performed.size(); ++i) CHECK(performed[i] == static_cast<int>(i));
}
