#pragma once

#include <rangeio/memory_budget.hpp>
#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>

#include "stress/tally.hpp"
#include "stress/target.hpp"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace rangeio::tool {

/// Whether a worker has begun to end a pool or a cache. Outlives it, for the workers that were using it.
using stress_fate = std::shared_ptr<std::atomic<bool>>;

/// A pool or a cache that workers share. A worker keeps it no longer than a call of a member takes.
template <class Shared>
class stress_box {
public:
    stress_box(Shared thing, std::size_t of, std::size_t at_most)
        : shared(std::move(thing)), object(of), streams(at_most) {}

    Shared shared;
    const std::size_t object;
    const std::size_t streams;
    const stress_fate fate = std::make_shared<std::atomic<bool>>(false);
};
using pool_box = stress_box<mrd_pool>;
using cache_box = stress_box<mrd_pool_cache>;

/// The place of a shared pool or cache, which may be replaced by another one.
template <class Box>
class stress_slot {
public:
    std::shared_ptr<Box> get() const {
        const std::lock_guard lock(mutex_);
        return box_;
    }
    /// Replaces `old`, unless another worker has replaced it already.
    void replace(const std::shared_ptr<Box>& old, std::shared_ptr<Box> next) {
        const std::lock_guard lock(mutex_);
        if (box_ == old) box_.swap(next);
        // The old box is destroyed after the lock has been released, with `next`.
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<Box> box_;
};

/// The pools and caches of a run: several of different size and kind, each on one of the contexts.
class stress_pools {
public:
    stress_pools(const stress_target& target, std::size_t contexts, stress_violations& violations);

    const stress_target& target() const noexcept { return target_; }
    stress_violations& violations() const noexcept { return violations_; }
    std::size_t pools() const noexcept { return pools_.size(); }
    std::size_t caches() const noexcept { return caches_.size(); }

    std::shared_ptr<pool_box> pool(std::size_t slot) const { return pools_[slot].get(); }
    std::shared_ptr<cache_box> cache(std::size_t slot) const { return caches_[slot].get(); }
    /// Of the readers: so small that they take bytes from each other.
    const memory_budget& memory() const noexcept { return memory_; }
    /// The time limit of an open: as short as possible where an open may never be answered, otherwise as long as a slow
    /// machine needs.
    std::chrono::seconds patience() const noexcept { return patience_; }
    /// Replaces `old` by another one.
    void reopen_pool(std::size_t slot, const std::shared_ptr<pool_box>& old);
    void reopen_cache(std::size_t slot, const std::shared_ptr<cache_box>& old);

    /// Checks that the counters of a pool balance, and that it has no more streams than its size.
    void check(const pool_stats& now, std::size_t streams) const;
    /// The same for a cache.
    void check(const pool_cache_stats& now) const;
    /// Checks that a closed pool has no streams left.
    void check_closed(const pool_stats& now) const;

    /// Closes all pools and caches, at the end of the run, when no worker uses them any more.
    asio::awaitable<void> close_all();

private:
    const stress_target& target_;
    const std::size_t contexts_;
    const std::chrono::seconds patience_;
    stress_violations& violations_;
    const memory_budget memory_{2 * memory_budget::min_limit_bytes};
    std::vector<stress_slot<pool_box>> pools_;
    std::vector<stress_slot<cache_box>> caches_;
};

}  // namespace rangeio::tool
