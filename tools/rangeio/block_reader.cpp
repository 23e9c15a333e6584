#include "block_reader.hpp"

#include "common/event_loop.hpp"
#include "common/process.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

namespace rangeio::tool {
namespace {

// What is announced beyond the position: more than the requests that a reader has under way for announced ranges.
constexpr std::uint64_t announced_ahead = std::uint64_t{64} << 20;

/// The blocks of ranges, one after the other.
class block_source {
public:
    block_source(object_reader& reader, std::vector<byte_range> ranges)
        : reader_(reader), ranges_(std::move(ranges)) {
        // A scan to the end cannot fetch too much. Otherwise the reader gets the ranges and must not guess.
        if (ranges_.size() == 1 && ranges_.front().end() == reader_.size()) {
            reader_.advise(access_pattern::sequential);
            announcing_ = ranges_.size();
        } else {
            reader_.advise(access_pattern::random);
        }
    }

    /// Reads the next block, for take().
    asio::awaitable<void> next() {
        while (reading_ < ranges_.size() && read_ == ranges_[reading_].length()) {
            ++reading_;
            read_ = 0;
        }
        if (reading_ == ranges_.size()) co_return;
        announce();
        const byte_range& range = ranges_[reading_];
        reader_.seek(static_cast<std::int64_t>(range.offset() + read_));
        const std::uint64_t most = std::min<std::uint64_t>(range.length() - read_, max_block_bytes);
        block_ = co_await reader_.async_read_block(most);
        read_ += block_.size();
        ahead_ -= std::min<std::uint64_t>(ahead_, block_.size());
    }
    /// The block that was read; empty after the last one.
    byte_slice take() noexcept { return std::exchange(block_, {}); }

private:
    void announce() {
        while (announcing_ < ranges_.size() && ahead_ < announced_ahead) {
            const byte_range& range = ranges_[announcing_];
            const std::uint64_t length = std::min(range.length() - announced_, announced_ahead - ahead_);
            if (length != 0) reader_.will_need(byte_range(range.offset() + announced_, length));
            announced_ += length;
            ahead_ += length;
            if (announced_ < range.length()) continue;
            ++announcing_;
            announced_ = 0;
        }
    }

    object_reader& reader_;
    const std::vector<byte_range> ranges_;
    byte_slice block_;
    std::size_t reading_ = 0;
    std::uint64_t read_ = 0;  // of ranges_[reading_]
    std::size_t announcing_ = 0;
    std::uint64_t announced_ = 0;  // of ranges_[announcing_]
    std::uint64_t ahead_ = 0;      // announced and not read
};

asio::awaitable<void> move_blocks(
    block_source& source, task_group& tasks, blocking_thread& writer, const block_sink& sink
) {
    byte_slice block;
    do {
        tasks.spawn(source.next());
        const auto write = [&sink, &block] { sink(block.span()); };
        if (!block.empty()) co_await writer.run(write);
        while (tasks.running() != 0) co_await tasks.changed();
        if (tasks.failure()) std::rethrow_exception(tasks.failure());
        block = source.take();
    } while (!block.empty());
}

}  // namespace

object_info opened_object(const mrd_pool& pool) {
    const std::optional<object_info> info = pool.info();
    if (!info) throw failed(pool.object().to_string() + ": was not opened");
    return *info;
}

asio::awaitable<void> read_in_order(
    object_reader& reader, std::vector<byte_range> ranges, blocking_thread& writer, block_sink sink
) {
    task_group tasks(co_await asio::this_coro::executor);
    block_source source(reader, std::move(ranges));
    std::exception_ptr thrown;
    try {
        co_await move_blocks(source, tasks, writer, sink);
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
