#pragma once

#include "common/options.hpp"

namespace rangeio::tool {

/// Gives `stress` its options, and sets `chosen` when the command line has been read.
void add_stress(CLI::App& stress, command& chosen);

}  // namespace rangeio::tool
