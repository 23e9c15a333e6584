#pragma once

#include "common/file_calls.hpp"

#include <filesystem>

namespace rangeio::tool {

/// A temporary file in the directory of its target, with a name derived from the target's: `.rangeio-HASH-NUMBER`.
///
/// A lock on it shows other processes that its owner is alive; an unlocked file was left by a process that was killed.
/// The lock is held from before the file is first written until it has its final name or is removed, and only its
/// holder removes or renames the file.
///
/// Errors: `failed`, naming the target file.
class temporary_file {
public:
    static constexpr int max_copies = 16;

    /// Removes the files that dead processes left for `target`, then creates the file.
    ///
    /// Throws: `failed`, also if `max_copies` are in progress.
    temporary_file(std::filesystem::path target, mode_t mode, file_calls& calls);
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    /// Removes the file, unless it was published.
    ~temporary_file();

    int fd() const noexcept { return fd_; }
    /// Closes the file for writing, and renames it to its final name.
    void publish();

private:
    std::filesystem::path name_of(int number) const;
    void remove_leftover(const std::filesystem::path& name) const;
    bool create(const std::filesystem::path& name, mode_t mode);
    void close(int& fd) noexcept;
    [[noreturn]] void fail(int errno_value) const;

    std::filesystem::path target_;
    file_calls& calls_;
    std::filesystem::path name_;  // empty: there is none
    int fd_ = -1;
    int lock_ = -1;  // the same open file: closing fd_ reports errors, and the lock is still held
};

}  // namespace rangeio::tool
