#pragma once

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

/// Whether somebody has begun to end a pool or a cache. Outlives it, for those who were using it.
using stress_fate = std::shared_ptr<std::atomic<bool>>;

/// A pool or a cache that workers share. Who uses it does not keep it longer than a call of a member takes.
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

/// Where workers find one, until another takes its place.
template <class Box>
class stress_slot {
public:
    std::shared_ptr<Box> get() const {
        const std::lock_guard lock(mutex_);
        return box_;
    }
    /// Only if it is still `old`: else somebody else was faster.
    void replace(const std::shared_ptr<Box>& old, std::shared_ptr<Box> next) {
        const std::lock_guard lock(mutex_);
        if (box_ == old) box_.swap(next);
        // What it was goes when the lock has been released, with `next`.
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
    /// How long an open may take: no longer than it must where one may never be answered, else as long as a slow
    /// machine needs.
    std::chrono::seconds patience() const noexcept { return patience_; }
    /// Put another one in the place of `old`.
    void reopen_pool(std::size_t slot, const std::shared_ptr<pool_box>& old);
    void reopen_cache(std::size_t slot, const std::shared_ptr<cache_box>& old);

    /// The counters of a pool balance, and it has no more streams than it may.
    void check(const pool_stats& now, std::size_t streams) const;
    /// The same for a cache.
    void check(const pool_cache_stats& now) const;
    /// Nothing of a closed pool is left.
    void check_closed(const pool_stats& now) const;

    /// Closes all that is there. For the end, when nobody uses them any more.
    asio::awaitable<void> close_all();

private:
    const stress_target& target_;
    const std::size_t contexts_;
    const std::chrono::seconds patience_;
    stress_violations& violations_;
    std::vector<stress_slot<pool_box>> pools_;
    std::vector<stress_slot<cache_box>> caches_;
};

}  // namespace rangeio::tool
