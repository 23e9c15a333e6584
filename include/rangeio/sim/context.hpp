#pragma once

#include <rangeio/sim/world.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rangeio::sim {

namespace asio = boost::asio;

class context;

/// An Asio executor whose handlers run on one actor of a world, in order: like a strand, or an io_context that one
/// thread runs.
///
/// `dispatch` from a task of the same actor runs the handler at once; all other handlers are queued.
class executor {
public:
    context& query(asio::execution::context_t) const noexcept { return *context_; }
    static constexpr asio::execution::mapping_t query(asio::execution::mapping_t) noexcept {
        return asio::execution::mapping.thread;
    }
    asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        return never_ ? asio::execution::blocking_t(asio::execution::blocking.never)
                      : asio::execution::blocking_t(asio::execution::blocking.possibly);
    }
    executor require(asio::execution::blocking_t::never_t) const noexcept {
        return {*context_, actor_, true};
    }
    executor require(asio::execution::blocking_t::possibly_t) const noexcept {
        return {*context_, actor_, false};
    }

    template <class F>
    void execute(F&& f) const {
        if (!never_ && running_here()) {
            std::decay_t<F>(std::forward<F>(f))();
        } else {
            post(task(std::decay_t<F>(std::forward<F>(f))));
        }
    }

    friend bool operator==(const executor& a, const executor& b) noexcept {
        return a.context_ == b.context_ && a.actor_ == b.actor_ && a.never_ == b.never_;
    }

    actor_id actor() const noexcept { return actor_; }

private:
    friend context;
    executor(context& where, actor_id who, bool never) noexcept
        : context_(&where), actor_(who), never_(never) {}

    bool running_here() const noexcept;
    void post(task t) const;

    context* context_;
    actor_id actor_;
    bool never_;
};

/// An execution context whose threads are actors of a world. The engine's timers on it run in virtual time.
///
/// Asio's own timers, sockets, resolvers and signals (asio::steady_timer and so on) run in real time, on a thread of
/// Asio's. An operation that never ends, or a task from that thread, is then a violation that names the object;
/// `sim::timer` and fakes replace these objects.
///
/// Lifetimes:  may be destroyed at any moment, from outside of its own tasks, as an io_context may: queued tasks are
///             dropped. The world outlives it.
class context final : public asio::execution_context {
public:
    using executor_type = executor;

    /// The first actor has the context's name.
    explicit context(world& in, std::string name = "main");
    ~context();

    executor get_executor() noexcept { return {*this, first_, false}; }
    /// Adds an actor: a second thread, or a strand of its own.
    executor make_executor(std::string name);

    world& in() const noexcept { return world_; }

private:
    world& world_;
    actor_id first_;
    std::uint64_t suspicion_;
};

inline bool executor::running_here() const noexcept {
    return world::current() == &context_->in() && context_->in().running() == actor_;
}

inline void executor::post(task t) const {
    context_->in().post(actor_, std::move(t), "goes on");
}

/// The context of an executor.
///
/// Requires: the executor was made by a `sim::context`.
context& context_of(const asio::any_io_executor& executor);

/// Starts `operation` on `where`. It has to end before the world becomes idle, and without an exception; a violation
/// names it by `name`. `cancel` ends it early; the signal is emitted on the same executor.
void spawn(
    const executor& where,
    std::string name,
    asio::awaitable<void> operation,
    asio::cancellation_slot cancel = {}
);

}  // namespace rangeio::sim
