#include "output_stream.hpp"

#include "common/process.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace rangeio::tool {
namespace {

int open_device(const std::filesystem::path& path, file_calls& calls) {
    for (;;) {
        const int fd = calls.open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC, 0);
        if (fd >= 0 || errno != EINTR) return fd;
    }
}

}  // namespace

// A duplicate: closing it reports the same errors, and the original descriptor is left to its owner.
output_stream::output_stream(const open_descriptor& target, file_calls& calls)
    : name_(target.name), calls_(calls), fd_(calls.duplicate(target.fd)) {
    if (fd_ < 0) throw file_failed(name_, errno);
}

output_stream::output_stream(const device& target, file_calls& calls)
    : name_(target.path.string()), calls_(calls), fd_(open_device(target.path, calls)) {
    if (fd_ < 0) throw file_failed(name_, errno);
}

output_stream::~output_stream() {
    if (fd_ >= 0) calls_.close(fd_);
}

void output_stream::append(std::span<const std::byte> bytes) {
    write_all(fd_, bytes, name_, calls_);
}

void output_stream::finish() {
    struct stat st{};
    // A block device writes its blocks later, and reports their errors to a sync only.
    if (::fstat(fd_, &st) == 0 && S_ISBLK(st.st_mode) && calls_.sync(fd_) != 0)
        throw file_failed(name_, errno);
    if (calls_.close(std::exchange(fd_, -1)) != 0) throw file_failed(name_, errno);
}

}  // namespace rangeio::tool
