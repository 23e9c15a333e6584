#include "output_file.hpp"

#include "common/process.hpp"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

namespace rangeio::tool {
namespace {

constexpr mode_t permissions = 0777;

// The temporary file must not be readable by users who could not read the file that it replaces.
mode_t first_mode(const std::filesystem::path& path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 ? 0600 : 0666;
}

}  // namespace

output_file::output_file(std::filesystem::path path, std::uint64_t size, file_calls& calls)
    : path_(std::move(path)), calls_(calls), temporary_(path_, first_mode(path_), calls) {
    if (size == 0) return;
    while (calls_.reserve(temporary_.fd(), static_cast<off_t>(size)) != 0) {
        // The file system does not support reservation.
        if (errno == EOPNOTSUPP || errno == ENOSYS) return;
        if (errno != EINTR) fail(errno);
    }
}

void output_file::append(std::span<const std::byte> bytes) {
    write_all(temporary_.fd(), bytes, path_.string(), calls_);
}

void output_file::publish() {
    take_permissions();
    while (calls_.sync(temporary_.fd()) != 0) {
        if (errno != EINTR) fail(errno);
    }
    temporary_.publish();
}

void output_file::take_permissions() {
    struct stat old{};
    struct stat mine{};
    if (::stat(path_.c_str(), &old) != 0) {
        if (errno == ENOENT) return;
        fail(errno);
    }
    const int fd = temporary_.fd();
    if (::fstat(fd, &mine) != 0) fail(errno);
    mode_t mode = old.st_mode & permissions;
    bool same_group = true;
    const bool other_owner = old.st_uid != mine.st_uid;
    const bool other_group = old.st_gid != mine.st_gid;
    if ((other_owner || other_group) && calls_.change_owner(fd, old.st_uid, old.st_gid) != 0) {
        if (errno != EPERM || ::geteuid() == 0) fail(errno);
        if (other_group && calls_.change_owner(fd, static_cast<uid_t>(-1), old.st_gid) != 0) {
            if (errno != EPERM) fail(errno);
            mode &= ~mode_t{070} | (mode & 07) << 3;
            same_group = false;
        }
    }
    take_acl(same_group);
    if (::fstat(fd, &mine) != 0) fail(errno);
    if ((mine.st_mode & 07777) != mode && calls_.change_mode(fd, mode) != 0) fail(errno);
}

// Where there is an access control list, the group's permissions in the mode are the maximum of all named entries:
// without the list they would be those of the group.
void output_file::take_acl(bool any) {
    constexpr const char* name = "system.posix_acl_access";
    std::vector<char> list(any ? std::size_t{64} << 10 : 0);
    const ssize_t size = any ? ::getxattr(path_.c_str(), name, list.data(), list.size()) : 0;
    if (size > 0) {
        if (::fsetxattr(temporary_.fd(), name, list.data(), static_cast<std::size_t>(size), 0) != 0)
            fail(errno);
    } else {
        // Removes a list that the directory has set by default. It does not matter if there is none, or none is
        // supported.
        ::fremovexattr(temporary_.fd(), name);
    }
}

void output_file::fail(int errno_value) const {
    throw file_failed(path_.string(), errno_value);
}

}  // namespace rangeio::tool
