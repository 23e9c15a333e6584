#pragma once

#include <rangeio/byte_range.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rangeio::tool {

/// One read of a trace.
struct traced_read {
    byte_range range;
    /// The time that the reader spends before it.
    std::chrono::milliseconds think{0};
};

/// Reads of one length at equal distances.
struct read_run {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t count = 1;
    /// From the offset of one read to that of the next; may be negative.
    std::int64_t step = 0;
    /// The time before each read.
    std::chrono::milliseconds think{0};
};

/// Reads of one object, in order. Kept as runs, in loops that repeat them; a cursor enumerates the reads.
class read_trace {
public:
    /// The limits of a trace that is parsed.
    static constexpr std::uint64_t max_reads = 10'000'000;
    static constexpr std::uint64_t max_read_bytes = std::uint64_t{4} << 30;

    explicit read_trace(std::uint64_t object_bytes) : object_bytes_(object_bytes) {}

    /// Parses the text of a trace; docs/traces.md describes its lines.
    ///
    /// Throws: `std::invalid_argument`, whose text begins with `name` and the number of the line.
    static read_trace parse(std::string_view text, std::string_view name);

    /// The runs that are added from now on are read `count` times, in turn: each time `step` bytes further on.
    void repeat(std::uint64_t count, std::int64_t step);
    /// Throws: `std::invalid_argument` if a read is not within the object.
    void add(const read_run& run);

    std::uint64_t object_bytes() const noexcept { return object_bytes_; }
    std::uint64_t reads() const noexcept { return reads_; }
    /// The sum of the reads' lengths.
    std::uint64_t bytes() const noexcept { return bytes_; }
    std::uint64_t longest() const noexcept { return longest_; }

private:
    friend class trace_cursor;

    struct loop {
        std::uint64_t count = 1;
        std::int64_t step = 0;
        std::vector<read_run> runs;
    };

    std::uint64_t object_bytes_;
    std::uint64_t reads_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t longest_ = 0;
    std::vector<loop> loops_ = std::vector<loop>(1);
};

/// Enumerates the reads of a trace, which has to outlive it.
class trace_cursor {
public:
    explicit trace_cursor(const read_trace& trace) : trace_(&trace) {}

    /// Empty after the last read.
    std::optional<traced_read> next();

private:
    const read_trace* trace_;
    std::size_t loop_ = 0;
    std::uint64_t pass_ = 0;  // of that loop
    std::size_t run_ = 0;
    std::uint64_t read_ = 0;  // of that run
};

}  // namespace rangeio::tool
