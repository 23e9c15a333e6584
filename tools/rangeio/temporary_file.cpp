#include "temporary_file.hpp"

#include "common/process.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

namespace rangeio::tool {
namespace {

// FNV-1a. All builds of this program have to compute the same hash: one may find a file that another one has left.
std::uint64_t hash_of(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

// Whether `name` refers to the open file.
bool names(const std::filesystem::path& name, int fd) {
    struct stat named{};
    struct stat opened{};
    return ::lstat(name.c_str(), &named) == 0 && ::fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
}

}  // namespace

temporary_file::temporary_file(std::filesystem::path target, mode_t mode, file_calls& calls)
    : target_(std::move(target)), calls_(calls) {
    for (int number = 0; number < max_copies; ++number) remove_leftover(name_of(number));
    for (int number = 0; number < max_copies; ++number) {
        if (create(name_of(number), mode)) return;
    }
    throw failed(fmt::format("{}: {} other copies to it are in progress", target_.string(), max_copies));
}

temporary_file::~temporary_file() {
    // Removed before the lock is released: afterwards the name may belong to another process.
    if (!name_.empty()) calls_.remove(name_.c_str());
    close(fd_);
    close(lock_);
}

void temporary_file::publish() {
    if (calls_.close(std::exchange(fd_, -1)) != 0) fail(errno);
    if (calls_.rename(name_.c_str(), target_.c_str()) != 0) fail(errno);
    name_.clear();
    close(lock_);
}

// A short name: one that contains the file's own name could be too long for the file system.
std::filesystem::path temporary_file::name_of(int number) const {
    const std::uint64_t hash = hash_of(target_.filename().native());
    return target_.parent_path() / fmt::format(".rangeio-{:016x}-{}", hash, number);
}

// While the lock is held no other process removes or renames the file, so the name still belongs to it when it is
// removed. Its creator may not have locked it yet: the creator then finds it locked or removed, and uses another name.
void temporary_file::remove_leftover(const std::filesystem::path& name) const {
    int fd = calls_.open(name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (fd < 0) return;
    if (calls_.lock(fd) == 0 && names(name, fd)) calls_.remove(name.c_str());
    calls_.close(fd);
}

bool temporary_file::create(const std::filesystem::path& name, mode_t mode) {
    int fd = calls_.open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        if (errno == EEXIST) return false;
        fail(errno);
    }
    // On a file system without locks no leftovers are removed either, so the file is safe without a lock.
    if (calls_.lock(fd) != 0 && errno == EWOULDBLOCK) {
        calls_.close(fd);
        return false;
    }
    if (!names(name, fd)) {
        calls_.close(fd);
        return false;
    }
    fd_ = fd;
    name_ = name;
    lock_ = calls_.duplicate(fd);
    if (lock_ >= 0) return true;
    const int why = errno;
    calls_.remove(name.c_str());
    close(fd_);
    fail(why);
}

void temporary_file::close(int& fd) noexcept {
    if (fd >= 0) calls_.close(std::exchange(fd, -1));
}

void temporary_file::fail(int errno_value) const {
    throw file_failed(target_.string(), errno_value);
}

}  // namespace rangeio::tool
