#pragma once

#include <rangeio/detail/visibility.hpp>

#include <atomic>

namespace rangeio {

/// What stands at a preemption point: a moment in the library at which another thread may run, reported to a simulation
/// so that it can let one run.
enum class preemption_point : unsigned char {
    step,  ///< Between two steps that other threads may see apart.
    lock,  ///< Before a lock is taken.
};

/// `where` describes the point, and lives as long as the program. The thread holds no lock of the library.
using preemption_handler = void (*)(const char* where, preemption_point kind) noexcept;

/// Called at each preemption point of the process; null: none. Set by a simulation before it starts.
///
/// Only a library built with the Meson option `preemption_points` calls it; the default is not to in a build of the
/// type release or minsize, which has no trace of these points.
RANGEIO_API inline std::atomic<preemption_handler> preemption_hook{nullptr};

/// Whether a library with preemption points is part of the process.
RANGEIO_API inline std::atomic<bool> has_preemption_points{false};

}  // namespace rangeio
