#include "common/help.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr std::size_t left_column = 30;
constexpr std::size_t right_edge = 96;

// The words of `text`, wrapped from column `indent` on; the first line begins at column `used`.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t used) {
    std::string out(used < indent ? indent - used : 0, ' ');
    std::size_t column = indent;
    while (!text.empty()) {
        const std::size_t length = std::min(text.find(' '), text.size());
        if (column > indent && column + 1 + length > right_edge) {
            out += '\n' + std::string(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, length);
        column += length;
        text.remove_prefix(std::min(length + 1, text.size()));
    }
    return out + '\n';
}

std::string entry(const std::string& left, const std::string& what) {
    std::string out = "  " + left;
    std::size_t used = out.size();
    if (used + 2 > left_column) {
        out += '\n';
        used = 0;
    }
    return out + wrapped(what, left_column, used);
}

bool repeats(const CLI::Option& option) {
    return option.get_expected_max() >= CLI::detail::expected_max_vector_size;
}

std::string argument_name(const CLI::Option& option) {
    return option.get_name(true, false) + (repeats(option) ? "..." : "");
}

std::string option_entry(const CLI::Option& option) {
    std::string left = option.get_name(false, true);
    // Prints `-h,--help` as `-h, --help`.
    if (const std::size_t comma = left.find(','); comma != std::string::npos) left.insert(comma + 1, " ");
    if (!option.get_option_text().empty()) left += ' ' + option.get_option_text();
    std::string what = option.get_description();
    const std::string& fallback = option.get_default_str();
    if (!fallback.empty() && option.get_type_size() != 0) what += fmt::format(" (default: {})", fallback);
    return entry(left, what);
}

std::string usage(const CLI::App& app, const std::string& name) {
    std::string out = "Usage: " + name;
    out += app.get_subcommands({}).empty() ? " [OPTION]..." : " COMMAND [OPTION]...";
    for (const CLI::Option* argument : app.get_options()) {
        if (!argument->get_positional()) continue;
        const std::string shown = argument_name(*argument);
        out += argument->get_required() ? ' ' + shown : " [" + shown + ']';
    }
    return out + '\n';
}

std::string full_name(const CLI::App& app) {
    const CLI::App* const parent = app.get_parent();
    return parent == nullptr ? app.get_name() : full_name(*parent) + ' ' + app.get_name();
}

}  // namespace

std::string help_formatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
    std::string out = usage(*app, full_name(*app)) + '\n' + wrapped(app->get_description(), 0, 0);
    const auto commands = app->get_subcommands({});
    if (!commands.empty()) out += "\nCommands:\n";
    for (const CLI::App* sub : commands) {
        const std::string& what = sub->get_description();
        out += entry(sub->get_name(), what.substr(0, what.find('.')));
    }
    const auto arguments = app->get_options([](const CLI::Option* o) { return o->get_positional(); });
    if (!arguments.empty()) out += "\nArguments:\n";
    for (const CLI::Option* argument : arguments) {
        out += entry(argument_name(*argument), argument->get_description());
    }
    // In the order of declaration, but help last.
    std::vector<std::string> groups = app->get_groups();
    for (const std::string& group : groups) {
        const auto options = app->get_options([&group](const CLI::Option* o) {
            return o->get_group() == group && o->nonpositional();
        });
        if (options.empty()) continue;
        out += '\n' + group + ":\n";
        for (const CLI::Option* option : options) {
            if (option != app->get_help_ptr()) out += option_entry(*option);
        }
        for (const CLI::Option* option : options) {
            if (option == app->get_help_ptr()) out += option_entry(*option);
        }
    }
    if (!app->get_footer().empty()) out += '\n' + app->get_footer() + '\n';
    return out;
}

}  // namespace rangeio::tool
