#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace rangeio {

/// What a read may do. Checked by the read.
class read_options {
public:
    read_options() = default;

    /// Whether a range may reach past the end of the object: then fewer bytes are read. Default: no, that is
    /// an error.
    read_options& allow_short(bool allowed) {
        allow_short_ = allowed;
        return *this;
    }
    bool allow_short() const noexcept { return allow_short_; }

    /// Wall time for the whole read, waiting for streams included. Default zero: no limit; negative: it is over at once
    /// (errc::timed_out).
    read_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    bool allow_short_ = false;
    std::chrono::nanoseconds timeout_{0};
};

/// And how a read of a pool is cut.
class fetch_options : public read_options {
public:
    fetch_options() = default;
    fetch_options(const read_options& how) : read_options(how) {}

    /// Into how many parts one read is cut at the most, 1 to 1024. Default 4. This is the demand; on how many
    /// streams the parts travel is another matter, see `pool_options::size`.
    fetch_options& concurrency(std::size_t parts) {
        concurrency_ = parts;
        return *this;
    }
    std::size_t concurrency() const noexcept { return concurrency_; }

    /// No part is shorter than this, unless the read is: count = min(concurrency, length / min_chunk), at
    /// least 1. In bytes, at least 1. Default 2 MiB, the most that one message carries.
    fetch_options& min_chunk_bytes(std::uint64_t bytes) {
        min_chunk_bytes_ = bytes;
        return *this;
    }
    std::uint64_t min_chunk_bytes() const noexcept { return min_chunk_bytes_; }

    using read_options::allow_short;
    fetch_options& allow_short(bool allowed) {
        read_options::allow_short(allowed);
        return *this;
    }

    using read_options::timeout;
    fetch_options& timeout(std::chrono::nanoseconds limit) {
        read_options::timeout(limit);
        return *this;
    }

private:
    std::size_t concurrency_ = 4;
    std::uint64_t min_chunk_bytes_ = std::uint64_t{2} << 20;
};

/// How scattered ranges are put together for the service.
class fetch_ranges_options {
public:
    fetch_ranges_options() = default;

    /// Ranges at most this far apart are read as one, and the bytes between them dropped. In bytes; 0 joins
    /// those that touch or overlap. Default: off, every range is read for itself.
    fetch_ranges_options& max_gap_bytes(std::optional<std::uint64_t> bytes) {
        max_gap_bytes_ = bytes;
        return *this;
    }
    std::optional<std::uint64_t> max_gap_bytes() const noexcept { return max_gap_bytes_; }

    /// Ranges are not joined beyond this length. In bytes, at least 1. Default 64 MiB.
    fetch_ranges_options& max_merged_bytes(std::uint64_t bytes) {
        max_merged_bytes_ = bytes;
        return *this;
    }
    std::uint64_t max_merged_bytes() const noexcept { return max_merged_bytes_; }

    /// Longer ones are split into requests of this length, which travel on several streams. In bytes, at
    /// least 1. Default 8 MiB.
    fetch_ranges_options& unit_bytes(std::uint64_t bytes) {
        unit_bytes_ = bytes;
        return *this;
    }
    std::uint64_t unit_bytes() const noexcept { return unit_bytes_; }

    /// Wall time for all ranges together. Default zero: no limit; negative: it is over at once (errc::timed_out).
    fetch_ranges_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    std::optional<std::uint64_t> max_gap_bytes_;
    std::uint64_t max_merged_bytes_ = std::uint64_t{64} << 20;
    std::uint64_t unit_bytes_ = std::uint64_t{8} << 20;
    std::chrono::nanoseconds timeout_{0};
};

/// One of several ranges, and the memory for its bytes.
class range_request {
public:
    range_request() = default;
    range_request(byte_range wanted, std::span<std::byte> memory) : range(wanted), destination(memory) {}

    byte_range range;
    /// At least as long as the range.
    std::span<std::byte> destination;
};

/// The end of an object.
class object_tail {
public:
    object_tail() = default;

    /// Where `bytes` begin in the object.
    std::uint64_t offset = 0;
    byte_block bytes;
};

}  // namespace rangeio
