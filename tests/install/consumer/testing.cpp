#include <rangeio/mrd_pool.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/sim/explore.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <iostream>

namespace sim = rangeio::sim;

namespace {

void read_everything(sim::world& world) {
    const rangeio::testing::scripted_service service(world);
    sim::context io(world);
    sim::spawn(io.get_executor(), "reader", [&]() -> boost::asio::awaitable<void> {
        rangeio::mrd_pool pool(io.get_executor(), service.streams());
        std::array<std::byte, 64> bytes{};
        co_await pool.async_fetch({0, bytes.size()}, bytes);
        world.check(service.holds(bytes, 0), "other bytes than the object's");
        co_await pool.async_close();
    }());
    world.run();
}

}  // namespace

int main() {
    const auto result = sim::explore(read_everything, sim::explore_options().schedules(10));
    std::cout << "consumer: " << (result.found ? result.found->text() : "a program holds") << '\n';
}
