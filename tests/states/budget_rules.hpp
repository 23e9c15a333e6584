#pragma once

#include "states/budget_model.hpp"

#include <cstdint>
#include <string>

namespace rangeio::states {

/// The rules of the budget (architecture, "The budget") and what else is checked.
/// B7 concerns slices, which a machine does not see: the shell reports that a reservation is held.
enum class budget_rule : std::uint8_t {
    b1_room,
    b2_order,
    b2_wake_up,
    b3_lane,
    b3_not_reclaimed,
    b4_at_once,
    b4_bound,
    b5_held,
    b5_displaces,
    b5_order,
    b5_once,
    b5_no_more,
    b5_enough,
    b6_sum,
    answer,
    stats,
    memory,
    count,
};

constexpr std::uint32_t bit(budget_rule r) {
    return std::uint32_t{1} << static_cast<std::uint32_t>(r);
}

std::string rule_name(budget_rule r);

/// The rules that a step breaks: from `before`, by `e`, with `out`, to `s`. Enters what `out` decides into `s.alive`.
std::uint32_t check_step(
    const fsm::budget_fsm& before,
    const budget_model::event& e,
    const fsm::budget_actions& out,
    budget_model::state& s
);

/// The rules that do not hold in `s`.
std::uint32_t check_state(const budget_model::state& s);

}  // namespace rangeio::states
