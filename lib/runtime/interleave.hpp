#pragma once

#include <rangeio/preemption.hpp>

// Preemption points exist in a build with the option `preemption_points`; in any other they compile to nothing.

namespace rangeio::runtime {

/// Reported inside of what a lock protects: a point only if the lock has been left out.
inline constexpr char without_a_lock[] = "where a lock has been left out";

#if RANGEIO_PREEMPTION_POINTS

/// How many locks of the shells this thread holds, while there is a hook.
inline thread_local unsigned locks_held = 0;

/// A preemption point. Under a lock it is none.
inline void interleave(const char* where, preemption_point kind = preemption_point::step) noexcept {
    auto* const hook = preemption_hook.load(std::memory_order_relaxed);
    if (hook != nullptr && locks_held == 0) hook(where, kind);
}

#else

inline void interleave(const char* /*where*/, preemption_point /*kind*/ = preemption_point::step) noexcept {}

#endif

}  // namespace rangeio::runtime
