#pragma once

#include "emulator/store/stored_object.hpp"
#include "emulator/store/unique_fd.hpp"

#include <sys/stat.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::emulator {

/// The regular files and the directories in one directory, in the order of the object names that they begin: a
/// directory's name ends with a slash, so `a-b` precedes `a/`, as `a-b` precedes `a/c`.
using directory_names = std::shared_ptr<const std::vector<std::string>>;

/// Reads directories, and caches the names of large ones: a listing by pages would otherwise read and sort them for
/// every page.
///
/// Threads: all members may be called concurrently.
class directory_cache {
public:
    /// Throws: call_error.
    directory_names read(const unique_fd& directory, const std::string& name);

private:
    struct entry {
        file_identity identity;
        directory_names names;
    };

    std::mutex mutex_;
    std::deque<entry> entries_;  // oldest first
    std::size_t names_ = 0;      // in all entries
};

/// The objects below a bucket's directory in the order of their names; directories are read only when the walk reaches
/// them.
class directory_walk {
public:
    struct item {
        /// Ends with a slash if it is the name of a folder.
        std::string name;
        bool folder = false;
        struct stat state{};
    };

    /// `display_name`: the bucket's name in messages.
    directory_walk(directory_cache& cache, unique_fd bucket, std::string display_name);

    /// Skips all names below `floor`, without reading the directories that contain no others.
    void skip_to(std::string floor);

    /// The next object or folder; a folder immediately precedes its contents.
    std::optional<item> next();

private:
    struct frame {
        unique_fd directory;
        std::string path;  // empty, or ends with a slash
        directory_names names;
        std::size_t at = 0;
    };

    void enter(unique_fd directory, std::string path);
    bool is_below_floor(std::string_view name) const noexcept;
    void pass_floor(frame& where) const;

    directory_cache& cache_;
    std::string display_name_;
    std::string floor_;
    std::vector<frame> frames_;
    bool enter_next_ = false;  // the directory at the top frame's position was returned, but not entered
};

}  // namespace rangeio::emulator
