#pragma once

#include "states/pool_cache_model.hpp"

#include <cstdint>
#include <string>

namespace rangeio::states {

/// The rules of the cache, P13 first of all.
enum class cache_rule : std::uint8_t {
    one_user,
    in_use,
    longest_ago,
    key_limit,
    stream_limit,
    one_way_out,
    generation,
    first_is_fresh,
    fits,
    no_needless_open,
    age,
    told,
    close_ends,
    close_answers,
    timer,
    balance,
    memory,
    count,
};

constexpr std::uint32_t bit(cache_rule r) {
    return std::uint32_t{1} << static_cast<std::uint32_t>(r);
}

std::string rule_name(cache_rule r);

/// The rules that a step breaks: from `before`, by `e`, with `out`, to the machine `after`. Called before the actions
/// are accounted for in the rest of the state.
std::uint32_t check_step(
    const pool_cache_model::state& before,
    const pool_cache_model::event& e,
    const fsm::cache_actions& out,
    const fsm::pool_cache_fsm& after
);

/// The rules that do not hold in `s`.
std::uint32_t check_state(const pool_cache_model::state& s);

}  // namespace rangeio::states
