#include "emulator/store/directory_walk.hpp"

#include "emulator/store/file_error.hpp"
#include "emulator/store/object_names.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rangeio::emulator {
namespace {

constexpr std::size_t min_remembered_names = 1000;
constexpr std::size_t max_remembered_names = 2'000'000;
// A directory that has just changed may change again without a new time of change, which has a resolution of
// milliseconds.
constexpr std::int64_t settled_ns = 2'000'000'000;
constexpr int listing_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

bool is_settled(const file_identity& directory) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec - directory.changed_ns > settled_ns;
}

// DT_REG or DT_DIR; an entry of another type is no object and contains none.
unsigned char type_of(int directory, const dirent& entry) noexcept {
    if (entry.d_type != DT_UNKNOWN) {
        return entry.d_type;
    }
    struct stat st{};
    if (::fstatat(directory, entry.d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return DT_UNKNOWN;
    }
    return S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN;
}

std::vector<std::string> read_names(const unique_fd& directory, const std::string& name) {
    // A separate descriptor, because the directory stream takes ownership of the one that it is given.
    unique_fd own(::openat(directory.get(), ".", listing_flags));
    if (!own) {
        throw_errno(errno, name, "directory");
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
    if (!stream) {
        throw_errno(errno, name, "directory");
    }
    own.release();
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view text = entry->d_name;
        if (text == "." || text == ".." || !is_object_name(text)) {
            continue;
        }
        const unsigned char type = type_of(directory.get(), *entry);
        if (type == DT_REG) {
            names.emplace_back(text);
        } else if (type == DT_DIR) {
            names.emplace_back(text) += '/';
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

directory_names directory_cache::read(const unique_fd& directory, const std::string& name) {
    struct stat st{};
    if (::fstat(directory.get(), &st) != 0) {
        throw_errno(errno, name, "directory");
    }
    const file_identity identity = file_identity::of(st);
    {
        const std::lock_guard lock(mutex_);
        for (const entry& known : entries_) {
            if (known.identity == identity) {
                return known.names;
            }
        }
    }
    const bool settled = is_settled(identity);
    auto names = std::make_shared<const std::vector<std::string>>(read_names(directory, name));
    if (settled && names->size() >= min_remembered_names && names->size() <= max_remembered_names) {
        const std::lock_guard lock(mutex_);
        entries_.push_back({identity, names});
        names_ += names->size();
        while (names_ > max_remembered_names) {
            names_ -= entries_.front().names->size();
            entries_.pop_front();
        }
    }
    return names;
}

directory_walk::directory_walk(directory_cache& cache, unique_fd bucket, std::string display_name)
    : cache_(cache), display_name_(std::move(display_name)) {
    enter(std::move(bucket), {});
}

void directory_walk::enter(unique_fd directory, std::string path) {
    directory_names names = cache_.read(directory, display_name_ + "/" + path);
    frames_.push_back({std::move(directory), std::move(path), std::move(names)});
}

void directory_walk::skip_to(std::string floor) {
    floor_ = std::max(floor_, std::move(floor));
}

bool directory_walk::is_below_floor(std::string_view name) const noexcept {
    // A directory may contain names above the floor although its own name is below.
    return name < floor_ && !(name.ends_with('/') && floor_.starts_with(name));
}

void directory_walk::pass_floor(frame& where) const {
    const auto end = where.names->end();
    if (!floor_.starts_with(where.path)) {
        where.at = where.names->size();
        return;
    }
    const std::string_view rest = std::string_view(floor_).substr(where.path.size());
    const auto begin = where.names->begin() + static_cast<std::ptrdiff_t>(where.at);
    auto found = std::lower_bound(begin, end, rest);
    // The directory that contains the floor sorts immediately before it.
    if (found != begin && std::prev(found)->ends_with('/') && rest.starts_with(*std::prev(found))) {
        --found;
    }
    where.at = static_cast<std::size_t>(found - where.names->begin());
}

std::optional<directory_walk::item> directory_walk::next() {
    while (!frames_.empty()) {
        frame& top = frames_.back();
        if (top.at == top.names->size()) {
            frames_.pop_back();
            continue;
        }
        const std::string& entry = (*top.names)[top.at];
        std::string name = top.path + entry;
        if (is_below_floor(name)) {
            enter_next_ = false;
            pass_floor(top);
            continue;
        }
        if (entry.ends_with('/')) {
            if (!enter_next_ && name >= floor_) {
                enter_next_ = true;
                return item{std::move(name), true};
            }
            enter_next_ = false;
            ++top.at;
            const std::string plain = entry.substr(0, entry.size() - 1);
            unique_fd below(::openat(top.directory.get(), plain.c_str(), listing_flags));
            if (below) {
                enter(std::move(below), std::move(name));
            } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
                throw_errno(errno, display_name_ + "/" + name, "directory");
            }
            continue;
        }
        ++top.at;
        item found{std::move(name)};
        // The entry may have been removed or replaced since the directory was read.
        if (::fstatat(top.directory.get(), entry.c_str(), &found.state, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(found.state.st_mode) && is_object_name(found.name)) {
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace rangeio::emulator
