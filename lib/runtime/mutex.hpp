#pragma once

#include "runtime/interleave.hpp"

#include <mutex>

namespace rangeio::runtime {

/// What `interleave` is told before a lock is taken.
inline constexpr char before_a_lock[] = "before a lock is taken";

/// And inside of what a lock protects: there it is a point only if the lock has been left out.
inline constexpr char without_a_lock[] = "where a lock has been left out";

/// How many of the mutexes below this thread holds. Counted for tests alone.
inline thread_local unsigned locks_held = 0;

/// std::mutex, for the shells. Whatever several threads share there is touched under one, so what they can do to each other
/// is decided by the order in which they take their locks: tests may let others go on before each.
class mutex {
public:
    void lock() {
        const bool watched = interleave_hook.load(std::memory_order_relaxed) != nullptr;
        if (watched && locks_held == 0) interleave(before_a_lock);
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

}  // namespace rangeio::runtime
