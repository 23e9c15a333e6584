#pragma once

#include <rangeio/byte_block.hpp>
#include <rangeio/byte_range.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace rangeio {

/// The options of a read, which checks them.
class read_options {
public:
    read_options() = default;

    /// Whether a range may extend past the end of the object; then fewer bytes are read. Otherwise such a range is an
    /// error.
    ///
    /// Default:  false.
    read_options& allow_short(bool allowed) {
        allow_short_ = allowed;
        return *this;
    }
    bool allow_short() const noexcept { return allow_short_; }

    /// The time limit of the whole read, in wall time, including waits for streams; zero: no limit; negative: it
    /// expires at once (errc::timed_out).
    ///
    /// Default:  zero.
    read_options& timeout(std::chrono::nanoseconds limit) {
        timeout_ = limit;
        return *this;
    }
    std::chrono::nanoseconds timeout() const noexcept { return timeout_; }

private:
    bool allow_short_ = false;
    std::chrono::nanoseconds timeout_{0};
};

/// The options of a read through a pool, with its division into parts.
class fetch_options : public read_options {
public:
    fetch_options() = default;
    fetch_options(const read_options& how) : read_options(how) {}

    /// The maximum number of parts of one read, 1 to 1024. This is the demand; the number of streams that serve the
    /// parts is set by `pool_options::size`.
    ///
    /// Default:  4.
    fetch_options& concurrency(std::size_t parts) {
        concurrency_ = parts;
        return *this;
    }
    std::size_t concurrency() const noexcept { return concurrency_; }

    /// The minimum length of a part, unless the read itself is shorter: count = min(concurrency, length / min_chunk),
    /// at least 1.
    ///
    /// Units:    bytes, at least 1.
    /// Default:  2 MiB, the maximum payload of one message.
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

/// The options of a read of scattered ranges, with the way in which they are joined and split into requests.
class fetch_ranges_options {
public:
    fetch_ranges_options() = default;

    /// The maximum gap between ranges that are read as one; the bytes of the gap are dropped. Zero joins ranges that
    /// touch or overlap.
    ///
    /// Units:    bytes.
    /// Default:  off; every range is read by itself.
    fetch_ranges_options& max_gap_bytes(std::optional<std::uint64_t> bytes) {
        max_gap_bytes_ = bytes;
        return *this;
    }
    std::optional<std::uint64_t> max_gap_bytes() const noexcept { return max_gap_bytes_; }

    /// The maximum length of a joined range.
    ///
    /// Units:    bytes, at least 1.
    /// Default:  64 MiB.
    fetch_ranges_options& max_merged_bytes(std::uint64_t bytes) {
        max_merged_bytes_ = bytes;
        return *this;
    }
    std::uint64_t max_merged_bytes() const noexcept { return max_merged_bytes_; }

    /// The length of the requests into which longer ranges are split, which are sent on several streams.
    ///
    /// Units:    bytes, at least 1.
    /// Default:  8 MiB.
    fetch_ranges_options& unit_bytes(std::uint64_t bytes) {
        unit_bytes_ = bytes;
        return *this;
    }
    std::uint64_t unit_bytes() const noexcept { return unit_bytes_; }

    /// The time limit of all ranges together, in wall time; zero: no limit; negative: it expires at once
    /// (errc::timed_out).
    ///
    /// Default:  zero.
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

    /// The offset of `bytes` in the object.
    std::uint64_t offset = 0;
    byte_block bytes;
};

}  // namespace rangeio
