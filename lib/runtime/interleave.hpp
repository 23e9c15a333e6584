#pragma once

#include <atomic>

namespace rangeio::runtime {

/// Set by a test that lets others go on where another thread could come in between; else null.
inline std::atomic<void (*)(const char* where) noexcept> interleave_hook{nullptr};

/// A moment at which no lock is held and other threads may do what they like. Says so to tests, which try that.
inline void interleave(const char* where) noexcept {
    if (auto* const hook = interleave_hook.load(std::memory_order_relaxed)) hook(where);
}

}  // namespace rangeio::runtime
