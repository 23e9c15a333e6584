#include "stress/pools.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::size_t pool_slots = 5;
constexpr std::size_t cache_slots = 2;

pool_options options_of_pool(std::size_t slot) {
    const auto sharing = slot % 2 == 0 ? sharing_policy::round_robin : sharing_policy::least_outstanding;
    return pool_options().size(1 + slot % 4).sharing(sharing);
}

}  // namespace

stress_pools::stress_pools(const stress_target& target, std::size_t contexts, stress_violations& violations)
    : target_(target),
      contexts_(contexts),
      patience_(target.faults().explain(errc::timed_out) ? 5 : 60),
      violations_(violations),
      pools_(pool_slots),
      caches_(cache_slots) {
    for (std::size_t slot = 0; slot < pool_slots; ++slot) reopen_pool(slot, nullptr);
    for (std::size_t slot = 0; slot < cache_slots; ++slot) reopen_cache(slot, nullptr);
}

void stress_pools::reopen_pool(std::size_t slot, const std::shared_ptr<pool_box>& old) {
    const std::size_t object = slot % target_.objects().size();
    const pool_options options = options_of_pool(slot).open_timeout(patience_);
    const bool shared = slot + 1 != pool_slots;
    mrd_pool fresh = target_.pool(slot % contexts_, object, options, shared);
    pools_[slot].replace(old, std::make_shared<pool_box>(std::move(fresh), object, options.size()));
}

void stress_pools::reopen_cache(std::size_t slot, const std::shared_ptr<cache_box>& old) {
    // The first cache keeps as many streams as it can; the second has small limits, so that it evicts streams often.
    pool_cache_options options;
    if (slot != 0) {
        options.max_idle_pools(1).max_idle_streams_per_key(1).idle_timeout(std::chrono::milliseconds(20));
    }
    mrd_pool_cache fresh = target_.cache((slot + 1) % contexts_, options);
    caches_[slot].replace(old, std::make_shared<cache_box>(std::move(fresh), 0, 0));
}

void stress_pools::check(const pool_stats& now, std::size_t streams) const {
    if (now.opened != now.opening + now.ready + now.reconnecting + now.closed + now.failed) {
        violations_.add(fmt::format(
            "a pool's counters do not balance: {} opened, {} opening, {} ready, {} reconnecting, {} closed, "
            "{} failed",
            now.opened,
            now.opening,
            now.ready,
            now.reconnecting,
            now.closed,
            now.failed
        ));
    }
    const std::uint64_t up = now.opening + now.ready + now.reconnecting + now.closing;
    if (up > streams) {
        violations_.add(fmt::format("a pool has {} streams (limit {})", up, streams));
    }
}

void stress_pools::check(const pool_cache_stats& now) const {
    const auto went = now.hits + now.expired + now.evicted + now.died + now.closed + now.idle_streams;
    if (now.donated != went) {
        violations_.add(
            fmt::format("a cache's counters do not balance: {} donated, {} gone or kept", now.donated, went)
        );
    }
}

void stress_pools::check_closed(const pool_stats& now) const {
    const std::uint64_t left = now.opening + now.ready + now.reconnecting + now.closing + now.waiters;
    if (left != 0) {
        violations_.add(fmt::format(
            "a closed pool has {} streams opening, {} ready, {} reconnecting, {} closing, and {} waiters",
            now.opening,
            now.ready,
            now.reconnecting,
            now.closing,
            now.waiters
        ));
    }
}

asio::awaitable<void> stress_pools::close_all() {
    for (auto& slot : pools_) {
        const auto box = slot.get();
        box->fate->store(true);
        try {
            co_await box->shared.async_close();
        } catch (const error&) {
            // The error of a stream that did not end in order, which a fault explains; the check is that all have
            // ended.
        }
        const pool_stats now = box->shared.stats();
        check(now, box->streams);
        check_closed(now);
        if (now.leases != 0) {
            violations_.add(fmt::format("an unused pool has {} leases out", now.leases));
        }
        slot.replace(box, nullptr);
    }
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const auto while_true = [&timer](auto condition) -> asio::awaitable<void> {
        while (condition()) {
            timer.expires_after(std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
        }
    };
    // The last unit of a reader may still be ending, on a delivering thread. If memory remains reserved, the watcher
    // reports that the run makes no progress.
    co_await while_true([this] { return memory_.stats().reserved_bytes != 0; });
    for (auto& slot : caches_) {
        const auto box = slot.get();
        box->fate->store(true);
        try {
            co_await box->shared.async_close();
        } catch (const error&) {
            // As above.
        }
        // The last stream of a pool may still be ending, on a delivering thread. If it never does, the watcher reports
        // that the run makes no progress.
        co_await while_true([&box] { return box->shared.stats().keys_in_use != 0; });
        const pool_cache_stats now = box->shared.stats();
        check(now);
        if (now.idle_streams + now.idle_keys != 0) {
            violations_.add(
                fmt::format("a closed cache has {} streams on {} objects", now.idle_streams, now.idle_keys)
            );
        }
        slot.replace(box, nullptr);
    }
}

}  // namespace rangeio::tool
