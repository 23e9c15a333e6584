#include <rangeio/context_clock.hpp>
#include <rangeio/sim/allocation_failures.hpp>
#include <rangeio/sim/allocation_sweep.hpp>
#include <rangeio/sim/context.hpp>

#include "sim/real_services.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/query.hpp>

#include <fmt/format.h>

#include <exception>
#include <vector>

namespace rangeio::sim {
namespace {

// Owns the queues, so that they are destroyed with the services: in reverse order of their making, this one last.
class queues final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit queues(asio::execution_context& owner) : service(owner) {}

    world* in = nullptr;
    std::vector<actor_id> actors;

private:
    void shutdown() noexcept override {
        for (const actor_id who : actors) in->remove_actor(who);
    }
};

class virtual_timer final : public clock_timer {
public:
    explicit virtual_timer(world& in) : world_(in) {}
    ~virtual_timer() override { cancel(); }
    void cancel() noexcept override { world_.cancel_timer(timer); }

    world::timer_id timer = 0;

private:
    world& world_;
};

class virtual_clock final : public context_clock {
public:
    explicit virtual_clock(world& in) : world_(in) {}

    std::shared_ptr<clock_timer> call_after(
        const asio::any_io_executor& executor, std::chrono::nanoseconds delay, std::function<void()> then
    ) override {
        allocation_point();
        std::shared_ptr<virtual_timer> out;
        {
            const allocation_exemption own;
            out = std::make_shared<virtual_timer>(world_);
        }
        // A timer on a strand does not need the strand: its function is safe on any thread.
        const auto* const own = executor.target<sim::executor>();
        const actor_id who = (own != nullptr ? *own : context_of(executor).get_executor()).actor();
        out->timer = world_.call_after(who, delay, task(std::move(then)), "a timer is due");
        return out;
    }

    std::chrono::steady_clock::time_point now() const noexcept override { return world_.now(); }

    // The caller waits for other threads, and runs on the only thread there is.
    progress run_one_step() noexcept override {
        if (world_.step_outside()) return progress::made;
        world_.violate("a context is being destroyed, and an operation that has to end there never ends");
        return progress::none;
    }

private:
    world& world_;
};

}  // namespace

context::context(world& in, std::string name) : world_(in), first_(in.add_actor(name)) {
    const allocation_exemption own;
    suspicion_ = in.suspect([this, name = std::move(name)] { return real_services(*this, name); });
    auto& owned = asio::use_service<queues>(*this);
    owned.in = &in;
    owned.actors.push_back(first_);
    use_clock(*this, std::make_shared<virtual_clock>(in));
}

context::~context() {
    world_.withdraw(suspicion_);
    end_real_threads(*this);
    shutdown();
    destroy();
}

executor context::make_executor(std::string name) {
    const allocation_exemption own;
    const actor_id who = world_.add_actor(std::move(name));
    asio::use_service<queues>(*this).actors.push_back(who);
    return {*this, who, false};
}

context& context_of(const asio::any_io_executor& executor) {
    return static_cast<context&>(asio::query(executor, asio::execution::context));
}

namespace {

class supervisor {
public:
    supervisor(world& in, std::string name)
        : in_(in), name_(name), operation_(in.expect_end(std::move(name))) {}
    supervisor(supervisor&& other) noexcept
        : in_(other.in_), name_(std::move(other.name_)), operation_(std::exchange(other.operation_, 0)) {}
    // Dropped with its context: its end is no longer expected.
    ~supervisor() {
        if (operation_ != 0) in_.ended(operation_);
    }

    void operator()(const std::exception_ptr& thrown) noexcept {
        if (thrown && allocation_failures::any_injected() && is_out_of_memory(thrown)) return;
        const allocation_exemption own;
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
            in_.violate(fmt::format("{} ends with an exception: {}", name_, e.what()));
        } catch (...) {
            in_.violate(name_ + " ends with an exception");
        }
    }

private:
    world& in_;
    std::string name_;
    std::uint64_t operation_;
};

// Asio allocates before and after the operation, to begin it and to call the handler. If that fails the coroutine, or
// the handler, is dropped, and the exception of Asio reaches the code that runs the executor.
asio::awaitable<void> supervised(supervisor watch, asio::awaitable<void> operation) {
    std::exception_ptr thrown;
    detail::exempt_from_here(false);
    try {
        co_await std::move(operation);
    } catch (...) {
        thrown = std::current_exception();
    }
    detail::exempt_from_here(true);
    watch(thrown);
}

}  // namespace

void spawn(
    const executor& where, std::string name, asio::awaitable<void> operation, asio::cancellation_slot cancel
) {
    const allocation_exemption own;
    asio::co_spawn(
        where,
        supervised(
            supervisor(where.query(asio::execution::context).in(), std::move(name)), std::move(operation)
        ),
        asio::bind_cancellation_slot(cancel, [](const std::exception_ptr&) {})
    );
}

}  // namespace rangeio::sim
