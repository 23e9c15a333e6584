#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace rangeio::tool {

/// The help of this command: description, usage, arguments, options by group, examples (the footer), wrapped at 96
/// columns.
class help_formatter : public CLI::Formatter {
public:
    std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace rangeio::tool
