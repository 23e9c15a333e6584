#pragma once

#include "common/options.hpp"

namespace rangeio::tool {

// Each function adds its subcommand to `app`, and sets `chosen` when the command line names it.
void add_cat(CLI::App& app, command& chosen);
void add_cp(CLI::App& app, command& chosen);
void add_stat(CLI::App& app, command& chosen);
void add_ls(CLI::App& app, command& chosen);
void add_bench(CLI::App& app, command& chosen);
void add_trace(CLI::App& app, command& chosen);
void add_emulate(CLI::App& app, command& chosen);

}  // namespace rangeio::tool
