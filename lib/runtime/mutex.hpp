#pragma once

#include "runtime/interleave.hpp"

#include <mutex>

namespace rangeio::runtime {

#if RANGEIO_PREEMPTION_POINTS

/// std::mutex, for the shells. All state that several threads share there is guarded by one, so the order of lock
/// operations determines all interactions of the threads: a simulation may switch to another thread before each lock.
class mutex {
public:
    void lock() {
        const bool watched = preemption_hook.load(std::memory_order_relaxed) != nullptr;
        if (watched) interleave("before a lock is taken", preemption_point::lock);
        mutex_.lock();
        counted_ = watched;
        if (watched) ++locks_held;
    }
    void unlock() {
        if (counted_) --locks_held;
        mutex_.unlock();
    }

private:
    std::mutex mutex_;
    bool counted_ = false;
};

#else

using mutex = std::mutex;

#endif

}  // namespace rangeio::runtime
