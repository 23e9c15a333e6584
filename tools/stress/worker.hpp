#pragma once

#include "stress/memory.hpp"
#include "stress/pools.hpp"
#include "stress/tally.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <random>
#include <vector>

namespace rangeio::tool {

/// A coroutine that performs one random operation after another on the shared pools and caches, and checks the results.
///
/// Lifetimes: outlives its run.
class stress_worker {
public:
    /// `context`: the number of the context of `executor`.
    stress_worker(
        stress_pools& pools, asio::any_io_executor executor, std::size_t context, std::uint64_t seed
    );

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    stress_tally& tally() noexcept { return tally_; }

    /// Runs until `stop`, and until the operation that is under way then has ended.
    asio::awaitable<void> run(const std::atomic<bool>& stop);

private:
    asio::awaitable<void> one();
    void start(asio::awaitable<void> operation);
    asio::awaitable<void> wait(std::chrono::nanoseconds time);
    void judge_ended(stress_operation what);

    asio::awaitable<void> perform(stress_operation what);
    asio::awaitable<void> fetch_into_span(bool as_value);
    asio::awaitable<void> fetch_into_block();
    asio::awaitable<void> fetch_into_view();
    asio::awaitable<void> fetch_chunks();
    asio::awaitable<void> fetch_scattered();
    asio::awaitable<void> read_leased();
    asio::awaitable<void> read_once();
    asio::awaitable<void> read_cached();
    asio::awaitable<void> read_file();
    asio::awaitable<void> initialize();
    asio::awaitable<void> close();
    void destroy();
    asio::awaitable<void> close_cache();

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    bool one_in(std::uint64_t many) { return below(many) == 0; }
    stress_operation draw();
    std::uint64_t draw_length(std::uint64_t most);
    byte_range draw_range(std::size_t object, std::uint64_t most);
    fetch_options draw_options();
    std::shared_ptr<pool_box> draw_pool();
    /// The generation that a pool is pinned to; empty if the pool does not exist any more.
    static std::optional<std::int64_t> generation_of(const std::weak_ptr<pool_box>& box);
    void check(
        std::size_t object,
        std::optional<std::int64_t> generation,
        std::uint64_t offset,
        std::span<const std::byte> bytes,
        std::uint64_t asked
    );

    stress_pools& pools_;
    const stress_target& target_;
    const testing::possible_faults faults_;
    const asio::any_io_executor executor_;
    const std::size_t context_;
    std::mt19937_64 random_;
    stress_tally tally_;
    stress_memory memory_;
    std::vector<std::int64_t> generations_;  // of the objects, as last read

    // The state of the operation under way.
    stress_operation what_ = stress_operation::fetch;
    asio::steady_timer timer_;
    asio::cancellation_signal cancel_;
    circumstances around_;
    stress_fate fate_;
    std::size_t slot_ = 0;
    bool over_ = false;
    std::exception_ptr thrown_;
};

}  // namespace rangeio::tool
