#pragma once

#include "runtime/interleave.hpp"

#include <mutex>

namespace rangeio::runtime {

#if RANGEIO_PREEMPTION_POINTS

/// std::mutex, for the shells. Whatever several threads share there is touched under one, so what they can do to each other
/// is decided by the order in which they take their locks: a simulation may let others go on before each.
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
