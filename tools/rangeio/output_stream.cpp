#include "output_stream.hpp"

#include "process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace rangeio::tool {
namespace {

int open_device(const std::filesystem::path& path) {
    for (;;) {
        const int fd = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 || errno != EINTR) return fd;
    }
}

}  // namespace

// A descriptor of its own: closing it tells the same, and the other is left to its owner.
output_stream::output_stream(const open_descriptor& target)
    : name_(target.name), fd_(::fcntl(target.fd, F_DUPFD_CLOEXEC, 0)) {
    if (fd_ < 0) throw file_failed(name_, errno);
}

output_stream::output_stream(const device& target)
    : name_(target.path.string()), fd_(open_device(target.path)) {
    if (fd_ < 0) throw file_failed(name_, errno);
}

output_stream::~output_stream() {
    if (fd_ >= 0) ::close(fd_);
}

void output_stream::append(std::span<const std::byte> bytes) {
    write_all(fd_, bytes, name_);
}

void output_stream::finish() {
    struct stat st{};
    // Its blocks are written later, and their errors told to whoever asks.
    if (::fstat(fd_, &st) == 0 && S_ISBLK(st.st_mode) && ::fsync(fd_) != 0) throw file_failed(name_, errno);
    if (::close(std::exchange(fd_, -1)) != 0) throw file_failed(name_, errno);
}

}  // namespace rangeio::tool
