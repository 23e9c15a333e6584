#pragma once

#include <rangeio/mrd_pool_cache.hpp>

#include "engine/close_deadline.hpp"
#include "engine/pool_core.hpp"
#include "fsm/pool_cache_fsm.hpp"
#include "runtime/context_service.hpp"
#include "runtime/machine_host.hpp"
#include "runtime/mutex.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace rangeio::engine {

class cached_mrd;

/// A waiter for the end of a cache. Called once, on any thread, without a lock held; must neither block nor throw.
class cache_waiter {
public:
    virtual void answered(const error_value& why) noexcept = 0;

    /// For the cache: keeps the object alive while it waits.
    std::shared_ptr<cache_waiter> under_way;
    /// The time after which leased streams are ended; zero: no limit.
    std::chrono::nanoseconds deadline_after{0};

protected:
    ~cache_waiter() = default;
};

/// The shell around `pool_cache_fsm`: shared by the cache's handle, the factories of its pools, and its streams until
/// they have ended.
///
/// Every transfer of a stream between two pools is an event of one machine, whose actions are performed in order by one
/// thread at a time. So the reports of a stream always reach its current user, on whatever threads pools are opened and
/// closed and streams report their ends.
class pool_cache_core final : public runtime::tracked_operation {
public:
    /// Throws: errc::invalid_argument for an option out of its range.
    static std::shared_ptr<pool_cache_core> make(
        asio::any_io_executor executor, mrd_factory_maker make_factory, const pool_cache_options& options
    );
    pool_cache_core(
        asio::any_io_executor executor, mrd_factory_maker make_factory, const pool_cache_options& options
    );
    ~pool_cache_core() override;

    /// The object with the known live generation, if there is one.
    object_ref with_known_generation(object_ref object) const;
    /// The generation that `object` names does not exist any more.
    void forget_generation(const object_ref& object) noexcept;
    /// Makes a pool whose streams are from this cache.
    ///
    /// Throws: errc::pool_closed, and the exceptions of the maker of factories.
    mrd_pool make_pool(const object_ref& object, const pool_options& options);
    /// Closes the pools, too, as mrd_pool::close(). May throw std::bad_alloc, without effect then.
    void close(std::shared_ptr<cache_waiter> who);
    /// Answers the waiter with `why`, unless it has its answer already.
    void cancel(cache_waiter& who, const error_value& why) noexcept;
    /// Closes, and ends leased streams at once.
    void close_now() noexcept;
    pool_cache_stats stats() const;
    const asio::any_io_executor& executor() const noexcept { return executor_; }

    // For the factory and the streams of a pool.
    fsm::pool_id enter(const object_ref& object);
    void leave(fsm::pool_id pool) noexcept;
    void open(cached_mrd& user, fsm::pool_id pool);
    void give_up(cached_mrd& user, bool reusable, const error_value& why) noexcept;

private:
    class link;
    struct slot {
        fsm::cached_id id;
        std::shared_ptr<multi_range_downloader> stream;
        std::shared_ptr<link> listener;
    };

    void on_shutdown() noexcept override;
    void admit(const std::shared_ptr<pool_core>& pool);
    void stop_admitting() noexcept;
    template <class Event>
    void act(Event&& event) noexcept;
    void drain() noexcept;
    void perform(fsm::cache_action& action) noexcept;
    void open_stream(cached_mrd& user, fsm::cached_id id) noexcept;
    slot* slot_of(fsm::cached_id id) noexcept;
    void forget(fsm::cached_id id) noexcept;
    void tick() noexcept;
    void watch_expiry() noexcept;
    std::shared_ptr<pool_cache_core> self() {
        return std::static_pointer_cast<pool_cache_core>(shared_from_this());
    }

    const asio::any_io_executor executor_;
    const std::shared_ptr<runtime::context_core> core_;
    const mrd_factory_maker make_factory_;
    const std::shared_ptr<close_deadline> deadline_;
    runtime::machine_host<fsm::pool_cache_fsm, fsm::cache_action> machine_;

    std::vector<slot> slots_;  // used in perform() only

    runtime::mutex pools_mutex_;
    bool admitting_ = true;
    std::vector<std::weak_ptr<pool_core>> pools_;  // constant once admitting_ is false

    runtime::mutex timer_mutex_;  // taken before the machine's
    bool timer_over_ = false;
    std::shared_ptr<runtime::timer> timer_;
    fsm::pool_cache_fsm::time_point timer_due_;
};

/// The failure of every operation on a handle without a cache.
error_value no_cache() noexcept;
/// The executor of the cache, for handlers without one; for a handle without a cache Asio's system executor.
asio::any_io_executor executor_of(const std::shared_ptr<pool_cache_core>& cache);

}  // namespace rangeio::engine
