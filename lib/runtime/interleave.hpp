#pragma once

#include <atomic>

// Preemption points: moments at which other threads may do what they like, and a simulation lets them try. They exist in a
// build with the option `preemption_points`; in any other they compile to nothing.

namespace rangeio::runtime {

inline constexpr bool has_preemption_points = RANGEIO_PREEMPTION_POINTS;

/// What `interleave` reports before a lock is taken.
inline constexpr char before_a_lock[] = "before a lock is taken";

/// And inside of what a lock protects: there it is a point only if the lock has been left out.
inline constexpr char without_a_lock[] = "where a lock has been left out";

#if RANGEIO_PREEMPTION_POINTS

/// Set by the simulation; else null.
inline std::atomic<void (*)(const char* where) noexcept> interleave_hook{nullptr};

/// How many locks of the shells this thread holds, while there is a hook.
inline thread_local unsigned locks_held = 0;

/// A preemption point.
inline void interleave(const char* where) noexcept {
    if (auto* const hook = interleave_hook.load(std::memory_order_relaxed)) hook(where);
}

#else

inline void interleave(const char* /*where*/) noexcept {}

#endif

}  // namespace rangeio::runtime
