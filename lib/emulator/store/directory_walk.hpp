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

/// The regular files and the directories in one directory, in the order of the object names that they begin:
/// a directory's name ends in a slash, so `a-b` comes before `a/`, as `a-b` does before `a/c`.
using directory_names = std::shared_ptr<const std::vector<std::string>>;

/// Reads directories, and remembers large ones: a listing by pages would read and sort them for every page.
/// Threads: safe to call at once.
class directory_cache {
public:
    /// Throws call_error.
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

/// The objects below a bucket's directory in the order of their names, found as far as they are asked for.
class directory_walk {
public:
    struct item {
        /// Ends in a slash if it is a folder's.
        std::string name;
        bool folder = false;
        struct stat state{};
    };

    /// `display_name` is the bucket's, for messages.
    directory_walk(directory_cache& cache, unique_fd bucket, std::string display_name);

    /// Leaves out all names below `floor`, without looking into the directories that hold nothing else.
    void skip_to(std::string floor);

    /// The next object, or the next folder: each comes right before what is in it.
    std::optional<item> next();

private:
    struct frame {
        unique_fd directory;
        std::string path;  // empty, or ends in a slash
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
    bool enter_next_ = false;  // the directory at the top frame's position was returned, but not looked into
};

}  // namespace rangeio::emulator
