#pragma once

#include "runtime/interleave.hpp"
#include "runtime/mutex.hpp"

#include <boost/container/static_vector.hpp>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace rangeio::runtime {

/// Feeds a machine under a lock, and performs its actions without the lock: in order, on one thread at a time.
///
/// A thread leaves its actions to another one that is already performing. So an action may feed the machine again, on
/// the same thread or another, without deadlock or recursion, and no foreign code runs under the lock.
template <class Machine, class Action>
class machine_host {
public:
    template <class... Args>
    explicit machine_host(Args&&... args) : machine_(std::forward<Args>(args)...) {
        pending_.reserve(machine_.action_bound() + 4);
    }

    /// Calls `event(machine, actions)` and returns its result. For events that may allocate: the memory that later
    /// actions could need is reserved first, so a failure to allocate changes nothing.
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

    /// Calls `look(machine)` under the lock and returns its result.
    template <class F>
    auto peek(F&& look) const {
        const std::lock_guard lock(mutex_);
        return look(std::as_const(machine_));
    }

    /// Performs the pending actions by `perform(action)`, unless another thread is performing.
    template <class Perform>
    void drain(Perform&& perform) noexcept {
        std::unique_lock lock(mutex_);
        drain_under(lock, perform);
    }

    /// feed() or feed_reserving(), then drain(), with one lock operation less.
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
    // Actions are taken in groups: a lock operation for each action would be most of the cost of a small read.
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
            some.clear();  // without the lock: the destructor of an action may run foreign code
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
        // The capacity suffices, but performed actions may occupy it, if the queue has not been empty since.
        if (pending_.capacity() - pending_.size() < machine_.action_bound() + 4) drop_performed();
    }
    void drop_performed() noexcept {
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(next_));
        next_ = 0;
    }

    mutable mutex mutex_;
    Machine machine_;
    std::vector<Action> pending_;
    std::size_t next_ = 0;  // actions before this index have been taken
    bool performing_ = false;
};

}  // namespace rangeio::runtime
