#include "engine/prefetcher.hpp"

#include "engine/prefetch_unit.hpp"
#include "error_text.hpp"
#include "runtime/operation.hpp"

#include <utility>

namespace rangeio::engine {
namespace {

using fsm::unit_action;
using fsm::unit_action_kind;
using fsm::unit_actions;

fsm::unit_waiter waiter_id(unit_waiter& who) noexcept {
    return reinterpret_cast<fsm::unit_waiter>(&who);
}

unit_waiter& unit_waiter_of(fsm::unit_waiter id) noexcept {
    return *reinterpret_cast<unit_waiter*>(id);
}

void after_loss(fsm::prefetch_fsm& m, unit_actions& out) {
    m.after_loss(out);
}

}  // namespace

prefetcher::prefetcher(
    std::shared_ptr<runtime::context_core> core,
    std::unique_ptr<fsm::prefetch_policy> policy,
    unit_maker maker
)
    : core_(std::move(core)),
      make_(std::move(maker)),
      machine_(fsm::prefetch_fsm::options(), std::move(policy)) {}

/// Feeds an event that must not fail, and then the policy.
template <class Event, class Decision>
void prefetcher::act(Event event, Decision decision) noexcept {
    const runtime::completion_batch batch;
    bool fed = false;
    const auto both = [&](machine& m, unit_actions& out) {
        event(m, out);
        fed = true;
        (void)guarded([&] {
            decision(m, out);
            return error_value();
        });
    };
    const auto perform_one = [this](unit_action& action) { perform(action); };
    const error_value why = guarded([&] {
        machine_.act_reserving(both, perform_one);
        return error_value();
    });
    if (why && !fed) machine_.act([&](machine& m, unit_actions& out) { event(m, out); }, perform_one);
}

/// For the policy alone: without memory for its decision, less is fetched ahead.
template <class Decision>
void prefetcher::decide(Decision decision) noexcept {
    act([](machine&, unit_actions&) {}, decision);
}

/// An event that includes what the policy decides on it, or leaves nothing to decide.
template <class Event>
void prefetcher::act(Event event) noexcept {
    act(event, [](machine&, unit_actions&) {});
}

void prefetcher::begin(fsm::reading& read, byte_range rest, std::uint64_t size) {
    machine_.act_reserving(
        [&, now = core_->now()](machine& m, unit_actions& out) { m.begin(read, rest, size, now, out); },
        [this](unit_action& action) { perform(action); }
    );
}

void prefetcher::requested(fsm::reading& read) noexcept {
    decide([&](machine& m, unit_actions& out) { m.after_begin(read, out); });
}

void prefetcher::end(fsm::reading& read, fsm::read_ending how) noexcept {
    const auto now = core_->now();
    act([&](machine& m, unit_actions& out) { m.end(read, how, now, out); });
}

byte_range prefetcher::first_piece(byte_range range) const {
    return machine_.peek([&](const machine& m) { return m.units().first_piece(range); });
}

void prefetcher::wait(fsm::unit_id unit, std::shared_ptr<unit_waiter> who) {
    unit_waiter& waiter = *who;
    waiter.waits = std::move(who);
    try {
        machine_.act_reserving(
            [&](machine& m, unit_actions& out) { m.wait(unit, waiter_id(waiter), out); },
            [this](unit_action& action) { perform(action); }
        );
    } catch (...) {
        waiter.waits.reset();
        throw;
    }
}

void prefetcher::cancel_wait(fsm::unit_id unit, unit_waiter& who, const error_value& why) noexcept {
    const bool waited =
        machine_.feed([&](machine& m, unit_actions&) { return m.cancel_wait(unit, waiter_id(who)); });
    if (!waited) return;
    const auto alive = std::move(who.waits);
    who.fetched(nullptr, why);
}

void prefetcher::arrived(const fsm::prefetch_arrival& arrival) noexcept {
    decide([&](machine& m, unit_actions& out) { m.arrived(arrival, out); });
}

bool prefetcher::granted(fsm::unit_id unit) noexcept {
    return machine_.feed([&](machine& m, unit_actions&) { return m.granted(unit); });
}

void prefetcher::done(fsm::unit_id unit, const error_value& why) noexcept {
    act([&](machine& m, unit_actions& out) { m.done(unit, why, out); }, after_loss);
}

void prefetcher::refused(fsm::unit_id unit, const error_value& why) noexcept {
    act([&](machine& m, unit_actions& out) { m.refused(unit, why, out); }, after_loss);
}

bool prefetcher::reclaim(fsm::unit_id unit) noexcept {
    bool known = false;
    act([&](machine& m, unit_actions& out) { known = m.reclaim(unit, out); }, after_loss);
    return known;
}

void prefetcher::advise(access_pattern pattern) noexcept {
    decide([&](machine& m, unit_actions& out) { m.advise(pattern, out); });
}

void prefetcher::will_need(byte_range range) noexcept {
    decide([&](machine& m, unit_actions& out) { m.will_need(range, out); });
}

void prefetcher::dont_need(byte_range range) noexcept {
    decide([&](machine& m, unit_actions& out) { m.dont_need(range, out); });
}

void prefetcher::close() noexcept {
    act([](machine& m, unit_actions& out) { m.close(out); });
}

reader_stats prefetcher::stats() const {
    return machine_.peek([](const machine& m) { return m.stats(); });
}

void prefetcher::perform(unit_action& action) noexcept {
    switch (action.kind) {
        case unit_action_kind::fetch: fetch(action); break;
        case unit_action_kind::promote: action.handle->promote(); break;
        case unit_action_kind::cancel: action.handle->cancel(); break;
        case unit_action_kind::answer: {
            unit_waiter& waiter = unit_waiter_of(action.waiter);
            const auto alive = std::move(waiter.waits);
            waiter.fetched(std::move(action.handle), action.why);
            break;
        }
        case unit_action_kind::mark: action.handle->mark(action.use, action.rank); break;
        case unit_action_kind::keep: action.handle->keep_room(); break;
        case unit_action_kind::release: action.handle->hold(); break;  // for as long as a slice has it
    }
}

void prefetcher::fetch(const unit_action& action) noexcept {
    try {
        const auto unit = make_(action);
        const bool wanted =
            machine_.feed([&](machine& m, unit_actions&) { return m.made(action.unit, unit); });
        if (wanted) unit->start();
    } catch (...) {
        refused(action.unit, current_error());
    }
}

}  // namespace rangeio::engine
