#include <rangeio/sim/timer.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace rangeio::sim {

using handler_type = asio::any_completion_handler<void(boost::system::error_code)>;

struct timer::state : std::enable_shared_from_this<timer::state> {
    explicit state(asio::any_io_executor on) : executor(std::move(on)), in(context_of(executor).in()) {}

    /// Owned by the world's timer alone: a coroutine that waits here is destroyed when its context drops that timer. If
    /// the `timer` owned the wait that would be a cycle, because the coroutine's frame owns the `timer`.
    struct wait {
        std::optional<handler_type> handler;  // 1.81: its move assignment never returns
        asio::any_io_executor where;
        world::timer_id id = 0;
    };

    // Asio's timer needs no memory here.
    void complete(const std::shared_ptr<wait>& w, boost::system::error_code ec) {
        const allocation_exemption own;
        std::erase_if(waits, [&](const std::weak_ptr<wait>& x) { return x.lock() == w; });
        handler_type handler = std::move(*w->handler);
        w->handler.reset();
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
        asio::post(w->where, [handler = std::move(handler), ec]() mutable {
            const allocation_exemption::lift for_the_handler;
            std::move(handler)(ec);
        });
    }

    bool cancel(const std::shared_ptr<wait>& w) {
        // Too late if the timer is already due: the wait then completes without an error, as with Asio's timers.
        if (w == nullptr || !in.cancel_timer(w->id)) return false;
        complete(w, asio::error::operation_aborted);
        return true;
    }

    std::size_t cancel() {
        const allocation_exemption own;
        std::size_t count = 0;
        for (const auto& w : std::exchange(waits, {})) count += cancel(w.lock()) ? 1U : 0U;
        return count;
    }

    const asio::any_io_executor executor;
    world& in;
    time_point expiry{};
    std::vector<std::weak_ptr<wait>> waits;
};

timer::timer(asio::any_io_executor executor) {
    const allocation_exemption own;
    waits_ = std::make_shared<state>(std::move(executor));
}

timer::~timer() {
    if (waits_ != nullptr) waits_->cancel();
}

timer::executor_type timer::get_executor() const noexcept {
    return waits_->executor;
}

timer::time_point timer::expiry() const noexcept {
    return waits_->expiry;
}

std::size_t timer::expires_after(duration after) {
    const time_point now = waits_->in.now();
    const bool too_far = after > time_point::max() - now;
    return expires_at(too_far ? time_point::max() : now + after);
}

std::size_t timer::expires_at(time_point at) {
    const std::size_t cancelled = waits_->cancel();
    waits_->expiry = at;
    return cancelled;
}

std::size_t timer::cancel() {
    return waits_->cancel();
}

void timer::begin_wait(
    const std::shared_ptr<state>& waits, const asio::any_io_executor& where, handler_type handler
) {
    const auto w = std::make_shared<state::wait>();
    w->where = where;
    w->handler.emplace(std::move(handler));
    w->id = waits->in.call_at(
        waits->executor.target<executor>()->actor(),
        waits->expiry,
        task([waits, w] { waits->complete(w, {}); }),
        "a timer is due"
    );
    waits->waits.push_back(w);
    if (auto slot = asio::get_associated_cancellation_slot(*w->handler); slot.is_connected()) {
        const std::weak_ptr<state> self = waits;
        slot.assign([self, weak = std::weak_ptr(w)](asio::cancellation_type) {
            if (const auto alive = self.lock()) alive->cancel(weak.lock());
        });
    }
}

}  // namespace rangeio::sim
