#pragma once

#include <CLI/CLI.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::tool {

/// The name in `known` that `typed` is probably a misspelling of; empty if none is near.
std::string nearest(std::string_view typed, const std::vector<std::string>& known);

/// The subcommand that `words` begin with; null if they begin with an option.
///
/// Throws: `usage_failed`, listing the commands and naming the nearest one.
const CLI::App* find_command(const CLI::App& app, std::span<const std::string> words);

/// Checks the options before CLI11 does: CLI11 reports unknown options last, and takes their values for arguments
/// before.
///
/// Throws: `usage_failed` for an option that `app` does not have, naming it and the nearest one.
void check_options(const CLI::App& app, std::span<const std::string> words);

}  // namespace rangeio::tool
