#include "engine/pool_core.hpp"

#include "error_text.hpp"
#include "option_range.hpp"
#include "runtime/operation.hpp"

#include <boost/asio/system_executor.hpp>

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

// The machine identifies a waiter by its address. The caller that cancels a waiter owns it, so the address cannot
// belong to another one.
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
        pool_->act([&](pool_fsm& m, pool_actions& out) { m.opened(id_, std::move(info), out); });
    }
    void reconnecting() noexcept override {
        pool_->act([&](pool_fsm& m, pool_actions& out) { m.reconnecting(id_, out); });
    }
    void reconnected() noexcept override {
        pool_->act([&](pool_fsm& m, pool_actions& out) { m.reconnected(id_, out); });
    }
    void ended(const error_value& why) noexcept override { pool_->ended(id_, why); }

private:
    const std::shared_ptr<pool_core> pool_;
    const stream_id id_;
};

error_value no_pool() noexcept {
    return described(errc::invalid_argument, "pool: none (default-constructed or moved from)");
}

asio::any_io_executor executor_of(const std::shared_ptr<pool_core>& pool) {
    return pool == nullptr ? asio::any_io_executor(asio::system_executor()) : pool->executor();
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
      max_streams_(options.size()),
      machine_(machine_options(options, *factory_)) {}

pool_core::~pool_core() {
    deadline_->drop();
}

void pool_core::initialize(std::shared_ptr<pool_waiter> who) {
    enter(std::move(who), [](pool_fsm& m, fsm::waiter_id id, pool_actions& out) {
        m.initialize(id, false, out);
    });
}

void pool_core::ride(std::shared_ptr<pool_waiter> who) {
    enter(std::move(who), [](pool_fsm& m, fsm::waiter_id id, pool_actions& out) {
        m.initialize(id, true, out);
    });
}

void pool_core::acquire(std::shared_ptr<pool_waiter> who) {
    refresh_loads();
    const fsm::request_class what = who->what;
    const bool shares = who->shares;
    const auto now = core_->now();
    enter(std::move(who), [now, what, shares](pool_fsm& m, fsm::waiter_id id, pool_actions& out) {
        m.acquire(id, now, what, out, shares);
    });
}

void pool_core::close(std::shared_ptr<pool_waiter> who) {
    auto deadline = deadline_->arm(who->deadline_after, [weak = weak_from_this()] {
        if (const auto pool = weak.lock()) pool->close_now();
    });
    closing_ = true;
    enter(std::move(who), [](pool_fsm& m, fsm::waiter_id id, pool_actions& out) { m.close(id, out); });
    deadline_->keep(std::move(deadline));
}

template <class Event>
void pool_core::enter(std::shared_ptr<pool_waiter> who, Event event) {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    pool_waiter& waiter = *who;
    waiter.under_way = std::move(who);
    try {
        machine_.act_reserving(
            [&](pool_fsm& m, pool_actions& out) { event(m, id_of(waiter), out); },
            [this](pool_action& action) { perform(action); }
        );
    } catch (...) {
        waiter.under_way.reset();
        throw;
    }
    if (closing_) note_if_closed();
}

void pool_core::promote(pool_waiter& who) noexcept {
    machine_.feed([&](pool_fsm& m, pool_actions&) { m.promote(id_of(who)); });
}

void pool_core::cancel(pool_waiter& who, const error_value& why) noexcept {
    const bool waited =
        machine_.feed([&](pool_fsm& m, pool_actions& out) { return m.cancel(id_of(who), out); });
    if (!waited) return;
    const auto alive = std::move(who.under_way);
    who.answered(why);
}

void pool_core::close_now() noexcept {
    closing_ = true;
    act([](pool_fsm& m, pool_actions& out) { m.close_now(out); });
}

void pool_core::release(stream_id id) noexcept {
    act([&](pool_fsm& m, pool_actions& out) { m.release(id, out); });
}

pool_stats pool_core::stats() const {
    const stream_stats streams = factory_->stats();  // foreign code: without a lock held
    pool_stats out = machine_.peek([](const pool_fsm& m) { return m.stats(); });
    out.streams = streams;
    return out;
}

std::shared_ptr<const object_info> pool_core::info() const {
    return machine_.peek([](const pool_fsm& m) { return m.info(); });
}

void pool_core::update(const multi_range_downloader& from) noexcept {
    const auto info = from.info();
    const auto size = machine_.feed([&](pool_fsm& m, pool_actions&) { return m.updated(info); });
    if (size != 0) for_each_stream([size](stream_id, multi_range_downloader& s) { s.require(size); });
}

error_value pool_core::explain(const error_value& why, std::string_view doing) const noexcept {
    try {
        return why.with_context(object().to_string().append(doing));
    } catch (...) {
        return why;
    }
}

// Streams may be foreign code, so they are called without a lock held; and without a copy of the list, which would need
// memory, so one at a time.
template <class F>
void pool_core::for_each_stream(F f) noexcept {
    for (stream_id id = 0;;) {
        std::shared_ptr<multi_range_downloader> s;
        machine_.peek([&](const pool_fsm& m) {
            id = m.next(id);
            s = m.handle(id);
        });
        if (id == 0) return;
        if (s != nullptr) f(id, *s);
    }
}

void pool_core::refresh_loads() noexcept {
    if (!by_load_) return;
    for_each_stream([this](stream_id id, const multi_range_downloader& s) {
        const std::uint64_t load = s.outstanding_bytes();
        machine_.feed([&](pool_fsm& m, pool_actions&) { m.set_load(id, load); });
    });
}

template <class Event>
void pool_core::act(Event&& event) noexcept {
    const auto alive = shared_from_this();
    const runtime::completion_batch batch;
    machine_.act(event, [this](pool_action& action) { perform(action); });
    if (closing_) note_if_closed();
}

void pool_core::note_if_closed() noexcept {
    const bool closed = machine_.peek([](const pool_fsm& m) { return m.state() == fsm::pool_state::closed; });
    if (!closed || closed_.exchange(true)) return;
    deadline_->drop();
    if (observer_ != nullptr) observer_->on_event({event_kind::pool_closed, object()});
}

void pool_core::report_wait(std::chrono::steady_clock::time_point since) noexcept {
    event what(event_kind::lease_waited, object());
    what.time = core_->now() - since;
    machine_.feed([&](pool_fsm& m, pool_actions&) { m.count_wait(what.time); });
    if (observer_ != nullptr) observer_->on_event(what);
}

void pool_core::perform(pool_action& action) noexcept {
    switch (action.kind) {
        case pool_action_kind::open_stream: open_stream(action.stream); break;
        case pool_action_kind::close_stream:
            if (const auto s = machine_.peek([&](const pool_fsm& m) { return m.handle(action.stream); }))
                s->close({});
            break;
        case pool_action_kind::drop: break;  // the destructor of the action drops the handle
        case pool_action_kind::grant: grant(action); break;
        case pool_action_kind::complete: {
            pool_waiter& waiter = waiter_of(action.waiter);
            const auto alive = std::move(waiter.under_way);
            waiter.answered(action.why);
            break;
        }
    }
}

void pool_core::grant(pool_action& action) noexcept {
    pool_waiter& waiter = waiter_of(action.waiter);
    const auto alive = std::move(waiter.under_way);
    if (action.size != 0) action.handle->require(action.size);
    if (action.since) report_wait(*action.since);
    waiter.granted(lease_on(action.stream, std::move(action.handle)));
}

lease pool_core::lease_on(stream_id id, std::shared_ptr<multi_range_downloader> stream) noexcept {
    lease out;
    out.pool_ = shared_from_this();
    out.stream_ = std::move(stream);
    out.stream_id_ = id;
    return out;
}

void pool_core::open_stream(stream_id id) noexcept {
    std::shared_ptr<multi_range_downloader> s;
    error_value why;
    try {
        s = factory_->create();
        if (s == nullptr) throw error(error_value(errc::invalid_argument, "stream factory: made no stream"));
        auto owner = std::make_shared<link>(shared_from_this(), id);
        const auto first = machine_.feed([&](pool_fsm& m, pool_actions&) { return m.made(id, s); });
        if (first.size != 0) s->require(first.size);
        if (first.rider != 0) {
            pool_waiter& rider = waiter_of(first.rider);
            const auto alive = std::move(rider.under_way);
            rider.granted(lease_on(id, s));
        }
        s->open(std::move(owner));
        return;
    } catch (...) {
        why = current_error();
    }
    // Ranges that ride are on the stream, although it has not opened.
    if (s != nullptr) s->close(why);
    ended(id, why);
}

void pool_core::ended(stream_id id, const error_value& why) noexcept {
    refresh_loads();
    act([&](pool_fsm& m, pool_actions& out) { m.ended(id, why, out); });
}

}  // namespace rangeio::engine
