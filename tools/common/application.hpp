#pragma once

#include "common/options.hpp"

#include <functional>

namespace rangeio::tool {

/// Adds the options to an application, with callbacks that set `chosen`.
using configuration = std::function<void(CLI::App& app, command& chosen)>;

/// Runs a program: reads its command line, calls the chosen command, and closes standard output. An exception becomes
/// one line on standard error.
///
/// Returns: the exit code: 0 success, 1 failure, 2 usage error; after a signal that ended the work the process ends by
///          that signal.
int run_application(int argc, char** argv, CLI::App& app, const configuration& configure);

}  // namespace rangeio::tool
