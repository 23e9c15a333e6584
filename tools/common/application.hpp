#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace rangeio::tool {

/// Runs a program: reads its command line, calls `chosen`, which a callback of `app` has set, and closes standard output. What
/// is thrown becomes one line on standard error. `configure` gives `app` its options. Returns the exit code: 0 done, 1 failed,
/// 2 usage; a signal that ended the work ends the process.
int run_application(
    int argc,
    char** argv,
    CLI::App& app,
    const std::function<void(CLI::App& app, std::function<void()>& chosen)>& configure
);

}  // namespace rangeio::tool
