#include "commands.hpp"
#include "common/application.hpp"

int main(int argc, char** argv) {
    using namespace rangeio::tool;
    CLI::App app("Reads byte ranges of cloud objects over pools of multi-range streams.", "rangeio");
    return run_application(argc, argv, app, [](CLI::App& of, command& chosen) {
        of.require_subcommand(1);
        of.footer(
            "'rangeio COMMAND --help' describes a command. Exit codes: 0 success, 1 failure, 2 usage error."
        );
        add_cat(of, chosen);
        add_cp(of, chosen);
        add_stat(of, chosen);
        add_ls(of, chosen);
        add_bench(of, chosen);
        add_trace(of, chosen);
        add_emulate(of, chosen);
    });
}
