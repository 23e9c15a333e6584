#pragma once

#include <sys/types.h>

#include <cstddef>

namespace rangeio::tool {

/// The system calls that write files, each with the result and `errno` of the system. Tests derive from this class to
/// make them fail.
class file_calls {
public:
    file_calls() = default;
    file_calls(const file_calls&) = delete;
    file_calls& operator=(const file_calls&) = delete;
    virtual ~file_calls() = default;

    /// The calls of the system.
    static file_calls& real();

    virtual int open(const char* path, int flags, mode_t mode);
    virtual int duplicate(int fd);
    /// Acquires an exclusive lock on the open file, without waiting.
    virtual int lock(int fd);
    virtual int reserve(int fd, off_t bytes);
    virtual ssize_t write(int fd, const std::byte* bytes, std::size_t count);
    virtual int change_owner(int fd, uid_t owner, gid_t group);
    virtual int change_mode(int fd, mode_t mode);
    virtual int sync(int fd);
    virtual int close(int fd);
    virtual int rename(const char* from, const char* to);
    virtual int remove(const char* path);
};

}  // namespace rangeio::tool
