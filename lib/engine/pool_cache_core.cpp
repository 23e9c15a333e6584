#include "engine/pool_cache_core.hpp"

#include "engine/cached_mrd.hpp"
#include "error_text.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::engine {
namespace {

using fsm::cache_action;
using fsm::cache_action_kind;
using fsm::cache_actions;
using fsm::cached_id;
using fsm::pool_cache_fsm;
using std::chrono::nanoseconds;

constexpr std::size_t max_limit = 4096;
constexpr std::chrono::hours max_time{24};

pool_cache_fsm::options machine_options(const pool_cache_options& options) {
    throw_if(check_range("max_idle_pools", options.max_idle_pools(), 0, max_limit));
    throw_if(check_range("max_idle_streams_per_key", options.max_idle_streams_per_key(), 0, max_limit));
    throw_if(check_range("idle_timeout", options.idle_timeout(), nanoseconds(0), max_time));
    throw_if(check_range("generation_max_age", options.generation_max_age(), nanoseconds(0), max_time));
    pool_cache_fsm::options out;
    out.generation_max_age = options.generation_max_age();
    out.max_idle_keys = options.max_idle_pools();
    out.max_idle_streams_per_key = options.max_idle_streams_per_key();
    out.idle_timeout = options.idle_timeout();
    return out;
}

// The machine identifies users and waiters by their addresses; both live until its last action for them has been
// performed.
template <class T>
fsm::caller_id id_of(const T& who) {
    return reinterpret_cast<std::uintptr_t>(&who);
}

template <class T>
T& from_id(fsm::caller_id id) {
    return *reinterpret_cast<T*>(static_cast<std::uintptr_t>(id));
}

error_value closed_failure(const object_ref& object) {
    return {errc::pool_closed, object.to_string() + ": the cache is closed"};
}

/// A waiter for the end of a pool that ignores the answer: the cache observes the streams itself.
class nobody final : public pool_waiter {
public:
    void granted(lease) noexcept override {}
    void answered(const error_value&) noexcept override {}
};

}  // namespace

class pool_cache_core::link final : public stream_listener {
public:
    link(std::shared_ptr<pool_cache_core> cache, cached_id id) : cache_(std::move(cache)), id_(id) {}

    void opened(std::shared_ptr<const object_info> info) noexcept override {
        info_ = std::move(info);
        const pool_cache_fsm::sight seen{info_->generation, info_->size, info_->finalized};
        cache_->act([&](pool_cache_fsm& m, cache_actions& out) { m.opened(id_, seen, out); });
    }
    void reconnecting() noexcept override { tell(&pool_cache_fsm::reconnecting); }
    void reconnected() noexcept override { tell(&pool_cache_fsm::reconnected); }
    void ended(const error_value& why) noexcept override {
        cache_->act([&](pool_cache_fsm& m, cache_actions& out) { m.ended(id_, why, out); });
    }

    /// Valid once the machine has the event `opened`.
    const std::shared_ptr<const object_info>& info() const noexcept { return info_; }

private:
    // A stream may break any number of times, so these events may allocate. Without memory the stream is closed.
    void tell(void (pool_cache_fsm::*event)(cached_id, cache_actions&)) noexcept {
        try {
            cache_->machine_.feed_reserving([&](pool_cache_fsm& m, cache_actions& out) {
                (m.*event)(id_, out);
            });
        } catch (...) {
            const error_value why = make_error_code(boost::system::errc::not_enough_memory);
            cache_->machine_.feed([&](pool_cache_fsm& m, cache_actions& out) { m.fail(id_, why, out); });
        }
        cache_->drain();
    }

    const std::shared_ptr<pool_cache_core> cache_;
    const cached_id id_;
    std::shared_ptr<const object_info> info_;
};

std::shared_ptr<pool_cache_core> pool_cache_core::make(
    asio::any_io_executor executor, mrd_factory_maker make_factory, const pool_cache_options& options
) {
    auto out = std::make_shared<pool_cache_core>(std::move(executor), std::move(make_factory), options);
    if (!out->core_->enter(*out)) out->close_now();
    return out;
}

pool_cache_core::pool_cache_core(
    asio::any_io_executor executor, mrd_factory_maker make_factory, const pool_cache_options& options
)
    : executor_(std::move(executor)),
      core_(runtime::core_of(executor_)),
      make_factory_(std::move(make_factory)),
      deadline_(std::make_shared<close_deadline>(executor_, core_)),
      machine_(machine_options(options)) {}

pool_cache_core::~pool_cache_core() {
    deadline_->drop();
}

mrd_pool pool_cache_core::make_pool(const object_ref& object, const pool_options& options) {
    auto fresh = make_factory_(object, options);
    if (fresh == nullptr) throw error(error_value(errc::invalid_argument, "stream factory: null"));
    auto factory = std::make_shared<cached_factory>(self(), std::move(fresh), object);
    mrd_pool out(executor_, std::move(factory), options);
    admit(pool_access::core(out));
    return out;
}

void pool_cache_core::admit(const std::shared_ptr<pool_core>& pool) {
    const std::lock_guard lock(pools_mutex_);
    if (!admitting_) throw error(closed_failure(pool->object()));
    if (pools_.size() == pools_.capacity()) {
        std::erase_if(pools_, [](const std::weak_ptr<pool_core>& p) { return p.expired(); });
    }
    pools_.push_back(pool);
}

void pool_cache_core::stop_admitting() noexcept {
    const std::lock_guard lock(pools_mutex_);
    admitting_ = false;
}

void pool_cache_core::close(std::shared_ptr<cache_waiter> who) {
    cache_waiter& waiter = *who;
    auto deadline = deadline_->arm(waiter.deadline_after, [weak = std::weak_ptr(self())] {
        if (const auto cache = weak.lock()) cache->close_now();
    });
    waiter.under_way = std::move(who);
    try {
        machine_.feed_reserving([&](pool_cache_fsm& m, cache_actions& out) { m.close(id_of(waiter), out); });
    } catch (...) {
        waiter.under_way.reset();
        throw;
    }
    stop_admitting();  // a pool that was admitted before is in the list; later ones are rejected
    drain();
    for (const auto& weak : pools_) {
        const auto pool = weak.lock();
        if (pool == nullptr) continue;
        try {
            pool->close(std::make_shared<nobody>());
        } catch (...) {
            pool->close_now();
        }
    }
    deadline_->keep(std::move(deadline));
}

void pool_cache_core::cancel(cache_waiter& who, const error_value& why) noexcept {
    const bool waited =
        machine_.feed([&](pool_cache_fsm& m, cache_actions&) { return m.cancel(id_of(who)); });
    if (!waited) return;
    const auto alive = std::move(who.under_way);
    who.answered(why);
}

void pool_cache_core::close_now() noexcept {
    stop_admitting();
    act([](pool_cache_fsm& m, cache_actions& out) { m.close(0, out); });
    for (const auto& weak : pools_) {
        if (const auto pool = weak.lock()) pool->close_now();
    }
}

// Closes the pools, too: the cache leaves when its last stream has ended, and a stream of a foreign factory need not be
// a tracked operation of the context.
void pool_cache_core::on_shutdown() noexcept {
    close_now();
}

pool_cache_stats pool_cache_core::stats() const {
    return machine_.peek([](const pool_cache_fsm& m) { return m.stats(); });
}

object_ref pool_cache_core::with_known_generation(object_ref object) const {
    const auto now = core_->now();
    const auto known =
        machine_.peek([&](const pool_cache_fsm& m) { return m.known_generation(object, now); });
    return object.generation(known);
}

void pool_cache_core::forget_generation(const object_ref& object) noexcept {
    machine_.feed([&](pool_cache_fsm& m, cache_actions&) { m.forget_generation(object); });
}

fsm::pool_id pool_cache_core::enter(const object_ref& object) {
    const fsm::pool_id out =
        machine_.feed_reserving([&](pool_cache_fsm& m, cache_actions&) { return m.enter(object); });
    if (out == 0) throw error(closed_failure(object));
    return out;
}

void pool_cache_core::leave(fsm::pool_id pool) noexcept {
    act([&](pool_cache_fsm& m, cache_actions& out) { m.leave(pool, out); });
}

void pool_cache_core::open(cached_mrd& user, fsm::pool_id pool) {
    const auto now = core_->now();
    machine_.feed_reserving([&](pool_cache_fsm& m, cache_actions& out) {
        m.open(id_of(user), pool, now, out);
    });
    drain();
}

void pool_cache_core::give_up(cached_mrd& user, bool reusable, const error_value& why) noexcept {
    const auto now = core_->now();
    act([&](pool_cache_fsm& m, cache_actions& out) { m.give_up(id_of(user), reusable, why, now, out); });
}

template <class Event>
void pool_cache_core::act(Event&& event) noexcept {
    machine_.feed(event);
    drain();
}

// The hold is released last: the destructors of objects that are dropped here may need the context.
void pool_cache_core::drain() noexcept {
    const runtime::context_core::shutdown_hold hold(core_);
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.drain([this](cache_action& action) { perform(action); });
    watch_expiry();
}

void pool_cache_core::perform(cache_action& action) noexcept {
    const auto user = [&]() -> cached_mrd& { return from_id<cached_mrd>(action.caller); };
    switch (action.kind) {
        case cache_action_kind::open_stream: open_stream(user(), action.stream); break;
        case cache_action_kind::attach: user().attach(slot_of(action.stream)->stream); [[fallthrough]];
        case cache_action_kind::opened:
            user().owner().opened(slot_of(action.stream)->listener->info());
            break;
        case cache_action_kind::reconnecting: user().owner().reconnecting(); break;
        case cache_action_kind::reconnected: user().owner().reconnected(); break;
        case cache_action_kind::detach: user().detach(action.why); break;
        case cache_action_kind::close_stream:
            // There is no slot if the stream could not be made.
            if (slot* const s = slot_of(action.stream)) s->stream->close(action.why);
            break;
        case cache_action_kind::forget: forget(action.stream); break;
        case cache_action_kind::complete: {
            auto& waiter = from_id<cache_waiter>(action.caller);
            const auto alive = std::move(waiter.under_way);
            waiter.answered(action.why);
            break;
        }
        case cache_action_kind::closed: {
            {
                const std::lock_guard lock(timer_mutex_);
                timer_over_ = true;
                timer_.reset();
            }
            deadline_->drop();
            core_->leave(*this);
            break;
        }
    }
}

void pool_cache_core::open_stream(cached_mrd& user, cached_id id) noexcept {
    error_value why;
    try {
        auto stream = user.fresh().create();
        if (stream == nullptr)
            throw error(error_value(errc::invalid_argument, "stream factory: made no stream"));
        auto listener = std::make_shared<link>(self(), id);
        slots_.push_back({id, stream, listener});
        user.attach(stream);
        stream->open(std::move(listener));
        return;
    } catch (...) {
        why = current_error();
    }
    machine_.feed([&](pool_cache_fsm& m, cache_actions& out) { m.ended(id, why, out); });
}

pool_cache_core::slot* pool_cache_core::slot_of(cached_id id) noexcept {
    const auto it = std::ranges::find(slots_, id, &slot::id);
    return it == slots_.end() ? nullptr : &*it;
}

void pool_cache_core::forget(cached_id id) noexcept {
    std::erase_if(slots_, [id](const slot& s) { return s.id == id; });
}

void pool_cache_core::tick() noexcept {
    {
        const std::lock_guard lock(timer_mutex_);
        timer_.reset();
    }
    const auto now = core_->now();
    act([&](pool_cache_fsm& m, cache_actions& out) { m.tick(now, out); });
}

// A timer that expires too early, because its stream has been taken meanwhile, leads to a further check. So the timer
// is not set anew for each stream.
void pool_cache_core::watch_expiry() noexcept {
    const std::lock_guard lock(timer_mutex_);
    if (timer_over_) return;
    const auto due = machine_.peek([](const pool_cache_fsm& m) { return m.next_expiry(); });
    if (!due) {
        timer_.reset();
        return;
    }
    if (timer_ != nullptr && timer_due_ <= *due) return;
    try {
        const std::weak_ptr<pool_cache_core> weak = self();
        const auto delay = std::max<std::chrono::nanoseconds>(*due - core_->now(), {});
        timer_ = core_->set_timer(executor_, delay, [weak] {
            if (const auto cache = weak.lock()) cache->tick();
        });
        timer_due_ = *due;
    } catch (...) {
        // The age of each stream is checked before it is taken: without a timer, idle streams are only kept longer.
    }
}

}  // namespace rangeio::engine
