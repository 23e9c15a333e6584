#pragma once

#include <rangeio/mrd_pool.hpp>
#include <rangeio/mrd_pool_cache.hpp>
#include <rangeio/sim/context.hpp>
#include <rangeio/testing/scripted_service.hpp>

#include "runtime/mutex.hpp"
#include "testing/programs/pool_program.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace rangeio::testing {

/// During the lifetime of this object no other actor runs: so that handles of pools are not destroyed while they are in
/// use, and values that are compared do not change.
class one_moment {
public:
    one_moment() : lock_(mutex_) {}

private:
    runtime::mutex mutex_;
    std::lock_guard<runtime::mutex> lock_;
};

/// The pools of the tasks of a program: one pool for all of them, or a cache and a pool for each. Checks the rules of
/// pools and caches, as far as they are visible from outside.
///
/// Lifetimes: outlives the context. After the context's end, nothing is opened any more.
class program_pools {
public:
    /// The most injected allocation failures in a row.
    static constexpr unsigned max_tries = 100;
    /// Whether the operation failed for an injected lack of memory: it may be tried again.
    static bool is_injected(const error_value& why);

    program_pools(const pool_program& program, sim::world& in, sim::context& io);

    /// The pool of a task.
    ///
    /// Throws: errc::pool_closed if the task has none.
    mrd_pool& of(std::size_t task) const;
    /// The service that the pool of a task reads from.
    const scripted_service& service_of(std::size_t task) const;

    asio::awaitable<void> open(std::size_t task, const pool_program::operation& op);
    asio::awaitable<void> close(std::size_t task, std::chrono::nanoseconds deadline);
    void drop(std::size_t task);
    asio::awaitable<void> close_cache(std::chrono::nanoseconds deadline);
    void drop_cache();

    /// Closes the cache, or the pool if there is no cache.
    ///
    /// Requires: no lease is held.
    asio::awaitable<void> close_all();
    /// The number of handles that can be dropped, one by one: the pools, then the cache.
    std::size_t handles() const noexcept { return slots_.size() + (program_.cache ? 1 : 0); }
    void drop_handle(std::size_t index);

    /// The leases that are held, of pools whose handles exist.
    std::size_t leases() const;
    /// To be called at any moment.
    void check_balance();
    /// To be called when nothing can happen any more, and no lease is held.
    void check_quiet();
    /// The same when no pool is left, either.
    void check_unused();
    /// The same when nothing is left.
    void check_over();

private:
    struct slot {
        std::unique_ptr<mrd_pool> pool;
        std::size_t object = 0;
    };

    std::shared_ptr<mrd_factory> factory(std::size_t object, std::int64_t generation) const;
    bool scripted() const noexcept { return program_.streams != pool_program::kind::transport; }
    std::uint64_t calls() const noexcept;
    std::uint64_t calls_open() const noexcept;
    slot& slot_of(std::size_t task) { return slots_[program_.cache ? task : 0]; }
    const slot& slot_of(std::size_t task) const { return slots_[program_.cache ? task : 0]; }
    void note_end();

    const pool_program& program_;
    sim::world& world_;
    sim::executor executor_;
    std::deque<scripted_service> services_;  // by object
    std::unique_ptr<mrd_pool_cache> cache_;
    std::optional<pool_cache_stats> at_end_;  // of the cache, when its end began
    std::vector<slot> slots_;
};

}  // namespace rangeio::testing
