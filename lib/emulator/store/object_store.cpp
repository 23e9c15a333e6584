#include "emulator/store/object_store.hpp"

#include <rangeio/error.hpp>

#include "emulator/protocol/status.hpp"
#include "emulator/store/file_error.hpp"
#include "emulator/store/memory_object.hpp"
#include "emulator/store/object_names.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace rangeio::emulator {
namespace {

// A tick of the file system's clock is at most 10 ms long, but the clock may be set.
constexpr int max_waits = 40;
constexpr std::chrono::milliseconds wait_for_tick{1};

constexpr int directory_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Non-blocking, in case the regular file that was found is replaced by a FIFO before it is opened.
constexpr int file_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

unique_fd open_root(const std::filesystem::path& path) {
    // Readable, not only reachable: a root that cannot be listed is reported at once.
    unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        const int code = errno;
        throw error(error_value(
            error_code(code, boost::system::system_category()),
            fmt::format("cannot serve the directory {}: {}", path.string(), std::strerror(code))
        ));
    }
    return fd;
}

// Each object holds a descriptor even when no call reads it, and connections need descriptors, too.
std::size_t max_open_objects() noexcept {
    constexpr std::size_t most = 256;
    rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return most;
    return std::min<std::size_t>(most, descriptors.rlim_cur / 4);
}

// Whether a file that changes from now on gets a different time of change.
bool is_settled(const struct stat& st) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec != st.st_ctim.tv_sec ? now.tv_sec > st.st_ctim.tv_sec
                                           : now.tv_nsec > st.st_ctim.tv_nsec;
}

std::string key_of(std::string_view bucket, std::string_view object) {
    return fmt::format("{}/{}", bucket, object);
}

}  // namespace

object_store::object_store(std::filesystem::path root, std::set<std::string> unfinalized)
    : root_path_(std::move(root)), root_(open_root(root_path_)), unfinalized_(std::move(unfinalized)) {}

// `name` and `kind` describe the file in the error of a step that fails.
unique_fd object_store::descend(
    std::string_view bucket,
    std::span<const std::string> components,
    const std::string& name,
    std::string_view kind
) const {
    unique_fd directory(::openat(root_.get(), std::string(bucket).c_str(), directory_flags));
    if (!directory) {
        if (errno == ENOENT || errno == ENOTDIR) missing_buckets_.add(bucket);
        throw_errno(errno, fmt::format("gs://{}", bucket), "bucket");
    }
    for (const std::string& component : components) {
        unique_fd next(::openat(directory.get(), component.c_str(), directory_flags));
        if (!next) {
            throw_errno(errno, name, kind);
        }
        directory = std::move(next);
    }
    return directory;
}

unique_fd object_store::open_bucket(std::string_view bucket) const {
    const std::string name(bucket);
    unique_fd fd(::openat(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) missing_buckets_.add(bucket);
        throw_errno(errno, fmt::format("gs://{}", name), "bucket");
    }
    return fd;
}

unique_fd object_store::open_folder(std::string_view bucket, std::string_view folder) const {
    return descend(bucket, components_of(bucket, folder), display_name(bucket, folder), "folder");
}

bool object_store::is_finalized(std::string_view bucket, std::string_view object, const struct stat& st)
    const {
    constexpr mode_t anybody_writes = S_IWUSR | S_IWGRP | S_IWOTH;
    if ((st.st_mode & anybody_writes) == 0) return true;
    return unfinalized_.empty() || !unfinalized_.contains(key_of(bucket, object));
}

std::int64_t object_store::next_generation(const std::string& key, const file_identity& now) const {
    const std::int64_t fresh = std::max<std::int64_t>(now.changed_ns, 1);
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
        return fresh;
    }
    const entry& last = found->second;
    if (last.identity == now) {
        return last.generation;
    }
    // An object that is appended to keeps its generation while it grows.
    const bool grown = unfinalized_.contains(key) && last.identity.device == now.device &&
                       last.identity.inode == now.inode && last.identity.size <= now.size;
    return grown ? last.generation : std::max(fresh, last.generation + 1);
}

std::int64_t object_store::generation_of(
    std::string_view bucket, std::string_view object, const struct stat& st
) const {
    const std::lock_guard lock(mutex_);
    return next_generation(key_of(bucket, object), file_identity::of(st));
}

void object_store::remember(const std::string& key, object_ptr object) {
    const auto [at, added] = entries_.try_emplace(key);
    if (added) {
        at->second.use = uses_.insert(uses_.begin(), key);
    }
    at->second.identity = object->identity();
    at->second.generation = object->generation();
    at->second.object = std::move(object);
    at->second.in_memory = false;
    if (uses_.size() <= max_open_objects()) {
        return;
    }
    // The generations of unfinalized objects are recorded only here, and so are objects in memory: neither is evicted.
    const auto victim = std::find_if(uses_.rbegin(), uses_.rend(), [&](const std::string& candidate) {
        return candidate != key && !unfinalized_.contains(candidate) &&
               !entries_.find(candidate)->second.in_memory;
    });
    if (victim != uses_.rend()) {
        entries_.erase(*victim);
        uses_.erase(std::next(victim).base());
    }
}

void object_store::compute_checksum(const object_ptr& object) {
    if (object->checksum_is_cheap() || !object->finalized()) return;
    checksums_.run([this, weak = std::weak_ptr(object)] {
        const object_ptr alive = weak.lock();
        if (!alive) return;
        const std::stop_token stop = checksums_.stop_token();
        try {
            // The computation also stops when no other owner of the object is left.
            alive->compute_checksum([&] { return stop.stop_requested() || alive.use_count() == 1; });
        } catch (const std::exception&) {
            // The checksum stays unknown.
        }
    });
}

std::set<std::string> object_store::missing_unfinalized() const {
    std::set<std::string> out;
    for (const std::string& key : unfinalized_) {
        {
            const std::lock_guard lock(mutex_);
            if (entries_.contains(key)) continue;
        }
        struct stat st{};
        if (::fstatat(root_.get(), key.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) out.insert(key);
    }
    return out;
}

bool object_store::put_in_memory(
    std::string_view bucket, std::string_view object, const object_ptr& old, object_ptr fresh
) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key_of(bucket, object));
    if (found == entries_.end() || found->second.object != old) {
        return false;
    }
    found->second.generation = fresh->generation();
    found->second.object = std::move(fresh);
    found->second.in_memory = true;
    return true;
}

void object_store::replace(std::string_view bucket, std::string_view object) {
    object_ptr old;
    object_ptr fresh;
    do {
        old = open(bucket, object);
        fresh = complement_of(*old);
    } while (!put_in_memory(bucket, object, old, std::move(fresh)));
}

void object_store::grow(std::string_view bucket, std::string_view object, std::int64_t bytes) {
    object_ptr old;
    object_ptr fresh;
    do {
        old = open(bucket, object);
        fresh = grown(*old, bytes);
    } while (!put_in_memory(bucket, object, old, std::move(fresh)));
}

object_ptr object_store::open(std::string_view bucket, std::string_view object) {
    for (int waits = 0;; ++waits) {
        if (object_ptr opened = open_settled(bucket, object, waits == max_waits)) return opened;
        std::this_thread::sleep_for(wait_for_tick);
    }
}

object_ptr object_store::open_settled(std::string_view bucket, std::string_view object, bool last_chance) {
    const std::vector<std::string> components = components_of(bucket, object);
    const std::string name = display_name(bucket, object);
    const std::string key = key_of(bucket, object);

    // The lock is held while the state of the file is read: otherwise two calls could read two states and record them
    // in the wrong order, and a generation would decrease.
    const std::lock_guard lock(mutex_);
    const unique_fd directory = descend(bucket, {components.data(), components.size() - 1}, name, "object");

    // The type is checked before the file is opened: opening a device or a FIFO has effects.
    struct stat st{};
    if (::fstatat(directory.get(), components.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno(errno, name, "object");
    }
    if (!S_ISREG(st.st_mode)) {
        throw_errno(ENOENT, name, "object");
    }
    if (const auto found = entries_.find(key);
        found != entries_.end() && found->second.identity == file_identity::of(st)) {
        uses_.splice(uses_.begin(), uses_, found->second.use);
        return found->second.object;
    }
    unique_fd file(::openat(directory.get(), components.back().c_str(), file_flags));
    if (!file || ::fstat(file.get(), &st) != 0) {
        throw_errno(errno, name, "object");
    }
    if (!S_ISREG(st.st_mode)) {
        throw_errno(ENOENT, name, "object");
    }
    // An unfinalized object keeps its generation, and may change at any time.
    const bool finalized = is_finalized(bucket, object, st);
    if (finalized && !last_chance && !is_settled(st)) return nullptr;
    const file_identity now = file_identity::of(st);
    auto opened = std::make_shared<const stored_object>(
        name, std::move(file), now, next_generation(key, now), finalized
    );
    remember(key, opened);
    compute_checksum(opened);
    return opened;
}

}  // namespace rangeio::emulator
