#include "runtime/context_service.hpp"

#include "runtime/interleave.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace rangeio::runtime {
namespace {

class steady_timer final : public timer, public std::enable_shared_from_this<steady_timer> {
public:
    steady_timer(const asio::any_io_executor& executor, std::function<void()> then)
        : timer_(executor), then_(std::move(then)) {}

    void start(std::chrono::nanoseconds delay) {
        const std::lock_guard lock(mutex_);
        // Bounded, because the sum has to fit into a time point.
        timer_.expires_after(std::min<std::chrono::nanoseconds>(delay, std::chrono::years(1)));
        timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
            const auto self = weak.lock();
            if (self == nullptr || ec) return;
            std::function<void()> then;
            {
                const std::lock_guard guard(self->mutex_);
                then.swap(self->then_);
            }
            if (then) then();
        });
    }

    // Asio's timers must not be used from two threads at once; this one is cancelled on the thread that ends the
    // operation.
    void cancel() noexcept override {
        std::function<void()> dropped;
        const std::lock_guard lock(mutex_);
        dropped.swap(then_);
        try {
            timer_.cancel();
        } catch (...) {
            // The timer then expires without effect: there is nothing left to call.
        }
    }

private:
    std::mutex mutex_;
    asio::steady_timer timer_;
    std::function<void()> then_;
};

/// An executor that has a context and executes nothing: a timer can be made with it, whatever class the context is.
struct context_executor {
    asio::execution_context* of;

    asio::execution_context& query(asio::execution::context_t) const noexcept { return *of; }
    template <class F>
    void execute(F&&) const {}
    bool operator==(const context_executor&) const noexcept = default;
};
using timer_of_a_context = asio::basic_waitable_timer<
    std::chrono::steady_clock,
    asio::wait_traits<std::chrono::steady_clock>,
    context_executor>;

/// Time and threads of a simulation.
class clocked_core final : public context_core {
public:
    explicit clocked_core(std::shared_ptr<context_clock> clock) : clock_(std::move(clock)) {}

    std::shared_ptr<timer> set_timer(
        const asio::any_io_executor& executor, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        return clock_->call_after(executor, delay, std::move(then));
    }
    std::chrono::steady_clock::time_point now() const noexcept override { return clock_->now(); }

private:
    context_clock::progress run_one_step() noexcept override { return clock_->run_one_step(); }

    const std::shared_ptr<context_clock> clock_;
};

// Without a clock this makes a service that has none, so a later use_clock() is rejected.
std::shared_ptr<context_core> core_for(asio::execution_context& context) {
    const auto& clock = asio::use_service<detail::clock_service>(context).clock;
    if (clock != nullptr) return std::make_shared<clocked_core>(clock);
    return std::make_shared<context_core>();
}

#if RANGEIO_PREEMPTION_POINTS
[[maybe_unused]] const bool points_are_announced = (has_preemption_points = true);
#endif

}  // namespace

bool context_core::enter(tracked_operation& p) noexcept {
    const std::lock_guard lock(mutex_);
    if (shut_down_) return false;
    inside_.push_back(p);
    return true;
}

void context_core::leave(tracked_operation& p) noexcept {
    const std::lock_guard lock(mutex_);
    if (!p.is_linked()) return;
    inside_.erase(inside_.iterator_to(p));
    all_left_.notify_all();
}

// The operation that is about to leave is still among those inside, so shut_down() cannot miss the hold.
context_core::shutdown_hold::shutdown_hold(std::shared_ptr<context_core> core) noexcept
    : core_(std::move(core)) {
    if (core_ != nullptr) ++core_->holds_;
}

// Without a lock as long as no shutdown waits: shut_down() sets its flag before it looks for holds, and this reads the
// flag after its hold has ended, so one of the two sees the other.
context_core::shutdown_hold::~shutdown_hold() {
    if (core_ == nullptr) return;
    --core_->holds_;
    if (!core_->shut_down_) return;
    const std::lock_guard lock(core_->mutex_);
    core_->all_left_.notify_all();
}

std::shared_ptr<timer> context_core::set_timer(
    const asio::any_io_executor& executor, std::chrono::nanoseconds delay, std::function<void()> then
) {
    auto out = std::make_shared<steady_timer>(executor, std::move(then));
    out->start(delay);
    return out;
}

void context_core::destroy_later(
    const asio::any_io_executor& executor, std::shared_ptr<void> thing
) noexcept {
    const std::lock_guard lock(mutex_);
    if (over_) return;  // all work has ended: this thread is one of the program's own
    try {
        if (shut_down_) {
            to_destroy_.push_back(std::move(thing));
        } else {
            asio::post(executor, [thing = std::move(thing)] {});
        }
    } catch (...) {
        // There is no memory for the transfer to another thread, so the object is dropped here.
    }
}

void context_core::shut_down() noexcept {
    // A list of the notified operations might need memory, so they are moved to the back of this one instead.
    for (;;) {
        std::shared_ptr<tracked_operation> next;
        {
            const std::lock_guard lock(mutex_);
            shut_down_ = true;
            if (inside_.empty() || inside_.front().told_) break;
            inside_.front().told_ = true;
            next = inside_.front().weak_from_this().lock();
            inside_.splice(inside_.end(), inside_, inside_.begin());
        }
        if (next != nullptr) next->on_shutdown();
    }
    std::vector<std::shared_ptr<void>> dead;
    {
        std::unique_lock lock(mutex_);
        while (!inside_.empty() || holds_ != 0) {
            lock.unlock();
            const context_clock::progress done = run_one_step();
            lock.lock();
            if (done == context_clock::progress::made) continue;
            if (done == context_clock::progress::none) break;
            all_left_.wait(lock, [this] { return inside_.empty() && holds_ == 0; });
        }
        over_ = true;
        dead.swap(to_destroy_);
    }
}

context_service::context_service(asio::execution_context& context)
    : service(context), core_(core_for(context)) {
    // Services are shut down in the reverse order of their creation, and this one needs timers until its end. A context
    // with a clock of its own needs none, and there one would start a thread of Asio's.
    if (asio::use_service<detail::clock_service>(context).clock == nullptr) {
        const timer_of_a_context older_than_this(context_executor{&context});
    }
    // The strand service is made before this one is registered, so it is shut down after it: completions are posted to
    // strands until the last tracked_operation has left, and after its shutdown a strand destroys them on the posting
    // thread.
    asio::use_service<asio::detail::strand_executor_service>(context);
}

std::shared_ptr<context_core> core_of(const asio::any_io_executor& executor) {
    return asio::use_service<context_service>(asio::query(executor, asio::execution::context)).core();
}

}  // namespace rangeio::runtime
