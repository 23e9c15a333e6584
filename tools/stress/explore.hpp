#pragma once

#include "common/options.hpp"

namespace rangeio::tool {

/// Adds the options to `stress`, and sets `chosen` when the command line has been read.
void add_stress(CLI::App& stress, command& chosen);

}  // namespace rangeio::tool
