#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace rangeio::emulator {

/// Counts what is going on, so that one can wait for its end.
class gate {
public:
    void enter() {
        const std::lock_guard lock(mutex_);
        ++inside_;
    }
    void leave() {
        // Notified under the lock: the waiter may destroy the gate as soon as it can take it.
        const std::lock_guard lock(mutex_);
        if (--inside_ == 0) {
            empty_.notify_all();
        }
    }
    void wait_empty() {
        std::unique_lock lock(mutex_);
        empty_.wait(lock, [this] { return inside_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::size_t inside_ = 0;
};

}  // namespace rangeio::emulator
