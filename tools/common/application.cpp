#include "common/application.hpp"

#include <rangeio/grpc_log.hpp>
#include <rangeio/tune_malloc.hpp>
#include <rangeio/version.hpp>

#include "common/command_line.hpp"
#include "common/deadlock_detection.hpp"
#include "common/help.hpp"
#include "common/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

// The (sub)command that the options belong to; options are checked here because the errors of CLI11 are less specific.
const CLI::App& checked_command(const CLI::App& app, const std::vector<std::string>& words) {
    if (app.get_subcommands({}).empty()) {
        check_options(app, words);
        return app;
    }
    const CLI::App* const sub = find_command(app, words);
    if (sub == nullptr) {
        check_options(app, std::span(words).first(1));
        return app;
    }
    return *sub;
}

int parse_and_call(int argc, char** argv, CLI::App& app, const configuration& configure) {
    command chosen;
    app.formatter(std::make_shared<help_formatter>());
    app.set_help_flag("-h,--help", "show this help");
    app.set_version_flag("--version", app.get_name() + " " RANGEIO_VERSION_STRING, "show the version");
    configure(app, chosen);

    std::string asked_for = app.get_name();  // the part that was parsed, for "see ... --help"
    try {
        const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
        const CLI::App& named = checked_command(app, words);
        if (&named != &app) {
            asked_for += ' ' + named.get_name();
            check_options(named, words);
        }
        app.parse(argc, argv);
        chosen();
    } catch (const CLI::Success& asked) {
        // --help and --version: CLI11 would print them itself; all output goes through write_out().
        std::ostringstream text;
        app.exit(asked, text, text);
        write_out(text.str());
    } catch (const CLI::ParseError& wrong) {
        complain(fmt::format("{} (see {} --help)", wrong.what(), asked_for));
        return exit_usage;
    } catch (const usage_failed& wrong) {
        complain(fmt::format("{} (see {} --help)", wrong.what(), asked_for));
        return exit_usage;
    }
    close_out();
    return EXIT_SUCCESS;
}

}  // namespace

int run_application(int argc, char** argv, CLI::App& app, const configuration& configure) {
    prepare_process(app.get_name());
    rangeio::tune_malloc();
    ignore_mutex_deadlocks();
    // gRPC logs the errors that this program reports itself.
    rangeio::quiet_grpc_log();
    try {
        return parse_and_call(argc, argv, app, configure);
    } catch (const interrupted& stop) {
        if (*stop.what() != '\0') complain(stop.what());
        die_of(stop.signal());
    } catch (const std::bad_alloc&) {
        complain("out of memory");
    } catch (const std::exception& wrong) {
        complain(wrong.what());
    }
    return exit_failed;
}

}  // namespace rangeio::tool
