#include "output_file.hpp"

#include "process.hpp"
#include "units.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_file_name = 255;
constexpr int max_attempts = 100;

std::string file_name_of(const std::string& object) {
    const std::string base = object.substr(object.rfind('/') + 1);
    const bool control =
        std::ranges::any_of(base, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (base.empty() || base == "." || base == ".." || control || base.size() > max_file_name) {
        throw failed(fmt::format(
            "the object's name ends in '{}', which is no name for a file: say which file to write",
            printable(base)
        ));
    }
    return base;
}

}  // namespace

std::filesystem::path output_path(const std::string& target, const std::string& name) {
    std::filesystem::path path(target);
    struct stat st{};
    // A slash at the end: a directory is meant.
    const bool directory = target.ends_with('/');
    if (directory || (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))) path /= file_name_of(name);

    if (::lstat(path.c_str(), &st) != 0) {
        if (errno != ENOENT) throw file_failed(path.string(), errno);
        return path;
    }
    if (S_ISLNK(st.st_mode)) {
        std::error_code problem;
        const auto real = std::filesystem::canonical(path, problem);
        if (problem) throw failed(fmt::format("{}: a symbolic link to nowhere", path.string()));
        path = real;
        if (::stat(path.c_str(), &st) != 0) throw file_failed(path.string(), errno);
    }
    // A device would be replaced by a file, not written to.
    if (!S_ISREG(st.st_mode)) throw failed(fmt::format("{}: not a regular file", path.string()));
    return path;
}

output_file::output_file(std::filesystem::path path, std::uint64_t size) : path_(std::move(path)) {
    create();
    if (size == 0 || ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) == 0) return;
    if (const int why = errno; why == ENOSPC || why == EFBIG || why == EDQUOT) {
        ::close(fd_);
        ::unlink(temporary_.c_str());
        throw file_failed(path_.string(), why);
    }
}

void output_file::create() {
    std::random_device random;
    for (int attempt = 0; attempt < max_attempts; ++attempt) {
        // Short: with the file's own name in it, it could be too long for the file system.
        const std::string name = fmt::format(".rangeio-{:08x}{:08x}", random(), random());
        temporary_ = path_.parent_path() / name;
        fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd_ >= 0) return;
        if (errno != EEXIST) break;
    }
    throw file_failed(path_.string(), errno);
}

output_file::~output_file() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void output_file::append(std::span<const std::byte> bytes) {
    write_all(fd_, bytes, path_.string());
}

void output_file::publish() {
    if (::fsync(fd_) != 0) throw file_failed(path_.string(), errno);
    if (::close(std::exchange(fd_, -1)) != 0) throw file_failed(path_.string(), errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw file_failed(path_.string(), errno);
    temporary_.clear();
}

}  // namespace rangeio::tool
