#include "emulator/calls/timers.hpp"

#include "emulator/calls/call_reactor.hpp"

#include <utility>

namespace rangeio::emulator {

timers::timers() : thread_([this] { work(); }) {}

timers::~timers() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    earlier_.notify_one();
    thread_.join();
}

void timers::work() noexcept {
    std::unique_lock lock(mutex_);
    while (!ending_) {
        if (queue_.empty()) {
            earlier_.wait(lock);
            continue;
        }
        const time_point next = queue_.begin()->first;
        if (std::chrono::steady_clock::now() < next) {
            earlier_.wait_until(lock, next);
            continue;
        }
        call_timer& timer = *queue_.begin()->second;
        timer.leave_queue();
        // The timer may be destroyed as soon as the lock is released; the call is destroyed without it.
        std::shared_ptr<call_reactor> call = timer.call_.lock();
        lock.unlock();
        if (call) call->due();
        call.reset();
        lock.lock();
    }
}

call_timer::call_timer(timers& all) : all_(all) {
    timers::queue made;
    made.emplace(time_point(), this);
    spare_ = made.extract(made.begin());
}

void call_timer::set(const std::weak_ptr<call_reactor>& call, time_point at) noexcept {
    const std::lock_guard lock(all_.mutex_);
    if (spare_.empty() && place_->first == at) return;
    leave_queue();
    call_ = call;
    spare_.key() = at;
    place_ = all_.queue_.insert(std::move(spare_));
    if (place_ == all_.queue_.begin()) all_.earlier_.notify_one();
}

void call_timer::cancel() noexcept {
    const std::lock_guard lock(all_.mutex_);
    leave_queue();
}

void call_timer::leave_queue() noexcept {
    if (spare_.empty()) spare_ = all_.queue_.extract(place_);
}

}  // namespace rangeio::emulator
