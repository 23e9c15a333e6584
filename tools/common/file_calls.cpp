#include "common/file_calls.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace rangeio::tool {

file_calls& file_calls::real() {
    static file_calls calls;
    return calls;
}

int file_calls::open(const char* path, int flags, mode_t mode) {
    return ::open(path, flags, mode);
}
int file_calls::duplicate(int fd) {
    return ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
int file_calls::lock(int fd) {
    return ::flock(fd, LOCK_EX | LOCK_NB);
}
int file_calls::reserve(int fd, off_t bytes) {
    return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes);
}
ssize_t file_calls::write(int fd, const std::byte* bytes, std::size_t count) {
    return ::write(fd, bytes, count);
}
int file_calls::change_owner(int fd, uid_t owner, gid_t group) {
    return ::fchown(fd, owner, group);
}
int file_calls::change_mode(int fd, mode_t mode) {
    return ::fchmod(fd, mode);
}
int file_calls::sync(int fd) {
    return ::fsync(fd);
}
int file_calls::close(int fd) {
    return ::close(fd);
}
int file_calls::rename(const char* from, const char* to) {
    return ::rename(from, to);
}
int file_calls::remove(const char* path) {
    return ::unlink(path);
}

}  // namespace rangeio::tool
