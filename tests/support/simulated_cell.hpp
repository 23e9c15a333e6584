#pragma once

#include <rangeio/error.hpp>
#include <rangeio/sim/world.hpp>

#include "support/fault_cells.hpp"

#include <string>

namespace support {

/// What a reader saw, and whether each fault of the script struck.
struct cell_result {
    std::string seen;
    bool all_struck = false;
};

/// An error, as the table shows it.
std::string error_text(const rangeio::failure& why);
/// Two reads, one after the other, in the words of the table: what each ended with, "ok" for the right bytes.
std::string cell_text(const std::string& first, const std::string& second, bool more_than_one_call);

/// Reads in `w` while the script of a cell is played; there has to be one. What must not be is a violation of the world.
cell_result simulate_cell(rangeio::sim::world& w, rangeio::testing::fault_kind kind, stage when);

}  // namespace support
