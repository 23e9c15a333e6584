#pragma once

#include <cstdint>

namespace rangeio {

/// What happened to the streams of a pool, counted since it was made and taken in one step. Each count goes up right
/// before its event is told, see `observer`.
class stream_stats {
public:
    /// Calls that went on with a stream which had opened before, and were answered.
    std::uint64_t resumed = 0;
    /// Calls that ended with a redirect.
    std::uint64_t redirected = 0;
    /// Calls that were given up because no byte came.
    std::uint64_t stalled = 0;
    /// Calls that were given up because they owed too many bytes that nobody wanted.
    std::uint64_t retired = 0;
    /// Ranges that the service refused by name.
    std::uint64_t refused = 0;
    /// Pieces of ranges that were not what was due: a wrong checksum, a wrong offset, surplus bytes.
    std::uint64_t rejected_chunks = 0;
    /// Those of them whose checksum was wrong.
    std::uint64_t checksum_failures = 0;
    /// Pieces that came without a checksum, and were taken for right.
    std::uint64_t unchecked_chunks = 0;
    /// Bytes that came for ranges that were over, and were dropped.
    std::uint64_t orphan_bytes = 0;

    friend bool operator==(const stream_stats&, const stream_stats&) = default;
};

}  // namespace rangeio
