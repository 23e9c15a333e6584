#pragma once

#include <cstdint>

namespace rangeio {

/// Counts of the streams of a pool since it was made, taken in one step. Each count increases immediately before its
/// event is reported, see `observer`.
class stream_stats {
public:
    /// Calls that resumed a stream which had opened before, and were answered.
    std::uint64_t resumed = 0;
    /// Calls that ended with a redirect.
    std::uint64_t redirected = 0;
    /// Calls that were abandoned because no byte arrived.
    std::uint64_t stalled = 0;
    /// Calls that were abandoned because they owed too many orphan bytes.
    std::uint64_t retired = 0;
    /// Ranges that the service rejected by name.
    std::uint64_t refused = 0;
    /// Rejected chunks: those with a wrong checksum, without a required one, with a wrong offset or surplus bytes.
    std::uint64_t rejected_chunks = 0;
    /// Those of them with a wrong checksum.
    std::uint64_t checksum_failures = 0;
    /// Chunks that arrived without a checksum, and were accepted.
    std::uint64_t unchecked_chunks = 0;
    /// Bytes that arrived for ranges that were done, and were dropped.
    std::uint64_t orphan_bytes = 0;

    friend bool operator==(const stream_stats&, const stream_stats&) = default;
};

}  // namespace rangeio
