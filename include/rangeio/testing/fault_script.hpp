#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::testing {

/// A misbehavior of a service towards its clients; on a BidiReadObject call unless otherwise stated.
enum class fault_kind {
    latency,           ///< waits `delay` before a response
    bandwidth,         ///< sends at most `bytes` in a second
    slow_open,         ///< waits `delay` before the first response
    fail_open,         ///< ends the call with `status` instead of its first response
    hang_open,         ///< never answers
    reset,             ///< ends the call with `status`
    redirect,          ///< ends the call with a redirect (ABORTED), perhaps a routing `token` or a handle
    range_error,       ///< ends the call with `status`, and names the range in it
    bad_checksum,      ///< sends a checksum that is not that of the bytes
    wrong_offset,      ///< sends an offset that is `bytes` higher than that of the bytes
    surplus,           ///< sends `bytes` more than the range has
    short_end,         ///< ends the range `bytes` early
    unknown_id,        ///< also sends a chunk for a range that the client has not requested
    repeat,            ///< sends a chunk twice
    late_id,           ///< sends an empty chunk for a range that has ended
    no_range_end,      ///< omits the end of the range
    double_range_end,  ///< sends the end of the range twice
    empty_range_end,   ///< sends the end of the range in an empty chunk of its own
    no_metadata,  ///< leaves out the object's metadata; without `call` only where a read handle makes up for it
    new_handle,      ///< sends another read handle
    batch,           ///< puts up to `bytes` chunks into one message, of ranges in turn
    chunk,           ///< sends at most `bytes` in a chunk
    idle_abort,      ///< ends the call with ABORTED when it was idle for `delay`
    ok_early,        ///< ends the call with OK while ranges are pending
    mute,            ///< never answers the range
    goaway,          ///< ends the connection, as a server that shuts down does
    new_generation,  ///< has replaced the object, for the calls that follow
    grow,            ///< appends `bytes` to the object
    old_size,  ///< serves the call from an unfinalized object as it was before its last `bytes` were appended
    silent_connection,  ///< the connection of the call becomes silent: it carries nothing any more, and remains open
    slow_link,  ///< all calls of all connections together get at most `bytes` in a second, from this call on
    max_streams,     ///< a connection serves at most `bytes` calls at once; others wait. Service-wide
    too_many_pings,  ///< ends the connection, as a server does whose client pings it too often
    outage,          ///< ends all connections, and refuses new ones for `delay`
    no_generation,   ///< omits the generation from the object's metadata
    no_checksum,     ///< sends a chunk without a checksum
    wild_timestamp,  ///< sends times of the object that no clock can represent
    long_details,    ///< sends `bytes` of text for each range that it rejects
    giant_message,   ///< sends a chunk in a message of `bytes` more than it needs
    empty_chunks,    ///< sends `bytes` empty chunks of no range along with a chunk
    fail_metadata,   ///< ends a call for metadata with `status`. Those calls are counted separately
    hang_metadata,   ///< never answers a call for metadata
    repeat_page,     ///< sends a page of a listing with the token of the request as the next one
    empty_page,      ///< sends a page without names, and a token that is new but leads nowhere else
    unordered_page,  ///< repeats the first name of a page after its last
};

/// One line of a script: a fault, its place, and how often it strikes.
///
/// Calls and ranges are counted from 1, in the order in which they were begun; ranges within their call. `byte` is the
/// place: the number of payload bytes of the range, or of the call if no range is named, that have been sent.
class fault {
public:
    fault_kind kind = fault_kind::reset;
    std::uint64_t call = 0;   ///< 0: any
    std::uint64_t range = 0;  ///< 0: any
    std::uint64_t byte = 0;
    std::uint64_t times = 1;  ///< the most strikes, over all calls; 0: no limit
    unsigned percent = 100;   ///< the chance of each strike

    std::chrono::nanoseconds delay{0};
    /// The wait that the status requests (google.rpc.RetryInfo); 0: none.
    std::chrono::nanoseconds retry_after{0};
    std::uint64_t bytes = 0;
    int status = 0;     ///< a gRPC status code
    std::string token;  ///< any bytes; empty: none
    bool handle = false;
    bool distinct = false;  ///< no two chunks of one range in a message

    friend bool operator==(const fault&, const fault&) = default;
};

/// Faults, in the order in which they are considered.
///
/// As text: `KIND [KEY=VALUE]...`, one a line or separated by `;`; `#` begins a comment. Kinds are written with
/// hyphens. Keys are call, range, byte, times, chance (`10%`), delay (`5ms`), bytes, status (`UNAVAILABLE` or a
/// number), retry-after (`2s`), token (`no`: none; `\xHH` in it is a byte), handle and distinct (`yes`, `no`); each
/// kind takes only the keys that it uses.
///
/// As JSON: an array of objects with `"kind"` and the same keys; counts are numbers, `"handle"` and `"distinct"` are
/// true or false. Or an object with such an array as `"faults"`, and optionally a `"seed"`.
class fault_script {
public:
    fault_script() = default;

    /// Takes both forms.
    ///
    /// Throws: std::invalid_argument that names the error and its place.
    static fault_script parse(std::string_view text);
    /// In the forms that parse() takes.
    std::string text() const;
    std::string json() const;

    std::vector<fault> faults;
    /// The seed of the chances, where the service draws them itself. Only JSON has it.
    std::optional<std::uint64_t> seed;
};

std::string_view to_string(fault_kind kind) noexcept;

/// All kinds, for code that lists or draws them.
const std::vector<fault_kind>& fault_kinds();

}  // namespace rangeio::testing
