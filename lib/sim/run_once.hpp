#pragma once

#include <rangeio/sim/explore.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::sim {

/// The result of one run of a program.
struct run_result {
    std::string violation;
    std::vector<std::uint32_t> decisions;
    std::uint64_t fingerprint = 0;
    bool has_strangers = false;
    std::size_t steps = 0;
    std::string trace;
};

run_result run_once(const program& p, strategy& decides, const world_options& options);

/// The kind of a violation: the text before the first digit or colon; names and numbers change as a run shrinks.
std::string_view kind_of(std::string_view violation);

/// Whether two runs with equal decisions were the same. Activity from outside of the world excuses a difference.
bool is_same(const run_result& a, const run_result& b);
/// Whether the decisions of a run lead to the same run again.
bool repeats(const program& p, const world_options& options, const run_result& run);

/// The violation of a program that does not repeat itself. `seen`: the violation of one of its runs, perhaps empty.
std::string not_deterministic(std::string_view seen);

}  // namespace rangeio::sim
