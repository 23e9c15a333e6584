#pragma once

#include "emulator/calls/background.hpp"
#include "emulator/store/name_set.hpp"
#include "emulator/store/stored_object.hpp"
#include "emulator/store/unique_fd.hpp"

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace rangeio::emulator {

/// The objects below a directory: `ROOT/BUCKET/OBJECT...`, regular files only.
///
/// Names come from peers, so every step down the tree opens one component relative to the directory above it
/// and never through a symbolic link: there is no name that leaves the root, and no moment between a check
/// and a use. (`openat2` would do it in one call, but a container's filter may forbid it, and two ways are
/// two things to get wrong.)
///
/// Threads: all members are safe to call at once.
class object_store {
public:
    /// The names `BUCKET/OBJECT` in `unfinalized` are objects that are still being appended to, as long as somebody
    /// may write their files.
    /// Throws rangeio::error, naming the path, when the root is not a readable directory.
    object_store(std::filesystem::path root, std::set<std::string> unfinalized);

    /// The live generation of an object. Costs nothing by size: a checksum that is not cheap is computed in the
    /// background. May wait for the file system's clock to tick: two states within one tick look the same.
    /// Throws: call_error NOT_FOUND, for unusable names INVALID_ARGUMENT, without descriptors RESOURCE_EXHAUSTED.
    object_ptr open(std::string_view bucket, std::string_view object);

    /// Puts a newer generation of the same size in the place of an object, each byte of it the complement of the old one.
    /// In memory: the file stays as it is, and whatever happens to it next ends this.
    /// Takes as long as copying the object. Throws call_error.
    void replace(std::string_view bucket, std::string_view object);
    /// Appends `bytes` to an object, that at offset n being n modulo 251. As above; the generation stays.
    void grow(std::string_view bucket, std::string_view object, std::int64_t bytes);

    /// The directory of a bucket. Throws call_error NOT_FOUND.
    unique_fd open_bucket(std::string_view bucket) const;

    /// A directory below that of a bucket. Throws as `open` does.
    unique_fd open_folder(std::string_view bucket, std::string_view folder) const;

    /// The generation that `open` would report of a file in this state.
    std::int64_t generation_of(std::string_view bucket, std::string_view object, const struct stat& st) const;

    bool is_finalized(std::string_view bucket, std::string_view object, const struct stat& st) const;

    /// Checksums are given up.
    void request_stop() noexcept { checksums_.request_stop(); }
    std::stop_token stop_token() const noexcept { return checksums_.stop_token(); }

    /// Buckets that calls named and that are not there.
    std::set<std::string> missing_buckets() const { return missing_buckets_.read(); }
    /// Of the names in `unfinalized`, those that no call has found and that are not there now.
    std::set<std::string> missing_unfinalized() const;

private:
    // What is known of one name. Kept when the file is replaced, so that the next generation is greater even
    // if the file system's clock has not ticked.
    struct entry {
        file_identity identity;  // of the file
        std::int64_t generation = 0;
        object_ptr object;
        bool in_memory = false;  // the object is not the file, but stands in its place
        std::list<std::string>::iterator use;
    };

    /// Null: what is there may still change without a trace.
    object_ptr open_settled(std::string_view bucket, std::string_view object, bool last_chance);
    void compute_checksum(const object_ptr& object);
    unique_fd descend(
        std::string_view bucket,
        std::span<const std::string> components,
        const std::string& name,
        std::string_view kind
    ) const;
    std::int64_t next_generation(const std::string& key, const file_identity& now) const;
    void remember(const std::string& key, object_ptr object);
    /// False: another object has taken the place of `old`.
    bool put_in_memory(
        std::string_view bucket, std::string_view object, const object_ptr& old, object_ptr fresh
    );

    std::filesystem::path root_path_;
    unique_fd root_;
    std::set<std::string> unfinalized_;

    mutable std::mutex mutex_;
    std::map<std::string, entry, std::less<>> entries_;
    std::list<std::string> uses_;  // most recent first
    mutable name_set missing_buckets_;
    background checksums_{1};
};

}  // namespace rangeio::emulator
