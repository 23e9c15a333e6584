#include "emulator/calls/open_calls.hpp"

#include "emulator/calls/call_reactor.hpp"

#include <vector>

namespace rangeio::emulator {

void open_calls::enter(const call_reactor& call) {
    const std::lock_guard lock(mutex_);
    inside_[&call];
}

bool open_calls::add(const std::shared_ptr<call_reactor>& call) {
    const std::lock_guard lock(mutex_);
    inside_[call.get()] = call;
    return shut_down_;
}

void open_calls::leave(const call_reactor& call) {
    // Notified under the lock: the waiter may destroy this object as soon as it can acquire the lock.
    const std::lock_guard lock(mutex_);
    inside_.erase(&call);
    if (inside_.empty()) {
        empty_.notify_all();
    }
}

void open_calls::wait_empty() {
    std::unique_lock lock(mutex_);
    empty_.wait(lock, [this] { return inside_.empty(); });
}

void open_calls::shut_down() {
    std::vector<std::shared_ptr<call_reactor>> calls;
    {
        const std::lock_guard lock(mutex_);
        shut_down_ = true;
        for (const auto& [key, call] : inside_) {
            if (auto alive = call.lock()) calls.push_back(std::move(alive));
        }
    }
    for (const auto& call : calls) call->shut_down();
}

}  // namespace rangeio::emulator
