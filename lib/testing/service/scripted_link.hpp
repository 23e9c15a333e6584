#pragma once

#include <rangeio/sim/world.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace rangeio::testing {

/// The link of the fault `slow-link` in simulated time. Messages that are on it at once share it evenly, as the frames
/// of HTTP/2 streams do, and each arrives when all of its bytes have passed. The first message of each call is then
/// as late as possible. For `link_options`, messages pass in order: `service_state::reserve_link`.
class scripted_link : public std::enable_shared_from_this<scripted_link> {
public:
    using id = std::uint64_t;

    explicit scripted_link(sim::world& in) : world_(in) {}

    /// `passed` is called, by an actor of the link, when so many bytes have passed at this rate for all messages.
    id send(std::uint64_t bytes, std::uint64_t bytes_per_second, std::function<void()> passed);
    /// Drops a message that has not passed.
    void drop(id which);

private:
    struct message {
        double end;  // the value of `passed_` at which the message has passed
        std::function<void()> passed;
    };

    void advance();
    void schedule();
    void arrive();

    sim::world& world_;
    std::optional<sim::actor_id> actor_;
    sim::world::timer_id timer_ = 0;
    std::map<id, message> under_way_;
    id last_ = 0;
    double rate_ = 0;
    double passed_ = 0;  // bytes of each message, had it been in flight all the time
    sim::world::time_point at_{};
};

}  // namespace rangeio::testing
