#pragma once

#include "grpc/wire_reader.hpp"

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace rangeio::wire {

/// One ObjectRangeData: a piece of one range.
struct data_chunk {
    std::int64_t read_id = 0;
    std::int64_t read_offset = 0;
    std::int64_t read_length = 0;
    bool has_read_range = false;
    bool range_end = false;
    bool has_data = false;  ///< there is a checksummed_data; its content may be empty
    extent payload;
    std::optional<std::uint32_t> crc32c;  ///< of the payload, as the service computed it
};

/// A BidiReadObjectResponse, as places in the message that it was decoded from.
struct read_response {
    boost::container::small_vector<data_chunk, 4> chunks;

    /// The serialized Object. A message may legally hold several parts of it; protobuf merges them in their
    /// order, so whoever wants the object does the same: one MergeFromString(copy_of(message, part)) for
    /// each. None: no metadata.
    boost::container::small_vector<extent, 1> metadata;

    /// The opaque bytes of the BidiReadHandle.
    std::optional<extent> read_handle;

    /// Empties it and keeps its memory for the next message.
    void clear() noexcept;
};

enum class decode_status { ok, malformed, above_limit, out_of_memory };

struct decode_result {
    decode_status status = decode_status::ok;
    const char* what = "";  ///< why not, a static string

    explicit operator bool() const noexcept { return status == decode_status::ok; }
};

/// Decodes a BidiReadObjectResponse that lies in a list of slices (empty ones are allowed), without copying
/// any of it: on the wire a payload precedes the read_id that tells where it belongs, so copying comes after
/// decoding.
///
/// Result:    what protobuf's parser makes of the same bytes: any order of fields, unknown fields skipped,
///            sub-messages that occur again merged, the last value of a scalar kept. The object in `metadata`
///            is not looked into: its errors appear when it is parsed.
/// Lifetimes: `out` refers to `message` by index only; the slices have to outlive the use of the extents.
/// Errors:    malformed where protobuf would reject it; above_limit where it has more chunks or parts of metadata than
///            limits.hpp allows; out_of_memory. `out` is empty then.
/// Guarantee: no exception; no allocation up to four chunks and one part of metadata, or as many as `out`
/// ever held.
decode_result decode_read_response(std::span<const slice> message, read_response& out) noexcept;

/// Calls `f(slice)` for each contiguous, non-empty run of the extent, in order.
template <class F>
void for_each_run(std::span<const slice> message, extent where, F f) {
    std::size_t offset = where.offset;
    for (std::size_t i = where.slice; where.size != 0; ++i) {
        const slice run = message[i].subspan(offset, std::min(where.size, message[i].size() - offset));
        if (!run.empty()) {
            f(run);
        }
        where.size -= run.size();
        offset = 0;
    }
}

/// The bytes of the extent as one string.
std::string copy_of(std::span<const slice> message, extent where);

}  // namespace rangeio::wire
