#include <rangeio/error.hpp>
#include <rangeio/grpc_log.hpp>
#include <rangeio/tune_malloc.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "deadlock_detection.hpp"
#include "help.hpp"
#include "process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace rangeio::tool;

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

int run(int argc, char** argv) {
    CLI::App app("Reads byte ranges of cloud objects over pools of multi-range streams.", "rangeio");
    command chosen;
    app.formatter(std::make_shared<help_formatter>());
    app.set_help_flag("-h,--help", "show this help");
    app.set_version_flag("--version", "rangeio " RANGEIO_VERSION, "show the version");
    app.require_subcommand(1);
    app.footer("'rangeio COMMAND --help' tells more. Exit codes: 0 done, 1 failed, 2 usage.");
    add_cat(app, chosen);
    add_cp(app, chosen);
    add_stat(app, chosen);
    add_ls(app, chosen);
    add_bench(app, chosen);
    add_emulate(app, chosen);
    add_stress(app, chosen);

    std::string asked_for = "rangeio";  // as far as it was understood, for "see ... --help"
    try {
        const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
        const CLI::App* const sub = find_command(app, words);
        if (sub != nullptr) {
            asked_for += ' ' + sub->get_name();
            check_options(*sub, words);
        } else {
            check_options(app, std::span(words).first(1));
        }
        app.parse(argc, argv);
        chosen();
    } catch (const CLI::Success& asked) {
        // --help and --version: CLI11 prints them, and must not do so past us.
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

int main(int argc, char** argv) {
    prepare_process();
    rangeio::tune_malloc();
    ignore_mutex_deadlocks();
    // gRPC writes its own lines about what we report in ours.
    rangeio::quiet_grpc_log();
    try {
        return run(argc, argv);
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
