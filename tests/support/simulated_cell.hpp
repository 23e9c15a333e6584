#pragma once

#include <rangeio/error.hpp>
#include <rangeio/sim/world.hpp>

#include "support/fault_cells.hpp"

#include <string>

namespace support {

/// The results of a reader, and whether each fault of the script struck.
struct cell_result {
    std::string seen;
    bool all_struck = false;
};

/// An error, in the form of the table.
std::string error_text(const rangeio::error_value& why);
/// The results of two consecutive reads in the form of the table: the error of each, or "ok" for the right bytes.
std::string cell_text(const std::string& first, const std::string& second, bool more_than_one_call);

/// Reads in `w` while the script of a cell is played; the cell must have one. A forbidden outcome is a violation of the
/// world.
cell_result simulate_cell(rangeio::sim::world& w, rangeio::testing::fault_kind kind, stage when);

}  // namespace support
