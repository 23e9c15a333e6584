#include "grpc/unary_call.hpp"

#include "checked_policy.hpp"
#include "error_text.hpp"

#include <random>
#include <string_view>
#include <utility>

namespace rangeio::grpc_transport {

using fsm::unary_action;
using fsm::unary_action_kind;
using fsm::unary_actions;
using fsm::unary_fsm;

unary_call::unary_call(environment env, unary_request request)
    : env_(std::move(env)),
      request_(std::make_shared<const unary_request>(std::move(request))),
      machine_(checked(env_.retry)) {}

unary_call::~unary_call() = default;

/// Represents the request on the context of its timers, the client's, which may be destroyed before the handler's
/// context.
class unary_call::guest final : public runtime::tracked_operation {
public:
    explicit guest(std::weak_ptr<unary_call> of) : of_(std::move(of)) {}

private:
    void on_shutdown() noexcept override {
        if (const auto of = of_.lock()) of->cancel(errc::shut_down);
    }

    const std::weak_ptr<unary_call> of_;
};

void unary_call::start() noexcept {
    const error_value obstacle = guarded([this]() -> error_value {
        const auto self = std::static_pointer_cast<unary_call>(shared_from_this());
        guest_ = std::make_shared<guest>(self);
        if (!env_.core->enter(*guest_)) return errc::shut_down;
        return limit_opening() ? error_value() : make_error_code(boost::system::errc::not_enough_memory);
    });
    if (obstacle) machine_.feed([&](unary_fsm& m, unary_actions& out) { m.cancel(obstacle, out); });
    act([](unary_fsm& m, unary_actions& out) { m.start(out); });
}

void unary_call::stop(const error_value& why) noexcept {
    act([&](unary_fsm& m, unary_actions& out) { m.cancel(why, out); });
}

void unary_call::on_done(unary_end end) noexcept {
    if (!end.why) response_ = std::move(end.response);
    act([&](unary_fsm& m, unary_actions& out) {
        m.call_ended(end.why, env_.core->now(), out, end.unconnected);
    });
}

template <class Event>
void unary_call::act(Event&& event) noexcept {
    const auto alive = shared_from_this();
    machine_.act(event, [this](unary_action& action) { perform(action); });
}

void unary_call::perform(unary_action& action) noexcept {
    const auto over = [turn = action.turn](unary_fsm& m, unary_actions& out) { m.timer_expired(turn, out); };
    switch (action.kind) {
        case unary_action_kind::call: make_call(); break;
        case unary_action_kind::cancel_call:
            if (attempt_ == nullptr) break;
            attempt_->cancel(action.stalled ? cancel_reason::stalled : cancel_reason::unwanted);
            break;
        case unary_action_kind::set_stall_timer:
            if (!set_timer(timer_, action.delay, over))
                stop(make_error_code(boost::system::errc::not_enough_memory));
            break;
        case unary_action_kind::wait:
            timer_.reset();
            if (!set_timer(timer_, action.at_least + jittered(action.delay), over)) machine_.feed(over);
            break;
        case unary_action_kind::drop_timer:
            timer_.reset();
            open_timer_.reset();
            break;
        case unary_action_kind::complete:
            attempt_.reset();
            timer_.reset();
            open_timer_.reset();
            why_ = std::move(action.why);
            if (guest_ != nullptr) env_.core->leave(*guest_);
            complete();
            break;
    }
}

void unary_call::make_call() noexcept {
    attempt_.reset();
    try {
        const auto self = std::static_pointer_cast<unary_call>(shared_from_this());
        attempt_ = env_.connector->create(request_, std::shared_ptr<unary_attempt_events>(self, this));
        attempt_->start();
    } catch (...) {
        // A call that was not started does not report its end.
        attempt_.reset();
        on_done({make_error_code(boost::system::errc::not_enough_memory)});
    }
}

// The same limit as for the first opening of a stream.
bool unary_call::limit_opening() noexcept {
    const auto& watch = env_.watch;
    if (watch == nullptr || watch->has_answered()) return true;
    if (env_.open_timeout <= std::chrono::nanoseconds::zero()) return true;
    return set_timer(open_timer_, env_.open_timeout, [watch](unary_fsm& m, unary_actions& out) {
        if (watch->has_answered()) return;
        const std::string_view endpoint = watch->endpoint();
        m.unanswered(described(errc::timed_out, "{} has not answered in time", endpoint), out);
    });
}

template <class Event>
bool unary_call::set_timer(
    std::shared_ptr<runtime::timer>& timer, std::chrono::nanoseconds delay, Event event
) noexcept {
    try {
        const auto self = std::static_pointer_cast<unary_call>(shared_from_this());
        const std::weak_ptr<unary_call> weak = self;
        timer = env_.core->set_timer(env_.executor, delay, [weak, event] {
            const auto alive = weak.lock();
            if (alive == nullptr) return;
            alive->act(event);
        });
        return true;
    } catch (...) {
        return false;
    }
}

// Full jitter: requests that failed at the same time are not sent again at the same time.
std::chrono::nanoseconds unary_call::jittered(std::chrono::nanoseconds bound) const noexcept {
    using count = std::chrono::nanoseconds::rep;
    std::uniform_int_distribution<count> evenly(0, bound.count());
    try {
        std::minstd_rand chance(
            static_cast<std::minstd_rand::result_type>(env_.seed ? env_.seed() : std::random_device()())
        );
        return std::chrono::nanoseconds(evenly(chance));
    } catch (...) {
        return bound;
    }
}

}  // namespace rangeio::grpc_transport
