#pragma once

#include <rangeio/preemption.hpp>

// Preemption points exist in a build with the option `preemption_points`; in other builds they compile to nothing.

namespace rangeio::runtime {

/// The argument inside a critical section: there the call is a preemption point only if the lock is missing.
inline constexpr char without_a_lock[] = "where a lock has been left out";

#if RANGEIO_PREEMPTION_POINTS

/// The number of locks of the shells that this thread holds, while there is a hook.
inline thread_local unsigned locks_held = 0;

/// A preemption point, unless this thread holds a lock.
inline void interleave(const char* where, preemption_point kind = preemption_point::step) noexcept {
    auto* const hook = preemption_hook.load(std::memory_order_relaxed);
    if (hook != nullptr && locks_held == 0) hook(where, kind);
}

#else

inline void interleave(const char* /*where*/, preemption_point /*kind*/ = preemption_point::step) noexcept {}

#endif

}  // namespace rangeio::runtime
