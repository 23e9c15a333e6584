#pragma once

#include "states/mrd_model.hpp"

#include <cstdint>
#include <string>

namespace rangeio::states {

/// The rules of the stream (architecture, section 3.3), and what else is checked.
enum class mrd_rule : std::uint8_t {
    s1_routing,
    s2_queue,
    s2_message,
    s3_first_message,
    s4_right_bytes,
    s4_neighbours,
    s4_tries,
    s5_complete,
    s5_zero,
    s6_short,
    s7_last_good_byte,
    s7_single_flight,
    s7_policy,
    s7_owner,
    s7_sleep,
    s7_useless,
    s8_cancel,
    s8_orphans,
    s9_stall,
    s10_named,
    s10_unnamed,
    s12_tail,
    p14_size,
    p14_tail,
    answers,
    end_last,
    balance,
    memory,
    timers,
    wake_up,
    count,
};

std::string rule_name(mrd_rule r);

inline void require(mrd_model::state& s, bool holds, mrd_rule r) {
    if (!holds) s.broken |= std::uint32_t{1} << static_cast<std::uint32_t>(r);
}

mrd_model::range* find(mrd_model::state& s, std::int64_t number);
const fsm::stream_range* find(const fsm::mrd_fsm& m, std::int64_t number);

/// Notes the rules that a step breaks: from `before`, by `e`, with `out`, to `s`.
void check_step(
    const mrd_model& model,
    const fsm::mrd_fsm& before,
    const mrd_model::event& e,
    const fsm::mrd_actions& out,
    mrd_model::state& s
);

/// Notes the rules that do not hold in `s`.
void check_state(const mrd_model& model, mrd_model::state& s);

}  // namespace rangeio::states
