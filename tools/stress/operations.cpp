#include <rangeio/mrd_pool.hpp>
#include <rangeio/object_reader.hpp>

#include "stress/worker.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <optional>
#include <utility>
#include <vector>

// The operations of a worker. Each of them starts something, releases the pool's handle before it waits, and checks the
// result: so another worker may destroy a handle while the operation is under way.

namespace rangeio::tool {
namespace {

constexpr std::uint64_t max_block_bytes = std::uint64_t{1} << 20;

}  // namespace

asio::awaitable<void> stress_worker::fetch_into_span(bool as_value) {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    const byte_range range = draw_range(object, stress_memory::max_bytes);
    const stress_memory::loan memory(memory_, range.length());
    const fetch_options options = draw_options();
    std::size_t got = 0;
    if (as_value) {
        error_value why;
        auto reading = box->shared.async_fetch(range, memory.bytes(), options, redirect_error_value(why));
        box.reset();
        got = co_await std::move(reading);
        if (why) throw error(why);
    } else {
        auto reading = box->shared.async_fetch(range, memory.bytes(), options);
        box.reset();
        got = co_await std::move(reading);
    }
    check(object, generation_of(pool), range.offset(), memory.bytes().first(got), range.length());
}

asio::awaitable<void> stress_worker::fetch_into_block() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    const byte_range range = draw_range(object, max_block_bytes);
    auto reading = box->shared.async_fetch(range, draw_options());
    box.reset();
    const byte_block got = co_await std::move(reading);
    check(object, generation_of(pool), range.offset(), got.span(), range.length());
}

asio::awaitable<void> stress_worker::fetch_into_view() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    const byte_range range = draw_range(object, stress_memory::max_bytes);
    const stress_memory::loan memory(memory_, range.length());
    direct_buffer buffer(memory.bytes());
    direct_buffer::view whole = buffer.make_view(0, range.length());
    auto reading = box->shared.async_fetch(range, std::move(whole), draw_options());
    box.reset();
    co_await std::move(reading);
    check(object, generation_of(pool), range.offset(), buffer.data(), range.length());
}

asio::awaitable<void> stress_worker::fetch_chunks() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    const byte_range range = draw_range(object, max_block_bytes);
    std::vector<std::uint64_t> lengths;
    std::uint64_t left = range.length();
    while (left != 0 && lengths.size() < 8) {
        lengths.push_back(lengths.size() == 7 ? left : 1 + below(left));
        left -= lengths.back();
    }
    auto reading = box->shared.async_fetch_split(range.offset(), lengths, draw_options());
    box.reset();
    const std::vector<byte_block> got = co_await std::move(reading);
    std::uint64_t at = range.offset();
    if (got.size() != lengths.size()) {
        pools_.violations().add("fetch-split: the number of chunks is not the requested one");
        co_return;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
        check(object, generation_of(pool), at, got[i].span(), lengths[i]);
        at += lengths[i];
    }
}

asio::awaitable<void> stress_worker::fetch_scattered() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    std::array<std::optional<stress_memory::loan>, 5> memory;
    std::vector<range_request> asked;
    for (auto& loan : memory) {
        const byte_range range = draw_range(object, stress_memory::max_bytes);
        loan.emplace(memory_, range.length());
        asked.emplace_back(range, loan->bytes());
        if (one_in(5)) break;
    }
    fetch_ranges_options options;
    options.max_merged_bytes(draw_length(200'000)).unit_bytes(draw_length(50'000) + 500);
    if (!one_in(3)) options.max_gap_bytes(below(50'000));
    if (one_in(4)) {
        around_.hurried = true;
        options.timeout(std::chrono::microseconds(draw_length(20'000)));
    }
    auto reading = box->shared.async_fetch_ranges(asked, options);
    box.reset();
    co_await std::move(reading);
    for (const range_request& r : asked) {
        check(
            object,
            generation_of(pool),
            r.range.offset(),
            r.destination.first(r.range.length()),
            r.range.length()
        );
    }
}

asio::awaitable<void> stress_worker::read_leased() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    auto acquiring = box->shared.async_acquire();
    box.reset();
    lease held = co_await std::move(acquiring);
    for (std::uint64_t reads = 1 + below(4); reads != 0; --reads) {
        tally_.step();
        const byte_range range = draw_range(object, stress_memory::max_bytes);
        const stress_memory::loan memory(memory_, range.length());
        auto reading = held.async_fetch(range, memory.bytes());
        if (reads == 1 && one_in(2)) held.release();  // the read continues
        const std::size_t got = co_await std::move(reading);
        check(object, generation_of(pool), range.offset(), memory.bytes().first(got), range.length());
    }
}

asio::awaitable<void> stress_worker::read_once() {
    const std::size_t object = below(target_.objects().size());
    const byte_range range = draw_range(object, stress_memory::max_bytes);
    const stress_memory::loan memory(memory_, range.length());
    fetch_options options = draw_options();
    if (!around_.hurried) options.timeout(pools_.patience());
    auto reading =
        target_.reader(context_)->async_fetch(target_.objects()[object].ref, range, memory.bytes(), options);
    const std::size_t got = co_await std::move(reading);
    check(object, std::nullopt, range.offset(), memory.bytes().first(got), range.length());
}

asio::awaitable<void> stress_worker::read_cached() {
    slot_ = below(pools_.caches());
    auto box = pools_.cache(slot_);
    fate_ = box->fate;
    const std::size_t object = below(target_.objects().size());
    object_ref ref = target_.objects()[object].ref;
    // The first open can be avoided only if the generation is named.
    if (generations_.size() <= object) generations_.resize(object + 1);
    if (one_in(2)) ref.generation(generations_[object]);
    auto opening =
        box->shared.async_open(ref, pool_options().size(1 + below(3)).open_timeout(pools_.patience()));
    box.reset();
    mrd_pool pool = co_await std::move(opening);
    generations_[object] = pool.info().value().generation;
    for (std::uint64_t reads = 1 + below(3); reads != 0; --reads) {
        tally_.step();
        const byte_range range = draw_range(object, stress_memory::max_bytes);
        const stress_memory::loan memory(memory_, range.length());
        auto reading = pool.async_fetch(range, memory.bytes(), draw_options());
        const std::size_t got = co_await std::move(reading);
        check(object, generations_[object], range.offset(), memory.bytes().first(got), range.length());
    }
    if (one_in(2)) co_return;  // its destructor returns the streams as well
    tally_.step();
    co_await pool.async_close();
    pools_.check_closed(pool.stats());
}

// Reads, blocks, seeks and hints of one reader on a shared pool, which may be closed or destroyed meanwhile.
asio::awaitable<void> stress_worker::read_file() {
    auto box = draw_pool();
    const std::weak_ptr<pool_box> pool = box;
    const std::size_t object = box->object;
    constexpr std::array kinds{prefetching::off, prefetching::linear_ramp, prefetching::adaptive};
    const auto options = reader_options()
                             .prefetch(kinds[below(kinds.size())])
                             .memory(pools_.memory())
                             .fetching(draw_options());
    object_reader reader(box->shared, options);
    box.reset();
    for (std::uint64_t steps = 1 + below(12); steps != 0; --steps) {
        tally_.step();
        const byte_range range = draw_range(object, stress_memory::max_bytes);
        switch (below(8)) {
            case 0: reader.will_need(range); break;
            case 1: reader.dont_need(range); break;
            case 2: {
                const stress_memory::loan memory(memory_, range.length());
                const std::size_t got = co_await reader.async_read_some_at(range.offset(), memory.bytes());
                check(object, generation_of(pool), range.offset(), memory.bytes().first(got), got);
                break;
            }
            case 3: {
                reader.seek(static_cast<std::int64_t>(range.offset()));
                const byte_slice got = co_await reader.async_read_block(range.length());
                check(object, generation_of(pool), range.offset(), got.span(), got.size());
                break;
            }
            default: {
                if (reader.tell() == reader.size()) reader.seek(0);
                const std::uint64_t at = reader.tell();
                const stress_memory::loan memory(memory_, range.length());
                const std::size_t got = co_await reader.async_read_some(memory.bytes());
                check(object, generation_of(pool), at, memory.bytes().first(got), got);
                break;
            }
        }
    }
    if (one_in(2)) co_await reader.async_close();
}

asio::awaitable<void> stress_worker::initialize() {
    auto box = draw_pool();
    auto opening = box->shared.async_initialize();
    box.reset();
    co_await std::move(opening);
}

asio::awaitable<void> stress_worker::close() {
    const auto box = draw_pool();
    const bool early = one_in(2);
    std::chrono::microseconds deadline{0};
    if (one_in(2)) deadline = std::chrono::microseconds(draw_length(20'000));
    fate_->store(true);
    if (early) pools_.reopen_pool(slot_, box);
    error_value why;
    try {
        co_await box->shared.async_close(rangeio::close_options().deadline_after(deadline));
        pools_.check_closed(box->shared.stats());
    } catch (const error& e) {
        why = e.why();
    }
    pools_.check(box->shared.stats(), box->streams);
    if (!early) pools_.reopen_pool(slot_, box);
    if (why) throw error(why);
}

void stress_worker::destroy() {
    const auto box = draw_pool();
    fate_->store(true);
    pools_.reopen_pool(slot_, box);
}

asio::awaitable<void> stress_worker::close_cache() {
    slot_ = below(pools_.caches());
    const auto box = pools_.cache(slot_);
    fate_ = box->fate;
    fate_->store(true);
    error_value why;
    if (one_in(2)) {
        std::chrono::microseconds deadline{0};
        if (one_in(2)) deadline = std::chrono::microseconds(draw_length(20'000));
        try {
            co_await box->shared.async_close(rangeio::close_options().deadline_after(deadline));
        } catch (const error& e) {
            why = e.why();
        }
    }
    pools_.check(box->shared.stats());
    pools_.reopen_cache(slot_, box);
    if (why) throw error(why);
}

}  // namespace rangeio::tool
