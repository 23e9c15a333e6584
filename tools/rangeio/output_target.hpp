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
/// A file, which is replaced, or none: it is created. No symbolic link.
struct plain_file {
    std::filesystem::path path;
};
using output_target = std::variant<open_descriptor, device, plain_file>;

/// Where `cp` writes for `target` and an object called `name`. A symbolic link is followed; in a directory it is
/// a file with the last part of the name; `-`, `/dev/stdout` and their like are descriptors, which are written
/// on from where they are.
///
/// Throws: `failed` if the name's last part cannot be a file's name, or `target` cannot be written to; `name`
/// is asked for in a directory only.
output_target find_target(const std::string& target, const std::string& name);

}  // namespace rangeio::tool
