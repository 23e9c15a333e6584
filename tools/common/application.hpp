#pragma once

#include "common/options.hpp"

#include <functional>

namespace rangeio::tool {

/// Gives an application its options, with callbacks that set `chosen`.
using configuration = std::function<void(CLI::App& app, command& chosen)>;

/// Runs a program: reads its command line, calls the chosen command, and closes standard output. What is thrown
/// becomes one line on standard error. Returns the exit code: 0 done, 1 failed,
/// 2 usage; a signal that ended the work ends the process.
int run_application(int argc, char** argv, CLI::App& app, const configuration& configure);

}  // namespace rangeio::tool
