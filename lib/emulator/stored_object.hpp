#pragma once

#include "emulator/unique_fd.hpp"

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
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

/// One generation of one object: a file, mapped once and shared by all calls that read it, with the checksums
/// of what was read so far.
///
/// A file that is replaced (by rename) while it is being read goes on being served from here. A file that is
/// modified in place is not: `check()` finds out before the bytes are touched. What remains is the moment
/// between that check and the use of the bytes: a file *cut short* in that moment ends this process with
/// SIGBUS if the bytes are being checksummed, and breaks the connection if the kernel is sending them. So
/// write files next to their place and rename them.
///
/// Threads: all members are safe to call at once.
class stored_object {
public:
    /// Maps `file`. Throws call_error when that fails.
    stored_object(
        std::string display_name,
        unique_fd file,
        const file_identity& identity,
        std::int64_t generation,
        bool finalized
    );
    ~stored_object();
    stored_object(const stored_object&) = delete;
    stored_object& operator=(const stored_object&) = delete;

    const std::string& display_name() const noexcept { return display_name_; }
    const file_identity& identity() const noexcept { return identity_; }
    std::int64_t size() const noexcept { return identity_.size; }
    std::int64_t generation() const noexcept { return generation_; }
    bool finalized() const noexcept { return finalized_; }

    /// Requires: the range lies in the object.
    std::span<const std::byte> bytes(std::int64_t offset, std::int64_t length) const noexcept;

    /// Throws call_error NOT_FOUND when the file is no longer what was mapped: then this generation is gone.
    void check() const;

    /// The CRC32C of a range of the object. Whole blocks are computed once and remembered.
    std::uint32_t checksum(std::int64_t offset, std::int64_t length) const;

    /// The CRC32C of the whole object; computed once, even when many ask at the same time.
    /// Throws call_error ABORTED when it is told to stop before that is done.
    std::uint32_t checksum(const std::stop_token& stop = {}) const;

    /// Whether `checksum()` is known, or so cheap to compute that nobody else has to wait for it.
    bool checksum_is_cheap() const noexcept;

private:
    std::uint32_t block_checksum(std::int64_t block) const;

    std::string display_name_;
    unique_fd file_;
    file_identity identity_;
    std::int64_t generation_;
    bool finalized_;
    const std::byte* data_ = nullptr;

    struct free_deleter {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };
    // One word a block, zero until it is known. From calloc, so that a huge file costs only what is read of
    // it.
    std::unique_ptr<std::uint64_t[], free_deleter> blocks_;
    mutable std::once_flag whole_once_;
    mutable std::atomic<bool> whole_known_{false};
    mutable std::uint32_t whole_ = 0;
};

using object_ptr = std::shared_ptr<const stored_object>;

}  // namespace rangeio::emulator
