#pragma once

#include <filesystem>
#include <string>
#include <variant>

namespace rangeio::tool {

/// A descriptor of this process.
struct open_descriptor {
    int fd = -1;
    std::string name;
};
/// A pipe, a terminal or another device: it is written to.
struct device {
    std::filesystem::path path;
};
/// A file, which is replaced, or does not exist yet and is created. Not a symbolic link.
struct plain_file {
    std::filesystem::path path;
};
using output_target = std::variant<open_descriptor, device, plain_file>;

/// The place that `cp` writes to for `target` and an object called `name`. A symbolic link is followed; in a directory
/// it is a file with the last part of `name`, which is used in this case only; `-`, `/dev/stdout` and the like are
/// descriptors, which are written from their current position on.
///
/// Throws: `failed` if the last part of `name` cannot be a file name, or `target` cannot be written to.
output_target find_target(const std::string& target, const std::string& name);

}  // namespace rangeio::tool
