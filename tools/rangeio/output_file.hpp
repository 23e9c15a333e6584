#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace rangeio::tool {

/// Where `cp` writes for `target` and an object called `name`: in a directory a file with the last part of
/// the name; a symbolic link is followed.
///
/// Throws: `failed` if the name's last part cannot be a file's name, or the target is neither a regular file,
/// a directory nor missing.
std::filesystem::path output_path(const std::string& target, const std::string& name);

/// A file that appears under its name when it is complete, in place of one that was there, or not at all.
///
/// Until then it has a temporary name in the same directory, which the destructor removes.
/// Errors: `failed`, naming the file that was asked for.
class output_file {
public:
    /// Creates it, with the permissions that the umask leaves, and reserves `size` bytes where the file
    /// system can: a full disk is noticed before anything is read.
    output_file(std::filesystem::path path, std::uint64_t size);
    output_file(const output_file&) = delete;
    output_file& operator=(const output_file&) = delete;
    ~output_file();

    void append(std::span<const std::byte> bytes);
    /// Has the bytes on disk, then gives the file its name: never a file with its name and without its bytes,
    /// whatever happens to the machine.
    void publish();

private:
    void create();

    std::filesystem::path path_;
    std::filesystem::path temporary_;
    int fd_ = -1;
};

}  // namespace rangeio::tool
