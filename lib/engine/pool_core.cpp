#include "engine/pool_core.hpp"

#include "described.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rangeio::engine {
namespace {

using fsm::pool_action;
using fsm::pool_action_kind;
using fsm::pool_actions;
using fsm::pool_fsm;
using fsm::stream_id;

constexpr std::size_t max_pool_size = 1024;

fsm::pool_fsm::options machine_options(const pool_options& options, const mrd_factory& factory) {
    throw_if(check_range("pool size", options.size(), 1, max_pool_size));
    throw_if(check_least("open_timeout", options.open_timeout()));
    pool_fsm::options out;
    out.pool_size = options.size();
    out.multi_request = factory.supports_multi_request();
    out.sharing = options.sharing() == sharing_policy::least_outstanding
                      ? fsm::share_policy::least_outstanding
                      : fsm::share_policy::round_robin;
    return out;
}

// A waiter is known to the machine by its address. Whoever cancels one owns it, so the address cannot be
// another's.
fsm::waiter_id id_of(const pool_waiter& who) {
    return reinterpret_cast<std::uintptr_t>(&who);
}

pool_waiter& waiter_of(fsm::waiter_id id) {
    return *reinterpret_cast<pool_waiter*>(static_cast<std::uintptr_t>(id));
}

}  // namespace

class pool_core::link final : public stream_listener {
public:
    link(std::shared_ptr<pool_core> pool, stream_id id) : pool_(std::move(pool)), id_(id) {}

    void opened(std::shared_ptr<const object_info> info) noexcept override {
        pool_->opened(id_, std::move(info));
    }
    void reconnecting() noexcept override {
        pool_->machine_.feed([&](pool_fsm& m, pool_actions& out) { m.reconnecting(id_, out); });
        pool_->drain();
    }
    void reconnected() noexcept override {
        pool_->machine_.feed([&](pool_fsm& m, pool_actions& out) { m.reconnected(id_, out); });
        pool_->drain();
    }
    void ended(const failure& why) noexcept override { pool_->ended(id_, why); }

private:
    const std::shared_ptr<pool_core> pool_;
    const stream_id id_;
};

failure no_pool() {
    return {errc::invalid_argument, "there is no pool: it was made by default, or moved from"};
}

void require_pool(const std::shared_ptr<pool_core>& pool) {
    if (pool == nullptr) throw error(no_pool());
}

pool_core::pool_core(
    asio::any_io_executor executor, std::shared_ptr<mrd_factory> factory, const pool_options& options
)
    : executor_(std::move(executor)),
      factory_(std::move(factory)),
      core_(runtime::core_of(executor_)),
      observer_(options.observed_by() != nullptr ? options.observed_by() : factory_->observed_by()),
      deadline_(std::make_shared<close_deadline>(executor_, core_)),
      by_load_(options.sharing() == sharing_policy::least_outstanding),
      machine_(machine_options(options, *factory_)) {
    streams_.reserve(options.size());
}

pool_core::~pool_core() {
    deadline_->drop();
}

void pool_core::initialize(std::shared_ptr<pool_waiter> who) {
    enter(std::move(who), &pool_fsm::initialize);
}

void pool_core::acquire(std::shared_ptr<pool_waiter> who) {
    enter(std::move(who), &pool_fsm::acquire);
}

void pool_core::close(std::shared_ptr<pool_waiter> who) {
    auto deadline = deadline_->arm(who->deadline_after, [weak = weak_from_this()] {
        if (const auto pool = weak.lock()) pool->close_now();
    });
    closing_ = true;
    enter(std::move(who), &pool_fsm::close);
    deadline_->keep(std::move(deadline));
}

void pool_core::enter(
    std::shared_ptr<pool_waiter> who, void (pool_fsm::*event)(fsm::waiter_id, pool_actions&)
) {
    pool_waiter& waiter = *who;
    waiter.under_way = std::move(who);
    refresh_loads();
    try {
        machine_.feed_reserving([&](pool_fsm& m, pool_actions& out) {
            (m.*event)(id_of(waiter), out);
            if (m.waits(id_of(waiter))) waiter.waits_since = core_->now();
        });
    } catch (...) {
        waiter.under_way.reset();
        throw;
    }
    drain();
}

void pool_core::cancel(pool_waiter& who, const failure& why) noexcept {
    const bool waited =
        machine_.feed([&](pool_fsm& m, pool_actions& out) { return m.cancel(id_of(who), out); });
    if (!waited) return;
    const auto alive = std::move(who.under_way);
    who.answered(why);
}

void pool_core::close_now() noexcept {
    closing_ = true;
    machine_.feed([](pool_fsm& m, pool_actions& out) { m.close_now(out); });
    drain();
}

void pool_core::release(stream_id id) noexcept {
    const bool known = machine_.feed([&](pool_fsm& m, pool_actions& out) {
        m.release(id, out);
        return m.knows(id);
    });
    if (!known) forget(id);
    drain();
}

pool_stats pool_core::stats() const {
    const stream_stats streams = factory_->stats();  // another's code: under no lock
    return machine_.peek([&](const pool_fsm& m) {
        pool_stats out = m.stats();
        out.streams = streams;
        const std::lock_guard lock(mutex_);
        out.waits = waits_;
        out.wait_time = wait_time_;
        return out;
    });
}

std::shared_ptr<const object_info> pool_core::info() const {
    const std::lock_guard lock(mutex_);
    return info_;
}

void pool_core::learn(const multi_range_downloader& from) {
    auto info = from.info();
    std::vector<std::shared_ptr<multi_range_downloader>> others;
    std::uint64_t size = 0;
    {
        const std::lock_guard lock(mutex_);
        if (info == nullptr || info->size < info_->size || info_->finalized) return;
        size = info->size;
        if (size > info_->size) {
            for (const entry& e : streams_) others.push_back(e.stream);
        }
        info_ = std::move(info);
    }
    for (const auto& stream : others) stream->require(size);
}

// P14. Also when it is granted: the pool may have learned of more since it was told.
void pool_core::bring_up_to_date(multi_range_downloader& stream) const noexcept {
    const auto known = info();
    if (known != nullptr && !known->finalized) stream.require(known->size);
}

failure pool_core::explain(const failure& why, const std::string& doing) const {
    return why.with_context(object().to_string() + doing);
}

// Streams may be another's, so they are asked under no lock; and without memory, so one at a time.
void pool_core::refresh_loads() noexcept {
    if (!by_load_) return;
    for (std::size_t i = 0;; ++i) {
        entry e;
        {
            const std::lock_guard lock(mutex_);
            if (i >= streams_.size()) return;
            e = streams_[i];
        }
        const std::uint64_t load = e.stream->outstanding_bytes();
        machine_.feed([&](pool_fsm& m, pool_actions&) { m.set_load(e.id, load); });
    }
}

void pool_core::drain() noexcept {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.drain([this](pool_action& action) { perform(action); });
    if (closing_) note_if_closed();
}

void pool_core::note_if_closed() noexcept {
    const bool closed = machine_.peek([](const pool_fsm& m) { return m.state() == fsm::pool_state::closed; });
    if (!closed || closed_.exchange(true)) return;
    deadline_->drop();
    if (observer_ != nullptr) observer_->on_event({event_kind::pool_closed, object()});
}

void pool_core::count_wait(const pool_waiter& waiter) noexcept {
    if (!waiter.waits_since) return;
    event what(event_kind::lease_waited, object());
    what.time = core_->now() - *waiter.waits_since;
    {
        const std::lock_guard lock(mutex_);
        ++waits_;
        wait_time_ += what.time;
    }
    if (observer_ != nullptr) observer_->on_event(what);
}

void pool_core::perform(pool_action& action) noexcept {
    switch (action.kind) {
        case pool_action_kind::open_stream: open_stream(action.stream); break;
        case pool_action_kind::close_stream:
            if (const auto s = stream(action.stream)) s->close({});
            break;
        case pool_action_kind::grant: {
            pool_waiter& waiter = waiter_of(action.waiter);
            const auto alive = std::move(waiter.under_way);
            lease out;
            out.pool_ = shared_from_this();
            out.stream_ = stream(action.stream);
            if (out.stream_ != nullptr) bring_up_to_date(*out.stream_);
            out.stream_id_ = action.stream;
            count_wait(waiter);
            waiter.granted(std::move(out));
            break;
        }
        case pool_action_kind::complete: {
            pool_waiter& waiter = waiter_of(action.waiter);
            const auto alive = std::move(waiter.under_way);
            waiter.answered(action.why);
            break;
        }
    }
}

void pool_core::open_stream(stream_id id) noexcept {
    failure why;
    try {
        auto s = factory_->create();
        if (s == nullptr) throw error(failure(errc::invalid_argument, "the factory has made no stream"));
        bring_up_to_date(*s);
        auto owner = std::make_shared<link>(shared_from_this(), id);
        {
            const std::lock_guard lock(mutex_);
            streams_.push_back({id, s});
        }
        s->open(std::move(owner));
        return;
    } catch (...) {
        why = current_failure();
    }
    ended(id, why);
}

std::shared_ptr<multi_range_downloader> pool_core::stream(stream_id id) const {
    const std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(streams_, id, &entry::id);
    return it == streams_.end() ? nullptr : it->stream;
}

void pool_core::opened(stream_id id, std::shared_ptr<const object_info> info) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (info_ == nullptr) info_ = std::move(info);
    }
    machine_.feed([&](pool_fsm& m, pool_actions& out) { m.opened(id, out); });
    drain();
}

void pool_core::ended(stream_id id, const failure& why) noexcept {
    refresh_loads();
    const bool known = machine_.feed([&](pool_fsm& m, pool_actions& out) {
        m.ended(id, why, out);
        return m.knows(id);
    });
    if (!known) forget(id);
    drain();
}

// A stream that has ended is kept as long as leases on it are out, or on their way to somebody: they have to
// find it to hear what became of it.
void pool_core::forget(stream_id id) noexcept {
    std::shared_ptr<multi_range_downloader> gone;
    const std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(streams_, id, &entry::id);
    if (it == streams_.end()) return;
    gone = std::move(it->stream);
    streams_.erase(it);
}

}  // namespace rangeio::engine
