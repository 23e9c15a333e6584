#pragma once

#include "runtime/interleave.hpp"
#include "runtime/mutex.hpp"

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
        if (2 * next_ > pending_.size()) drop_performed();
        const std::size_t room = pending_.size() + machine_.action_bound() + 4;
        if (pending_.capacity() < room) pending_.reserve(2 * room);
        return event(machine_, pending_);
    }

    /// The same for events that must not fail.
    template <class Event>
    auto feed(Event&& event) noexcept {
        const std::lock_guard lock(mutex_);
        // The room is there; what has been performed may stand in it, if the queue has never run dry since.
        if (pending_.capacity() - pending_.size() < machine_.action_bound() + 4) drop_performed();
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
        if (performing_) return;
        interleave(without_a_lock);
        performing_ = true;
        while (next_ < pending_.size()) {
            Action action = std::move(pending_[next_]);
            if (++next_ == pending_.size()) {
                pending_.clear();
                next_ = 0;
            }
            lock.unlock();
            interleave("before an action is performed");
            perform(action);
            lock.lock();
        }
        performing_ = false;
    }

private:
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
