#include "testing/programs/program_pools.hpp"

#include <rangeio/sim/allocation_failures.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace rangeio::testing {
namespace {

std::size_t objects_of(const pool_program& program) {
    std::size_t out = 1;
    for (const auto& task : program.tasks) {
        for (const auto& op : task.operations) out = std::max(out, op.object + 1);
    }
    return out;
}

pool_options options_of(const pool_program& program) {
    return pool_options().size(program.pool_size).open_timeout(program.open_timeout);
}

// All streams of a pool, whether they are usable or not.
std::uint64_t streams(const pool_stats& s) {
    return s.opening + s.ready + s.reconnecting + s.closing;
}

}  // namespace

program_pools::program_pools(const pool_program& program, sim::world& in, sim::context& io)
    : program_(program),
      world_(in),
      executor_(io.get_executor()),
      slots_(program.cache ? program.tasks.size() : 1) {
    for (std::size_t i = 0; i < objects_of(program); ++i) {
        scripted_service_options options;
        options.object(static_cast<unsigned>(i));
        options.object_bytes(program.object_bytes);
        options.finalized(program.finalized);
        options.max_chunk_bytes(program.max_chunk_bytes);
        options.faults(program.faults);
        services_.emplace_back(in, options);
    }
    if (!program.cache) {
        slots_[0].pool = std::make_unique<mrd_pool>(executor_, factory(0, 0), options_of(program));
        return;
    }
    const auto maker = [this](const object_ref& object, const pool_options&) {
        const auto found = std::ranges::find_if(services_, [&](const scripted_service& s) {
            return s.object().name() == object.name();
        });
        return factory(static_cast<std::size_t>(found - services_.begin()), object.generation());
    };
    cache_ = std::make_unique<mrd_pool_cache>(executor_, maker, *program.cache);
}

std::shared_ptr<mrd_factory> program_pools::factory(std::size_t object, std::int64_t generation) const {
    const scripted_service& service = services_[object];
    if (!scripted()) return service.transport(executor_, program_.open_timeout, true, generation);
    return service.streams(program_.streams == pool_program::kind::shared);
}

mrd_pool& program_pools::of(std::size_t task) const {
    const auto& pool = slot_of(task).pool;
    if (pool == nullptr) throw error(errc::pool_closed);
    return *pool;
}

const scripted_service& program_pools::service_of(std::size_t task) const {
    return services_[slot_of(task).object];
}

asio::awaitable<void> program_pools::open(std::size_t task, const pool_program::operation& op) {
    slot& mine = slot_of(task);
    mine.pool.reset();
    mine.object = op.object;
    if (cache_ == nullptr) throw error(errc::pool_closed);
    const scripted_service& service = services_[op.object];
    const object_ref live = service.object();
    const std::uint64_t size = service.object_bytes();
    object_ref wanted = live;
    if (op.what == pool_program::action::open_latest) wanted.generation(0);
    mrd_pool opened = co_await cache_->async_open(wanted, options_of(program_));
    const auto info = opened.info();
    mine.pool = std::make_unique<mrd_pool>(std::move(opened));
    if (!info) {
        world_.violate("a pool is open and has no properties of its object");
    } else if (wanted.generation() == 0) {
        world_.check(
            info->generation >= live.generation(), "an open that names no generation gets an old one"
        );
    } else {
        const bool replaced = service.object().generation() != live.generation();
        const bool right = info->generation == live.generation() || (replaced && scripted());
        world_.check(right, "an open gets another generation than it names");
    }
    const auto aged = std::ranges::count(program_.faults.faults, fault_kind::old_size, &fault::kind);
    if (info && !program_.finalized && aged == 0) {
        world_.check(info->size >= size, "an open of an unfinalized object gets an old size");
    }
}

asio::awaitable<void> program_pools::close(std::size_t task, std::chrono::nanoseconds deadline) {
    co_await of(task).async_close(rangeio::close_options().deadline_after(deadline));
    {
        const one_moment here;
        const auto& pool = slot_of(task).pool;
        if (pool == nullptr) co_return;
        const auto s = pool->stats();
        world_.check(streams(s) + s.waiters == 0, "the pool is closed and has streams or waiters");
    }
    if (program_.cache) drop(task);
}

void program_pools::drop(std::size_t task) {
    slot_of(task).pool.reset();
}

void program_pools::note_end() {
    const one_moment here;
    if (!at_end_) at_end_ = cache_->stats();
}

asio::awaitable<void> program_pools::close_cache(std::chrono::nanoseconds deadline) {
    if (cache_ == nullptr) co_return;
    note_end();
    error_value why;
    try {
        co_await cache_->async_close(rangeio::close_options().deadline_after(deadline));
    } catch (const error& e) {
        why = e.why();
    } catch (const std::bad_alloc&) {
        why = make_error_code(boost::system::errc::not_enough_memory);
    }
    // A call that was cancelled, was shut down, or had no memory to wait does not imply the end.
    if (why.code() != asio::error::operation_aborted && why.code() != errc::shut_down && !is_injected(why)) {
        world_.check(calls_open() == 0, "the cache is closed and calls are open");
    }
    if (why) throw error(why);
}

void program_pools::drop_cache() {
    if (cache_ == nullptr) return;
    note_end();
    cache_.reset();
}

bool program_pools::is_injected(const error_value& why) {
    return why.code() == boost::system::errc::not_enough_memory && sim::allocation_failures::any_injected();
}

asio::awaitable<void> program_pools::close_all() {
    error_value why;
    for (unsigned tries = 0; tries == 0 || (is_injected(why) && tries < max_tries); ++tries) {
        why = {};
        try {
            if (program_.cache) {
                co_await close_cache({});
            } else if (slots_[0].pool != nullptr) {
                co_await slots_[0].pool->async_close();
            }
        } catch (const error& e) {
            why = e.why();
        } catch (const std::bad_alloc&) {
            why = make_error_code(boost::system::errc::not_enough_memory);
        }
    }
    const sim::allocation_exemption own;
    if (why && !is_injected(why) && program_.faults.faults.empty()) {
        world_.violate(fmt::format("closing at the end fails: {}", why.message()));
    }
    const one_moment here;
    for (const slot& one : slots_) {
        if (one.pool == nullptr) continue;
        const auto s = one.pool->stats();
        world_.check(
            streams(s) + s.leases + s.waiters == 0, "the pool is closed and its gauges are not zero"
        );
    }
}

void program_pools::drop_handle(std::size_t index) {
    if (index < slots_.size()) {
        slots_[index].pool.reset();
    } else {
        drop_cache();
    }
}

std::uint64_t program_pools::calls() const noexcept {
    std::uint64_t out = 0;
    for (const auto& s : services_) out += s.calls();
    return out;
}

std::uint64_t program_pools::calls_open() const noexcept {
    std::uint64_t out = 0;
    for (const auto& s : services_) out += s.calls_open();
    return out;
}

std::size_t program_pools::leases() const {
    const one_moment here;
    std::size_t out = 0;
    for (const slot& one : slots_) out += one.pool == nullptr ? 0 : one.pool->stats().leases;
    return out;
}

void program_pools::check_balance() {
    const one_moment here;
    for (const slot& one : slots_) {
        if (one.pool == nullptr) continue;
        const auto s = one.pool->stats();
        world_.check(
            s.opened == s.opening + s.ready + s.reconnecting + s.closed + s.failed,
            "the pool's counters do not balance"
        );
        world_.check(streams(s) <= program_.pool_size, "the pool has more streams than its size");
    }
    if (cache_ == nullptr) return;
    const auto s = cache_->stats();
    const auto keys = s.idle_keys + s.keys_in_use;
    world_.check(
        s.donated == s.hits + s.expired + s.evicted + s.died + s.closed + s.idle_streams,
        "the cache's counters do not balance"
    );
    world_.check(s.idle_keys <= program_.cache->max_idle_pools(), "the cache exceeds its limit of objects");
    world_.check(
        s.idle_streams <= keys * program_.cache->max_idle_streams_per_key(),
        "the cache exceeds its limit of streams of an object"
    );
    // An end that failed for lack of memory has not begun, and its caller does not know that yet; nor has an end begun
    // that waits for a lock.
    if (!at_end_ || sim::allocation_failures::any_injected() || world_.options().at_locks()) return;
    const bool still =
        s.hits == at_end_->hits && s.misses == at_end_->misses && s.donated == at_end_->donated;
    world_.check(still, "a stream is taken, kept or opened after the end of the cache has begun");
    world_.check(s.idle_streams + s.idle_keys == 0, "the cache is at its end and keeps streams");
}

void program_pools::check_quiet() {
    check_balance();
    std::uint64_t known = 0;
    for (const slot& one : slots_) {
        if (one.pool != nullptr) known += streams(one.pool->stats());
    }
    if (cache_ != nullptr) known += cache_->stats().idle_streams;
    // A stream of the transport needs no call while it is idle.
    const bool all_known = scripted() ? calls_open() == known : calls_open() <= known;
    if (!all_known) {
        world_.violate(fmt::format("{} streams of the service, pools and cache have {}", calls_open(), known)
        );
    }
    // Without memory an open may be counted and not be made.
    if (cache_ != nullptr && scripted() && !sim::allocation_failures::any_injected()) {
        world_.check(cache_->stats().misses == calls(), "the cache miscounts the streams that it opens");
    }
}

void program_pools::check_unused() {
    check_balance();
    if (cache_ == nullptr) return;
    world_.check(cache_->stats().keys_in_use == 0, "no pool is left and an object counts as used");
}

void program_pools::check_over() {
    world_.check(calls_open() == 0, "calls of the service are open after all clients have ended");
    if (program_.max_calls && calls() > *program_.max_calls) {
        world_.violate(fmt::format("{} calls were begun, the limit is {}", calls(), *program_.max_calls));
    }
    if (at_end_ && scripted() && !sim::allocation_failures::any_injected() && !world_.options().at_locks()) {
        world_.check(calls() <= at_end_->misses, "a stream is opened after the end of the cache has begun");
    }
}

}  // namespace rangeio::testing
