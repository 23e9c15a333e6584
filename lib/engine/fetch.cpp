#include <rangeio/fetch.hpp>
#include <rangeio/split_range.hpp>

#include "bytes/planner.hpp"
#include "engine/fetch_block.hpp"
#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/read_operation.hpp"
#include "engine/time_budget.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace rangeio {
namespace {

using engine::allocate;
using engine::opened;
using engine::pool_core;
using engine::read_operation;
using engine::read_source;
using engine::time_budget;
using engine::transfer_part;
using pool_ptr = std::shared_ptr<pool_core>;
using std::chrono::nanoseconds;

std::vector<transfer_part> parts_into(
    const std::vector<byte_range>& ranges, std::uint64_t origin, std::byte* memory
) {
    std::vector<transfer_part> out(ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        out[i].range = ranges[i];
        out[i].memory = memory + (ranges[i].offset() - origin);
    }
    return out;
}

/// Into memory that is there.
class fetch_operation final : public read_operation {
public:
    fetch_operation(
        pool_ptr pool, byte_range range, std::span<std::byte> destination, const fetch_options& options
    )
        : read_operation(read_source::of(std::move(pool)), engine::naming(range)),
          range_(range),
          destination_(destination),
          options_(options) {}

    std::size_t total() const noexcept { return total_; }

private:
    failure check() override { return engine::check_destination(destination_, range_); }
    failure plan(std::vector<transfer_part>& parts) override {
        auto ranges = engine::plan_fetch(range_, *object(), options_);
        if (!ranges) return ranges.error();
        ranges_ = std::move(*ranges);
        parts = parts_into(ranges_, range_.offset(), destination_.data());
        return {};
    }
    failure judge() override {
        const auto got = [this](std::size_t i) { return received(i); };
        const auto total = engine::judge_fetch(range_, ranges_, got, *object(), options_.allow_short());
        if (!total) return total.error();
        total_ = *total;
        return {};
    }

    const byte_range range_;
    const std::span<std::byte> destination_;
    const fetch_options options_;
    std::vector<byte_range> ranges_;
    std::size_t total_ = 0;
};

asio::awaitable<result<std::size_t>> fetch_into(
    pool_ptr pool, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    if (pool == nullptr) co_return engine::no_pool();
    const auto op = std::make_shared<fetch_operation>(std::move(pool), range, destination, options);
    const failure why = co_await engine::run_read(op, options.timeout());
    if (why) co_return why;
    co_return op->total();
}

asio::awaitable<std::size_t> fetch_or_throw(
    pool_ptr pool, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    const auto out = co_await fetch_into(std::move(pool), range, destination, options);
    co_return out.value();
}

asio::awaitable<std::size_t> fetch_into_view(
    pool_ptr pool, byte_range range, direct_buffer::view destination, fetch_options options
) {
    engine::require_pool(pool);
    const auto room = destination.prepare();
    if (room.size() < range.length()) {
        throw error(failure(
            errc::buffer_misuse,
            fmt::format("a view with room for {} bytes cannot take {}", room.size(), range.length())
        ));
    }
    const auto out = co_await fetch_into(std::move(pool), range, room, options);
    destination.commit(out.value());
    co_return *out;
}

/// Adjacent chunks, each into memory of its own.
class chunks_operation final : public read_operation {
public:
    chunks_operation(
        pool_ptr pool, byte_range whole, std::vector<std::uint64_t> lengths, const fetch_options& options
    )
        : read_operation(read_source::of(std::move(pool)), engine::naming(whole)),
          whole_(whole),
          lengths_(std::move(lengths)),
          options_(fetch_options(options).allow_short(false)) {}

    std::vector<byte_block> take() noexcept { return std::move(chunks_); }

private:
    failure plan(std::vector<transfer_part>& parts) override {
        // Before anything is allocated: an absurd length is the range's error, not the memory's.
        if (const auto possible = engine::plan_fetch(whole_, *object(), options_); !possible)
            return possible.error();
        const auto shares = share_concurrency(lengths_, options_.concurrency());
        std::uint64_t offset = whole_.offset();
        for (std::size_t i = 0; i < lengths_.size(); offset += lengths_[i], ++i) {
            chunks_.push_back(allocate(lengths_[i]));
            if (lengths_[i] == 0) continue;
            const auto split = split_range({offset, lengths_[i]}, shares[i], options_.min_chunk_bytes());
            const std::vector<byte_range> own(split.begin(), split.end());
            for (auto& piece : parts_into(own, offset, chunks_.back().data()))
                parts.push_back(std::move(piece));
            ranges_.insert(ranges_.end(), own.begin(), own.end());
        }
        return {};
    }
    failure judge() override {
        const auto got = [this](std::size_t i) { return received(i); };
        const auto total = engine::judge_fetch(whole_, ranges_, got, *object(), false);
        return total ? failure() : total.error();
    }

    const byte_range whole_;
    const std::vector<std::uint64_t> lengths_;
    const fetch_options options_;
    std::vector<byte_block> chunks_;
    std::vector<byte_range> ranges_;
};

asio::awaitable<std::vector<byte_block>> fetch_chunks(
    pool_ptr pool, std::uint64_t start, std::vector<std::uint64_t> lengths, fetch_options options
) {
    engine::require_pool(pool);
    std::uint64_t total = 0;
    for (const std::uint64_t length : lengths) {
        if (length > byte_range::max_end - total) {
            throw error(
                pool->explain(failure(errc::invalid_argument), ": the chunks are longer than any object")
            );
        }
        total += length;
    }
    const byte_range whole(start, total);
    const time_budget time(co_await asio::this_coro::executor, options.timeout());
    co_await engine::informed(pool, whole, time.left());
    const auto op = std::make_shared<chunks_operation>(pool, whole, std::move(lengths), options);
    co_await engine::run_read_or_throw(op, time.left());
    co_return op->take();
}

/// Each range on its own.
std::vector<transfer_part> parts_of_each(const std::vector<range_request>& requests, std::uint64_t unit) {
    std::vector<transfer_part> parts;
    for (const range_request& request : requests) {
        bytes::split_to_unit(request.range, unit, [&](byte_range range) {
            parts.emplace_back().range = range;
            parts.back().memory = request.destination.data() + (range.offset() - request.range.offset());
        });
    }
    return parts;
}

/// The ranges joined. Very many of them are expected: there is no copy of them, and no work that those in order could be
/// spared.
std::vector<transfer_part> parts_of_joined(
    std::vector<range_request> requests, const bytes::planner_options& planning
) {
    const auto offset = [](const range_request& r) { return r.range.offset(); };
    if (!std::ranges::is_sorted(requests, {}, offset)) std::ranges::stable_sort(requests, {}, offset);
    bytes::read_planner planner(planning);
    for (const range_request& request : requests) planner.add(request.range);
    const auto into = std::make_shared<const engine::scatter>(std::move(requests));
    std::vector<transfer_part> parts;
    for (const byte_range& range : planner.take()) {
        parts.emplace_back().range = range;
        parts.back().into = into;
    }
    return parts;
}

/// Many ranges, each into memory of its own, perhaps joined.
class scatter_operation final : public read_operation {
public:
    scatter_operation(pool_ptr pool, std::vector<range_request> requests, const fetch_ranges_options& options)
        : read_operation(read_source::of(std::move(pool)), ""),
          requests_(std::move(requests)),
          joined_(options.max_gap_bytes()) {
        planning_.max_gap = options.max_gap_bytes().value_or(0);
        planning_.max_merged_bytes = options.max_merged_bytes();
        planning_.unit_bytes = options.unit_bytes();
    }

private:
    failure check() override {
        for (const range_request& request : requests_) {
            if (const failure why = engine::check_destination(request.destination, request.range))
                return in(request.range, why);
        }
        if (const failure why = check_least("unit_bytes", planning_.unit_bytes, 1)) return why;
        return joined_ ? check_least("max_merged_bytes", planning_.max_merged_bytes, 1) : failure();
    }
    failure plan(std::vector<transfer_part>& parts) override {
        for (const range_request& request : requests_) {
            if (const failure why = engine::refuse_range(request.range, *object(), false))
                return in(request.range, why);
        }
        parts = joined_ ? parts_of_joined(std::move(requests_), planning_)
                        : parts_of_each(requests_, planning_.unit_bytes);
        for (const transfer_part& p : parts) reads_.push_back(p.range);
        return {};
    }
    failure judge() override {
        for (std::size_t i = 0; i < reads_.size(); ++i) {
            const std::vector<byte_range> one{reads_[i]};
            const auto got = [this, i](std::size_t) { return received(i); };
            const auto total = engine::judge_fetch(one.front(), one, got, *object(), false);
            if (!total) return in(one.front(), total.error());
        }
        return {};
    }
    failure in(byte_range range, failure why) {
        blame(engine::naming(range));
        return why;
    }

    std::vector<range_request> requests_;
    const bool joined_;
    bytes::planner_options planning_;
    std::vector<byte_range> reads_;
};

asio::awaitable<void> fetch_scattered(
    pool_ptr pool, std::vector<range_request> requests, fetch_ranges_options options
) {
    engine::require_pool(pool);
    const auto op = std::make_shared<scatter_operation>(std::move(pool), std::move(requests), options);
    co_await engine::run_read_or_throw(op, options.timeout());
}

}  // namespace

namespace engine {

failure check_destination(std::span<const std::byte> destination, byte_range range) {
    if (destination.size() >= range.length()) return {};
    return {errc::invalid_argument, fmt::format("the destination has {} bytes", destination.size())};
}

asio::awaitable<result<std::shared_ptr<const object_info>>> opened(pool_ptr pool, nanoseconds timeout) {
    if (timeout < nanoseconds::zero()) co_return errc::timed_out;
    if (auto info = pool->info()) co_return info;
    const auto op = std::make_shared<pool_wait>(pool, &pool_core::initialize);
    co_await runtime::await_operation(op, timeout);
    if (op->why()) co_return op->why();
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    const failure late = runtime::late_cancellation(throws, co_await asio::this_coro::cancellation_state);
    if (late) co_return late;
    co_return pool->info();
}

asio::awaitable<std::shared_ptr<const object_info>> informed(
    pool_ptr pool, byte_range range, nanoseconds timeout
) {
    const time_budget time(co_await asio::this_coro::executor, timeout);
    const auto object = co_await opened(pool, time.left());
    if (!object) throw error(pool->explain(object.error(), naming(range)));
    if (range.end() > plausible_end(**object)) co_await refresh(pool, time.left());
    auto out = pool->info();
    if (range.end() > plausible_end(*out)) {
        const failure why(errc::range_not_satisfiable, fmt::format("the object ends at {}", out->size));
        throw error(pool->explain(why, naming(range)));
    }
    co_return out;
}

byte_block allocate(std::uint64_t size) {
    auto* const memory = size > byte_range::max_end ? nullptr : new (std::nothrow) std::byte[size];
    if (memory == nullptr) {
        const auto code = make_error_code(boost::system::errc::not_enough_memory);
        throw error(failure(code, fmt::format("there is no memory for {} bytes", size)));
    }
    return {std::unique_ptr<std::byte[]>(memory), static_cast<std::size_t>(size)};
}

byte_block shrink(byte_block block, std::size_t size) {
    if (size >= block.size()) return block;
    byte_block exact = allocate(size);
    std::ranges::copy(block.span().first(size), exact.data());
    return exact;
}

asio::awaitable<byte_block> fetch_block(pool_ptr pool, byte_range range, fetch_options options) {
    require_pool(pool);
    const time_budget time(co_await asio::this_coro::executor, options.timeout());
    byte_range wanted = range;
    if (options.allow_short()) {
        // As far as it can be: what is missing is no error.
        const auto known = co_await opened(pool, time.left());
        if (!known) throw error(pool->explain(known.error(), naming(range)));
        if (range.end() > plausible_end(**known)) {
            const std::uint64_t size = co_await refresh(pool, time.left());
            wanted = range.clamp_to(std::max(range.offset(), size));
        }
    }
    const auto object = co_await informed(pool, wanted, time.left());
    // Planned before it is allocated: an absurd length is the range's error, not the memory's.
    const auto ranges = engine::plan_fetch(wanted, *object, options);
    if (!ranges) throw error(pool->explain(ranges.error(), naming(range)));
    std::uint64_t length = 0;
    for (const byte_range& part : *ranges) length += part.length();
    byte_block memory = allocate(length);
    const byte_range planned(range.offset(), length);
    options.timeout(time.left());
    const auto got = co_await fetch_into(pool, planned, memory.span(), options);
    co_return shrink(std::move(memory), got.value());
}

}  // namespace engine

asio::awaitable<std::size_t> fetch(
    const mrd_pool& pool, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    return fetch_or_throw(engine::pool_access::core(pool), range, destination, options);
}

asio::awaitable<std::size_t> fetch(
    const mrd_pool& pool, byte_range range, direct_buffer::view destination, fetch_options options
) {
    return fetch_into_view(engine::pool_access::core(pool), range, std::move(destination), options);
}

asio::awaitable<byte_block> fetch(const mrd_pool& pool, byte_range range, fetch_options options) {
    return engine::fetch_block(engine::pool_access::core(pool), range, options);
}

asio::awaitable<result<std::size_t>> try_fetch(
    const mrd_pool& pool, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    return fetch_into(engine::pool_access::core(pool), range, destination, options);
}

asio::awaitable<std::vector<byte_block>> fetch_split(
    const mrd_pool& pool, std::uint64_t start, std::vector<std::uint64_t> chunk_lengths, fetch_options options
) {
    return fetch_chunks(engine::pool_access::core(pool), start, std::move(chunk_lengths), options);
}

asio::awaitable<void> fetch_ranges(
    const mrd_pool& pool, std::vector<range_request> ranges, fetch_ranges_options options
) {
    return fetch_scattered(engine::pool_access::core(pool), std::move(ranges), options);
}

}  // namespace rangeio
