#pragma once

#include "temporary_file.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace rangeio::tool {

/// A file that appears under its name when it is complete, replacing an existing one, or not at all. Until then it has
/// a temporary name in the same directory; the destructor removes the temporary file.
///
/// Errors: `failed`, naming the target file.
class output_file {
public:
    /// Creates the file, and reserves `size` bytes where the file system can: a full disk is detected before any byte
    /// is read.
    output_file(std::filesystem::path path, std::uint64_t size, file_calls& calls = file_calls::real());

    void append(std::span<const std::byte> bytes);
    /// Syncs the bytes to disk, then renames the file: even after a crash of the system there is never a file with this
    /// name and without its bytes.
    ///
    /// The new file takes over the permissions (read, write, execute, the access control list) of the file that it
    /// replaces and, for root, its owner and group. Other users take over the group if that is allowed; otherwise the
    /// permissions of the different group are restricted to those of others.
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
