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

/// What tells one state of a file from another.
struct file_identity {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    /// Cannot be set back by a program, unlike the time of modification.
    std::int64_t changed_ns = 0;

    static file_identity of(const struct stat& st) noexcept;
    bool operator==(const file_identity&) const = default;
};

/// One generation of one object: a file, opened once and shared by all calls that read it.
///
/// A file that is replaced (by rename) while it is being read goes on being served from here. A file that is modified or
/// cut short in place is not: each read finds out. That is why the file is read and not mapped: a mapping of what was cut
/// off ends the process.
///
/// Threads: all members are safe to call at once.
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

    /// The same as it was before its last `bytes` were appended; empty if it has no more.
    /// Throws call_error RESOURCE_EXHAUSTED without descriptors.
    std::shared_ptr<const stored_object> before(std::int64_t bytes) const;

    const std::string& display_name() const noexcept { return display_name_; }
    const file_identity& identity() const noexcept { return identity_; }
    std::int64_t size() const noexcept { return identity_.size; }
    std::int64_t generation() const noexcept { return generation_; }
    bool finalized() const noexcept { return finalized_; }

    /// Requires: the range lies in the object.
    /// Throws call_error NOT_FOUND when the file is no longer what was opened: then this generation is gone.
    void read(std::int64_t offset, std::span<std::byte> out) const;

    /// The CRC32C of the whole object, if it is quick. Throws as `read`.
    std::optional<std::uint32_t> checksum() const;
    /// Whether it is known, or so small that nobody has to wait for it.
    bool checksum_is_quick() const noexcept;
    /// Whether `compute_checksum` takes no longer than a call may wait: the file has little data, whatever its size.
    bool checksum_is_cheap() const noexcept { return cheap_; }
    /// Computed once, even when many ask at the same time. Holes of the file cost nothing.
    /// Throws call_error as `read`, and ABORTED once `give_up` returns true.
    void compute_checksum(const std::function<bool()>& give_up) const;

private:
    void check() const;
    /// Calls `part(offset, end)` for what is no hole, in order, until it returns false.
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
