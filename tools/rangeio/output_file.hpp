#pragma once

#include "temporary_file.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace rangeio::tool {

/// A file that appears under its name when it is complete, in place of one that was there, or not at all.
///
/// Until then it has a temporary name in the same directory, which the destructor removes.
/// Errors: `failed`, naming the file that was asked for.
class output_file {
public:
    /// Creates it, and reserves `size` bytes where the file system can: a full disk is noticed before anything
    /// is read.
    output_file(std::filesystem::path path, std::uint64_t size, file_calls& calls = file_calls::real());

    void append(std::span<const std::byte> bytes);
    /// Has the bytes on disk, then gives the file its name: never a file with its name and without its bytes,
    /// whatever happens to the machine.
    ///
    /// A file that is replaced passes on its permissions (read, write, execute, the access control list) and, if
    /// this is root, its owner and group; else the group if that is allowed, or the permissions of a group that is another one are cut to
    /// those of others.
    void publish();

private:
    void take_permissions();
    void take_acl(bool any);
    [[noreturn]] void fail(int errno_value) const;

    std::filesystem::path path_;
    file_calls& calls_;
    temporary_file temporary_;
};

}  // namespace rangeio::tool
