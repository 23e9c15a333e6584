#pragma once

#include "states/pool_model.hpp"

#include <cstdint>
#include <string>

namespace rangeio::states {

/// The rules of the pool (architecture, section 3.2) that a machine can break, and what else is checked.
/// P10 is about locks and callers' code: a machine has neither.
enum class rule : std::uint8_t {
    p1_one_first_open,
    p1_everybody_told,
    p2_order,
    p2_asker_alone,
    p2_size,
    p3_idle_beside_waiter,
    p3_grows,
    p4_ready_only,
    p4_policy,
    p4_choice,
    p5_leases,
    p5_last_release,
    p6_dead,
    p7_asker,
    p7_failure,
    p8_order,
    p8_answer,
    p8_passes,
    p9_nobody_waits,
    p9_streams_close,
    p9_end,
    p11_balance,
    p12_rider,
    p14_size,
    memory,
    wake_up,
    count,
};

constexpr std::uint32_t bit(rule r) {
    return std::uint32_t{1} << static_cast<std::uint32_t>(r);
}

std::string rule_name(rule r);

/// The rules that a step breaks: from `before`, by `e`, with `out`, to `s`.
std::uint32_t check_step(
    const fsm::pool_fsm& before,
    const pool_model::event& e,
    const fsm::pool_actions& out,
    const pool_model::state& s
);

/// The rules that do not hold in `s`.
std::uint32_t check_state(const pool_model::state& s);

}  // namespace rangeio::states
