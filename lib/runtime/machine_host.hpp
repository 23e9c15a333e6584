#pragma once

#include "runtime/interleave.hpp"
#include "runtime/mutex.hpp"

#include <boost/container/static_vector.hpp>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace rangeio::runtime {

/// Feeds a machine under a lock, and performs its actions outside of it: in order, by one thread at a time.
///
/// A thread that finds another one performing leaves its actions to that one. So an action may feed the
/// machine again, on the same thread or another, without deadlock or recursion, and nobody else's code ever
/// runs under the lock.
template <class Machine, class Action>
class machine_host {
public:
    template <class... Args>
    explicit machine_host(Args&&... args) : machine_(std::forward<Args>(args)...) {
        pending_.reserve(machine_.action_bound() + 4);
    }

    /// `event(machine, actions)`, and what it returns. For events that may ask for memory: what they could
    /// need later is reserved first, so that a failure to get it changes nothing.
    template <class Event>
    auto feed_reserving(Event&& event) {
        const std::lock_guard lock(mutex_);
        reserve();
        return event(machine_, pending_);
    }

    /// The same for events that must not fail.
    template <class Event>
    auto feed(Event&& event) noexcept {
        const std::lock_guard lock(mutex_);
        make_room();
        return event(machine_, pending_);
    }

    /// Looks at the machine.
    template <class F>
    auto peek(F&& look) const {
        const std::lock_guard lock(mutex_);
        return look(std::as_const(machine_));
    }

    /// Performs what is pending by `perform(action)`, unless another thread is at it.
    template <class Perform>
    void drain(Perform&& perform) noexcept {
        std::unique_lock lock(mutex_);
        drain_under(lock, perform);
    }

    /// feed() or feed_reserving(), and drain(): with one lock less.
    template <class Event, class Perform>
    void act(Event&& event, Perform&& perform) noexcept {
        std::unique_lock lock(mutex_);
        make_room();
        event(machine_, pending_);
        drain_under(lock, perform);
    }
    template <class Event, class Perform>
    void act_reserving(Event&& event, Perform&& perform) {
        std::unique_lock lock(mutex_);
        reserve();
        event(machine_, pending_);
        drain_under(lock, perform);
    }

private:
    // Some at a time: a lock for each action would be most of what a small read costs.
    static constexpr std::size_t at_a_time = 4;

    template <class Perform>
    void drain_under(std::unique_lock<mutex>& lock, Perform& perform) noexcept {
        if (performing_) return;
        interleave(without_a_lock);
        performing_ = true;
        while (next_ < pending_.size()) {
            boost::container::static_vector<Action, at_a_time> some;
            while (next_ < pending_.size() && some.size() < at_a_time) {
                some.push_back(std::move(pending_[next_++]));
            }
            if (next_ == pending_.size()) {
                pending_.clear();
                next_ = 0;
            }
            lock.unlock();
            for (Action& action : some) {
                interleave("before an action is performed");
                perform(action);
            }
            some.clear();  // what an action holds may be another's
            lock.lock();
        }
        performing_ = false;
    }

    void reserve() {
        if (2 * next_ > pending_.size()) drop_performed();
        const std::size_t room = pending_.size() + machine_.action_bound() + 4;
        if (pending_.capacity() < room) pending_.reserve(2 * room);
    }
    void make_room() noexcept {
        // The room is there; what has been performed may stand in it, if the queue has never run dry since.
        if (pending_.capacity() - pending_.size() < machine_.action_bound() + 4) drop_performed();
    }
    void drop_performed() noexcept {
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(next_));
        next_ = 0;
    }

    mutable mutex mutex_;
    Machine machine_;
    std::vector<Action> pending_;
    std::size_t next_ = 0;  // those before it have been performed
    bool performing_ = false;
};

}  // namespace rangeio::runtime
