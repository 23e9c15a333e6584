#include "block_reader.hpp"

#include "common/event_loop.hpp"
#include "common/process.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::uint64_t min_blocks = 4;
constexpr std::uint64_t max_blocks = 32;

/// Cuts ranges into blocks, one after the other.
class block_cutter {
public:
    block_cutter(std::vector<byte_range> ranges, std::uint64_t block_bytes)
        : ranges_(std::move(ranges)), block_bytes_(block_bytes) {}

    std::optional<byte_range> next() {
        while (at_ < ranges_.size() && done_ == ranges_[at_].length()) {
            ++at_;
            done_ = 0;
        }
        if (at_ == ranges_.size()) return std::nullopt;
        const byte_range& range = ranges_[at_];
        const byte_range block(range.offset() + done_, std::min(block_bytes_, range.length() - done_));
        done_ += block.length();
        return block;
    }

private:
    std::vector<byte_range> ranges_;
    std::uint64_t block_bytes_;
    std::size_t at_ = 0;
    std::uint64_t done_ = 0;  // of ranges_[at_]
};

struct slot {
    std::unique_ptr<std::byte[]> memory;
    std::size_t capacity = 0;
    std::size_t size = 0;
    bool filled = false;
};

/// Slots are filled in a circle, and emptied in the same order.
class ring {
public:
    ring(
        const mrd_pool& pool, block_cutter blocks, read_ahead ahead, fetch_options options, task_group& tasks
    )
        : pool_(pool), blocks_(std::move(blocks)), slots_(ahead.blocks), options_(options), tasks_(tasks) {}

    /// Starts a read into each free slot.
    void start_reads() {
        while (started_ - emptied_ < slots_.size()) {
            const auto block = blocks_.next();
            if (!block) return;
            slot& into = slots_[started_++ % slots_.size()];
            into.filled = false;
            into.size = block->length();
            if (into.capacity < into.size) {
                into.memory = std::make_unique_for_overwrite<std::byte[]>(into.size);
                into.capacity = into.size;
            }
            tasks_.spawn(fill(*block, into));
        }
    }
    bool empty() const noexcept { return started_ == emptied_; }
    bool front_filled() const noexcept { return slots_[emptied_ % slots_.size()].filled; }
    std::span<const std::byte> front() const noexcept {
        const slot& first = slots_[emptied_ % slots_.size()];
        return {first.memory.get(), first.size};
    }
    void pop() noexcept { ++emptied_; }

private:
    asio::awaitable<void> fill(byte_range block, slot& into) {
        const std::span<std::byte> memory(into.memory.get(), into.size);
        co_await pool_.async_fetch(block, memory, options_);
        into.filled = true;
    }

    const mrd_pool& pool_;
    block_cutter blocks_;
    std::vector<slot> slots_;
    fetch_options options_;
    task_group& tasks_;
    std::uint64_t started_ = 0;
    std::uint64_t emptied_ = 0;
};

asio::awaitable<void> move_blocks(
    ring& blocks, task_group& tasks, blocking_thread& writer, const block_sink& sink
) {
    for (blocks.start_reads(); !blocks.empty(); blocks.start_reads()) {
        while (!blocks.front_filled()) {
            if (tasks.failure()) std::rethrow_exception(tasks.failure());
            co_await tasks.changed();
        }
        const auto write = [&sink, &blocks] { sink(blocks.front()); };
        co_await writer.run(write);
        blocks.pop();
    }
}

}  // namespace

object_info opened_object(const mrd_pool& pool) {
    const std::optional<object_info> info = pool.info();
    if (!info) throw failed(pool.object().to_string() + ": was not opened");
    return *info;
}

read_ahead::read_ahead(std::uint64_t pool_size, std::uint64_t concurrency)
    : blocks(std::clamp(pool_size / concurrency + 2, min_blocks, max_blocks)) {}

asio::awaitable<void> read_in_order(
    const mrd_pool& pool,
    std::vector<byte_range> ranges,
    read_ahead ahead,
    fetch_options options,
    blocking_thread& writer,
    block_sink sink
) {
    task_group tasks(co_await asio::this_coro::executor);
    block_cutter cutter(std::move(ranges), ahead.block_bytes);
    ring blocks(pool, std::move(cutter), ahead, options, tasks);
    std::exception_ptr thrown;
    try {
        co_await move_blocks(blocks, tasks, writer, sink);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown) tasks.cancel();
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await tasks.drain();
    co_await asio::this_coro::throw_if_cancelled(true);
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace rangeio::tool
