#pragma once

#include "emulator/store/unique_fd.hpp"

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

namespace rangeio::emulator {

/// The attributes that distinguish one state of a file from another.
struct file_identity {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    /// A program cannot set it back, unlike the time of modification.
    std::int64_t changed_ns = 0;

    static file_identity of(const struct stat& st) noexcept;
    bool operator==(const file_identity&) const = default;
};

/// One generation of one object: a file, opened once and shared by all calls that read it.
///
/// A file that is replaced (by rename) while it is being read continues to be served from here. A file that is modified
/// or truncated in place does not: each read detects the change. For this reason the file is read and not mapped:
/// access to the mapping of truncated bytes would end the process.
///
/// Threads: all members may be called concurrently.
class stored_object {
public:
    stored_object(
        std::string display_name,
        unique_fd file,
        const file_identity& identity,
        std::int64_t generation,
        bool finalized
    );
    stored_object(const stored_object&) = delete;
    stored_object& operator=(const stored_object&) = delete;

    /// The same object as it was before its last `bytes` bytes were appended; empty if it has no more than `bytes`.
    ///
    /// Throws: call_error RESOURCE_EXHAUSTED without descriptors.
    std::shared_ptr<const stored_object> before(std::int64_t bytes) const;

    const std::string& display_name() const noexcept { return display_name_; }
    const file_identity& identity() const noexcept { return identity_; }
    std::int64_t size() const noexcept { return identity_.size; }
    std::int64_t generation() const noexcept { return generation_; }
    bool finalized() const noexcept { return finalized_; }

    /// Requires: the range lies in the object.
    /// Throws:   call_error NOT_FOUND when the file is no longer the one that was opened: then this generation is lost.
    void read(std::int64_t offset, std::span<std::byte> out) const;

    /// The CRC32C of the whole object, if it is quick to compute.
    ///
    /// Throws: as `read`.
    std::optional<std::uint32_t> checksum() const;
    /// Whether the checksum is known, or the object so small that computing it delays no call.
    bool checksum_is_quick() const noexcept;
    /// Whether `compute_checksum` takes no longer than a call may wait: the file has little data, whatever its size.
    bool checksum_is_cheap() const noexcept { return cheap_; }
    /// Computes the checksum once, even when several callers ask at the same time. Holes of the file cost nothing.
    ///
    /// Throws: call_error as `read`, and ABORTED once `give_up` returns true.
    void compute_checksum(const std::function<bool()>& give_up) const;

private:
    void check() const;
    /// Calls `part(offset, end)` for the parts of the file that are not holes, in order, until it returns false.
    template <class Part>
    void for_each_part(Part part) const;
    bool has_little_data() const;

    std::string display_name_;
    unique_fd file_;
    file_identity identity_;
    std::int64_t generation_;
    bool finalized_;
    bool cheap_;
    mutable std::once_flag once_;
    mutable std::atomic<bool> known_{false};
    mutable std::uint32_t checksum_ = 0;
};

using object_ptr = std::shared_ptr<const stored_object>;

}  // namespace rangeio::emulator
