#include "common/deadlock_detection.hpp"

#include <absl/synchronization/mutex.h>

namespace rangeio::tool {

void ignore_mutex_deadlocks() noexcept {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace rangeio::tool
