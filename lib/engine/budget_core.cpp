#include "engine/budget_core.hpp"

#include "option_range.hpp"

#include <utility>

namespace rangeio::engine {

using fsm::budget_actions;

budget_core::budget_core(std::uint64_t limit_bytes)
    : limit_bytes_(limit_bytes), machine_(fsm::budget_fsm::options{limit_bytes, unit_bytes}) {
    throw_if(check_least("memory budget", limit_bytes, memory_budget::min_limit_bytes));
}

void budget_core::leave(fsm::reader_id reader) noexcept {
    act([reader](book& m, budget_actions& out) { m.leave(reader, out); });
}

memory_budget_stats budget_core::stats() const {
    return machine_.peek([](const book& m) { return m.stats(); });
}

template <class Event>
void budget_core::act(Event&& event) noexcept {
    const auto alive = shared_from_this();
    machine_.act(event, [this](const fsm::budget_action& action) { perform(action); });
}

void budget_core::perform(const fsm::budget_action& action) noexcept {
    const auto holder = machine_.peek([&action](const book& m) {
        const auto it = m.holders.find(action.id);
        return it == m.holders.end() ? nullptr : it->second.lock();
    });
    if (holder == nullptr) return;  // released meanwhile, or about to be, by a destructor
    switch (action.kind) {
        case fsm::budget_action_kind::grant: holder->granted(); break;
        case fsm::budget_action_kind::reclaim: holder->reclaim(); break;
    }
}

void reservation::request(
    std::weak_ptr<budget_holder> who, fsm::reader_id reader, fsm::request_class lane, std::uint64_t bytes
) {
    const auto alive = budget_;
    decltype(budget_core::book::holders) its_holder{{id_, std::move(who)}};
    alive->machine_.act_reserving(
        [&, id = id_](budget_core::book& m, budget_actions& out) {
            m.request(id, reader, lane, bytes, out);
            m.holders.merge(its_holder);
        },
        [&alive](const fsm::budget_action& action) { alive->perform(action); }
    );
}

void reservation::promote() noexcept {
    budget_->act([id = id_](budget_core::book& m, budget_actions& out) { m.promote(id, out); });
}

void reservation::mark(fsm::budget_use use, std::uint64_t rank) noexcept {
    budget_->act([=, id = id_](budget_core::book& m, budget_actions& out) { m.mark(id, use, rank, out); });
}

void reservation::keep() noexcept {
    budget_->act([id = id_](budget_core::book& m, budget_actions& out) { m.keep(id, out); });
}

void reservation::release() noexcept {
    budget_->act([id = id_](budget_core::book& m, budget_actions& out) {
        m.holders.erase(id);
        if (!m.cancel(id, out)) m.release(id, out);
    });
}

}  // namespace rangeio::engine

namespace rangeio {

memory_budget::memory_budget() : memory_budget(default_limit_bytes) {}

memory_budget::memory_budget(std::uint64_t limit_bytes)
    : core_(std::make_shared<engine::budget_core>(limit_bytes)) {}

memory_budget::~memory_budget() = default;

std::uint64_t memory_budget::limit_bytes() const noexcept {
    return core_->limit_bytes();
}

memory_budget_stats memory_budget::stats() const {
    return core_->stats();
}

}  // namespace rangeio
