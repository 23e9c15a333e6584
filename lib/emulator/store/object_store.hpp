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
/// Names are sent by peers, so every step down the tree opens one component relative to the directory above it and
/// never through a symbolic link: no name leads out of the root, and there is no moment between a check and a use.
/// (`openat2` would do it in one call, but a container's filter may forbid it, and a fallback would be a second
/// implementation that can be wrong.)
///
/// Threads: all members may be called concurrently.
class object_store {
public:
    /// The names `BUCKET/OBJECT` in `unfinalized` are objects that are still being appended to, as long as their files
    /// are writable.
    ///
    /// Throws: rangeio::error, naming the path, when the root is not a readable directory.
    object_store(std::filesystem::path root, std::set<std::string> unfinalized);

    /// The live generation of an object. The cost does not depend on the size: a checksum that is not cheap is computed
    /// in the background. May wait for a tick of the file system's clock: two states within one tick cannot be
    /// distinguished.
    ///
    /// Throws: call_error NOT_FOUND; INVALID_ARGUMENT for unusable names; RESOURCE_EXHAUSTED without descriptors.
    object_ptr open(std::string_view bucket, std::string_view object);

    /// Puts a newer generation of the same size in the place of an object; every byte is the complement of the old one.
    /// The replacement is in memory: the file is not changed, and the next change of the file ends the replacement.
    /// Takes as long as copying the object.
    ///
    /// Throws: call_error.
    void replace(std::string_view bucket, std::string_view object);
    /// Appends `bytes` bytes to an object, in memory as above; the appended byte at offset n is n modulo 251. The
    /// generation stays the same.
    void grow(std::string_view bucket, std::string_view object, std::int64_t bytes);

    /// The directory of a bucket.
    ///
    /// Throws: call_error NOT_FOUND.
    unique_fd open_bucket(std::string_view bucket) const;

    /// A directory below that of a bucket.
    ///
    /// Throws: as `open`.
    unique_fd open_folder(std::string_view bucket, std::string_view folder) const;

    /// The generation that `open` would report for a file in this state.
    std::int64_t generation_of(std::string_view bucket, std::string_view object, const struct stat& st) const;

    bool is_finalized(std::string_view bucket, std::string_view object, const struct stat& st) const;

    /// Stops the computation of checksums.
    void request_stop() noexcept { checksums_.request_stop(); }
    std::stop_token stop_token() const noexcept { return checksums_.stop_token(); }

    /// Missing buckets that calls have named.
    std::set<std::string> missing_buckets() const { return missing_buckets_.read(); }
    /// The names in `unfinalized` that no call has found and that do not exist now.
    std::set<std::string> missing_unfinalized() const;

private:
    // The state of one name. Kept when the file is replaced, so that the next generation is greater even if the file
    // system's clock has not ticked.
    struct entry {
        file_identity identity;  // of the file
        std::int64_t generation = 0;
        object_ptr object;
        bool in_memory = false;  // the object is in memory, in the place of the file
        std::list<std::string>::iterator use;
    };

    /// Null: the file may still change without a new time of change.
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
