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

/// One ObjectRangeData: a chunk of one range.
struct data_chunk {
    std::int64_t read_id = 0;
    std::int64_t read_offset = 0;
    std::int64_t read_length = 0;
    bool has_read_range = false;
    bool range_end = false;
    bool has_data = false;  ///< there is a checksummed_data; its content may be empty
    extent payload;
    std::optional<std::uint32_t> crc32c;  ///< of the payload, computed by the service
};

/// A BidiReadObjectResponse, as extents in the message from which it was decoded.
struct read_response {
    boost::container::small_vector<data_chunk, 4> chunks;

    /// The serialized Object. A message may legally hold several fragments of it, which protobuf merges in their order;
    /// the concatenation of copy_of(message, fragment) has the same effect. None: no metadata.
    boost::container::small_vector<extent, 1> metadata;

    /// The opaque bytes of the BidiReadHandle.
    std::optional<extent> read_handle;

    /// Removes all content and keeps the memory for the next message.
    void clear() noexcept;
};

enum class decode_status { ok, malformed, above_limit, out_of_memory };

struct decode_result {
    decode_status status = decode_status::ok;
    const char* what = "";  ///< the error, a static string

    explicit operator bool() const noexcept { return status == decode_status::ok; }
};

/// Decodes a BidiReadObjectResponse in a list of slices (empty ones are allowed) without copying: on the wire a payload
/// precedes the read_id of its range, so it can be copied only after the decoding.
///
/// Returns:   the result of protobuf's parser for the same bytes: any order of fields, unknown fields skipped, repeated
///            sub-messages merged, the last value of a scalar kept. The object in `metadata` is not decoded: its errors
///            appear when it is.
/// Lifetimes: `out` refers to `message` by index only; the slices must outlive the use of the extents.
/// Errors:    malformed where protobuf would reject it; above_limit for more chunks or fragments of metadata than
///            limits.hpp allows; out_of_memory. `out` is empty then.
/// Guarantee: no exception; no allocation up to four chunks and one fragment of metadata, or as many as `out` ever
///            held.
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
