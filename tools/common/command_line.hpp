#pragma once

#include <CLI/CLI.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::tool {

/// The one of `known` that `typed` may have been meant for; empty if none is near.
std::string nearest(std::string_view typed, const std::vector<std::string>& known);

/// The subcommand that `words` begin with; null if they begin with an option. Throws: `usage_failed`, naming what
/// there is instead, and the nearest command.
const CLI::App* find_command(const CLI::App& app, std::span<const std::string> words);

/// Throws: `usage_failed` for an option that `app` does not have, naming it and the nearest. CLI11 looks for
/// options that are not there last, and takes their values for arguments before.
void check_options(const CLI::App& app, std::span<const std::string> words);

}  // namespace rangeio::tool
