#include "output_target.hpp"

#include "common/printable.hpp"
#include "common/process.hpp"
#include "common/units.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <system_error>

namespace rangeio::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file_name = 255;
constexpr int max_links = 40;  // as Linux

std::string file_name_of(const std::string& object) {
    const std::string base = object.substr(object.rfind('/') + 1);
    const bool control =
        std::ranges::any_of(base, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (base.empty() || base == "." || base == ".." || control || base.size() > max_file_name) {
        throw failed(fmt::format(
            "the object's name ends with '{}', which is not a valid file name: specify the file to write",
            printable(base)
        ));
    }
    return base;
}

// The number of the own descriptor that `path` leads to: /dev/stdout, /dev/fd/3. Opening the path anew would write a
// file from its beginning, and would fail for a socket.
std::optional<int> descriptor_of(fs::path path) {
    const fs::path ours = fmt::format("/proc/{}/fd", ::getpid());
    std::error_code problem;
    for (int links = 0; links < max_links; ++links) {
        if (fs::canonical(path.has_parent_path() ? path.parent_path() : ".", problem) == ours) {
            const auto fd = parse_number(path.filename().native());
            if (!fd || *fd > std::numeric_limits<int>::max()) return std::nullopt;
            return static_cast<int>(*fd);
        }
        if (problem) return std::nullopt;
        const fs::path next = fs::read_symlink(path, problem);
        if (problem) return std::nullopt;
        path = path.parent_path() / next;
    }
    return std::nullopt;
}

open_descriptor open_for_writing(int fd, std::string name) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) throw file_failed(name, errno);
    if ((flags & O_ACCMODE) == O_RDONLY) throw file_failed(name, EBADF);
    return {fd, std::move(name)};
}

}  // namespace

output_target find_target(const std::string& target, const std::string& name) {
    if (target == "-") return open_for_writing(STDOUT_FILENO, "standard output");
    fs::path path(target);
    struct stat st{};
    // A trailing slash denotes a directory.
    const bool directory = target.ends_with('/');
    if (directory || (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))) path /= file_name_of(name);
    if (const auto fd = descriptor_of(path)) return open_for_writing(*fd, path.string());

    if (::stat(path.c_str(), &st) != 0) {
        const int why = errno;
        if (why != ENOENT) throw file_failed(path.string(), why);
        if (::lstat(path.c_str(), &st) == 0) {
            throw failed(fmt::format("{}: a broken symbolic link", path.string()));
        }
        return plain_file{path};
    }
    if (S_ISDIR(st.st_mode)) throw file_failed(path.string(), EISDIR);
    if (!S_ISREG(st.st_mode)) return device{path};
    // The link stays, its target is replaced.
    std::error_code problem;
    const fs::path real = fs::canonical(path, problem);
    if (problem) throw file_failed(path.string(), problem.value());
    return plain_file{real};
}

}  // namespace rangeio::tool
