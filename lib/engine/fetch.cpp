#include <rangeio/fetch.hpp>
#include <rangeio/split_range.hpp>

#include "bytes/planner.hpp"
#include "engine/fetch_block.hpp"
#include "engine/fetch_plan.hpp"
#include "engine/pool_core.hpp"
#include "engine/pool_wait.hpp"
#include "engine/time_budget.hpp"
#include "engine/transfer.hpp"
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
using engine::awaited_transfer;
using engine::opened;
using engine::pool_core;
using engine::time_budget;
using engine::transfer_part;
using pool_ptr = std::shared_ptr<pool_core>;
using std::chrono::nanoseconds;

std::string doing(byte_range range) {
    return " " + to_string(range);
}

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

asio::awaitable<result<std::size_t>> fetch_into(
    pool_ptr pool, byte_range range, std::span<std::byte> destination, fetch_options options
) {
    if (pool == nullptr) co_return engine::no_pool();
    if (destination.size() < range.length()) {
        co_return pool->explain(
            failure(errc::invalid_argument, fmt::format("the destination has {} bytes", destination.size())),
            doing(range)
        );
    }
    const time_budget time(co_await asio::this_coro::executor, options.timeout());
    const auto object = co_await opened(pool, time.left());
    if (!object) co_return pool->explain(object.error(), doing(range));
    const auto ranges = engine::plan_fetch(range, **object, options);
    if (!ranges) co_return pool->explain(ranges.error(), doing(range));
    if (ranges->empty()) co_return std::size_t{0};
    const auto op =
        std::make_shared<awaited_transfer>(pool, parts_into(*ranges, range.offset(), destination.data()));
    co_await runtime::await_operation(op, time.left());
    if (op->why()) co_return pool->explain(op->why(), doing(range));
    const auto received = [&op](std::size_t i) { return op->received(i); };
    const auto total = engine::judge_fetch(range, *ranges, received, **object, options.allow_short());
    if (!total) co_return pool->explain(total.error(), doing(range));
    co_return *total;
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
    const auto object = co_await engine::informed(pool, whole, time.left());
    fetch_options exact = options;
    exact.allow_short(false);
    const auto possible = engine::plan_fetch(whole, *object, exact);
    if (!possible) throw error(pool->explain(possible.error(), doing(whole)));

    const auto shares = share_concurrency(lengths, options.concurrency());
    std::vector<byte_block> chunks;
    std::vector<byte_range> ranges;
    std::vector<transfer_part> parts;
    std::uint64_t offset = start;
    for (std::size_t i = 0; i < lengths.size(); offset += lengths[i], ++i) {
        chunks.push_back(allocate(lengths[i]));
        if (lengths[i] == 0) continue;
        const auto split = split_range({offset, lengths[i]}, shares[i], options.min_chunk_bytes());
        const std::vector<byte_range> own(split.begin(), split.end());
        for (auto& part : parts_into(own, offset, chunks.back().data())) parts.push_back(std::move(part));
        ranges.insert(ranges.end(), own.begin(), own.end());
    }
    if (parts.empty()) co_return chunks;
    const auto op = std::make_shared<awaited_transfer>(pool, std::move(parts));
    co_await runtime::await_operation(op, time.left());
    if (op->why()) throw error(pool->explain(op->why(), doing(whole)));
    const auto received = [&op](std::size_t i) { return op->received(i); };
    const auto got = engine::judge_fetch(whole, ranges, received, *object, false);
    if (!got) throw error(pool->explain(got.error(), doing(whole)));
    co_return chunks;
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

asio::awaitable<void> fetch_scattered(
    pool_ptr pool, std::vector<range_request> requests, fetch_ranges_options options
) {
    engine::require_pool(pool);
    for (const range_request& request : requests) {
        if (request.destination.size() < request.range.length()) {
            throw error(pool->explain(
                failure(
                    errc::invalid_argument,
                    fmt::format("the destination has {} bytes", request.destination.size())
                ),
                doing(request.range)
            ));
        }
    }
    bytes::planner_options planning;
    planning.max_gap = options.max_gap_bytes().value_or(0);
    planning.max_merged_bytes = options.max_merged_bytes();
    planning.unit_bytes = options.unit_bytes();
    failure refused = check_least("unit_bytes", planning.unit_bytes, 1);
    if (!refused && options.max_gap_bytes())
        refused = check_least("max_merged_bytes", planning.max_merged_bytes, 1);
    if (refused) throw error(pool->explain(refused, ""));
    const time_budget time(co_await asio::this_coro::executor, options.timeout());
    const auto object = co_await opened(pool, time.left());
    if (!object) throw error(pool->explain(object.error(), ""));
    for (const range_request& request : requests) {
        if (const failure why = engine::refuse_range(request.range, **object, false)) {
            throw error(pool->explain(why, doing(request.range)));
        }
    }
    std::vector<transfer_part> parts;
    if (options.max_gap_bytes()) {
        parts = parts_of_joined(std::move(requests), planning);
    } else {
        parts = parts_of_each(requests, planning.unit_bytes);
    }
    if (parts.empty()) co_return;
    std::vector<byte_range> reads;
    for (const transfer_part& part : parts) reads.push_back(part.range);
    const auto op = std::make_shared<awaited_transfer>(pool, std::move(parts));
    co_await runtime::await_operation(op, time.left());
    if (op->why()) throw error(pool->explain(op->why(), ""));
    for (std::size_t i = 0; i < reads.size(); ++i) {
        const std::vector<byte_range> part{reads[i]};
        const auto received = [&op, i](std::size_t) { return op->received(i); };
        const auto got = engine::judge_fetch(part.front(), part, received, **object, false);
        if (!got) throw error(pool->explain(got.error(), doing(part.front())));
    }
}

}  // namespace

namespace engine {

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
    if (!object) throw error(pool->explain(object.error(), doing(range)));
    if (range.end() > plausible_end(**object)) co_await refresh(pool, time.left());
    auto out = pool->info();
    if (range.end() > plausible_end(*out)) {
        const failure why(errc::range_not_satisfiable, fmt::format("the object ends at {}", out->size));
        throw error(pool->explain(why, doing(range)));
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
        if (!known) throw error(pool->explain(known.error(), doing(range)));
        if (range.end() > plausible_end(**known)) {
            const std::uint64_t size = co_await refresh(pool, time.left());
            wanted = range.clamp_to(std::max(range.offset(), size));
        }
    }
    const auto object = co_await informed(pool, wanted, time.left());
    // Planned before it is allocated: an absurd length is the range's error, not the memory's.
    const auto ranges = engine::plan_fetch(wanted, *object, options);
    if (!ranges) throw error(pool->explain(ranges.error(), doing(range)));
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
