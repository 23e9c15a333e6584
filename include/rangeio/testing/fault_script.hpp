#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rangeio::testing {

/// What a service can do to its clients, on a BidiReadObject call if nothing else is said.
enum class fault_kind {
    latency,           ///< waits `delay` before a response
    bandwidth,         ///< sends at most `bytes` in a second
    slow_open,         ///< waits `delay` before the first response
    fail_open,         ///< ends the call with `status` instead of its first response
    hang_open,         ///< never answers
    reset,             ///< ends the call with `status`
    redirect,          ///< ends it with ABORTED and a redirect, perhaps with a routing `token`, or a handle
    range_error,       ///< ends it with `status`, and blames the range
    bad_checksum,      ///< sends a checksum that is not that of the bytes
    wrong_offset,      ///< says that the bytes lie `bytes` further on than they do
    surplus,           ///< sends `bytes` more than the range has
    short_end,         ///< ends the range `bytes` early
    unknown_id,        ///< sends a chunk for a range that nobody asked for, too
    repeat,            ///< sends a chunk twice
    late_id,           ///< sends an empty chunk for a range that is over
    no_range_end,      ///< does not say that the range is over
    double_range_end,  ///< says it twice
    empty_range_end,   ///< says it in an empty chunk of its own
    no_metadata,  ///< leaves the object's metadata out; without `call` only where a read handle makes up for it
    new_handle,      ///< sends another read handle
    batch,           ///< puts up to `bytes` chunks into one message, of ranges in turn
    chunk,           ///< sends at most `bytes` in a chunk
    idle_abort,      ///< ends the call with ABORTED when it was idle for `delay`
    ok_early,        ///< ends it with OK while ranges are pending
    mute,            ///< never answers the range
    goaway,          ///< ends the connection, as a server that shuts down does
    new_generation,  ///< has replaced the object, for the calls that follow
    grow,            ///< appends `bytes` to the object
    old_size,  ///< serves the call from an unfinalized object as it was before its last `bytes` were appended
    silent_connection,  ///< the connection of the call falls silent: nothing passes on it any more, and it stays open
    slow_link,  ///< all calls of all connections together get at most `bytes` in a second, from this call on
    max_streams,     ///< a connection serves at most `bytes` calls at once; others wait. Of the whole service
    too_many_pings,  ///< ends the connection as a server does whose client pings it too often
    outage,          ///< ends all connections, and refuses new ones for `delay`
    no_generation,   ///< leaves the generation out of the object's metadata
    no_checksum,     ///< sends a chunk without a checksum
    wild_timestamp,  ///< tells of times of the object that no clock can express
    long_details,    ///< says `bytes` of text of each range that it refuses
    giant_message,   ///< sends a chunk in a message of `bytes` more than it needs
    empty_pieces,    ///< sends `bytes` empty chunks of no range along with a chunk
    fail_metadata,   ///< ends a call for metadata with `status`. Those calls are counted by themselves
    hang_metadata,   ///< never answers one
    repeat_page,     ///< sends a page of a listing with the token that it was asked for
    empty_page,      ///< sends one without names, and a token that is new but leads nowhere else
    unordered_page,  ///< sends one with a name again behind its last
};

/// One line of a script: what happens, where, and how often.
///
/// Calls and ranges are counted from 1, in the order in which they were begun; a range among those of its call. `byte` is
/// the place: so many payload bytes of the range, or of the call if no range is named, have been sent.
class fault {
public:
    fault_kind kind = fault_kind::reset;
    std::uint64_t call = 0;   ///< 0: any
    std::uint64_t range = 0;  ///< 0: any
    std::uint64_t byte = 0;
    std::uint64_t times = 1;  ///< how often at the most, over all calls; 0: no limit
    unsigned percent = 100;   ///< how likely each time

    std::chrono::nanoseconds delay{0};
    std::uint64_t bytes = 0;
    int status = 0;     ///< a gRPC status code
    std::string token;  ///< any bytes; empty: none
    bool handle = false;
    bool distinct = false;  ///< no two chunks of one range

    friend bool operator==(const fault&, const fault&) = default;
};

/// Faults, in the order in which they are considered.
///
/// As text: `KIND [KEY=VALUE]...`, one a line or separated by `;`; `#` begins a comment. Kinds are written with hyphens.
/// Keys are call, range, byte, times, chance (`10%`), delay (`5ms`), bytes, status (`UNAVAILABLE` or a number), token
/// (`no`: none; `\xHH` in it is a byte), handle and distinct (`yes`, `no`); each kind takes those that mean something to
/// it.
///
/// As JSON: an array of objects with `"kind"` and the same keys; counts are numbers, `"handle"` and `"distinct"` are true or false. Or an
/// object with such an array as `"faults"`, and perhaps a `"seed"`.
class fault_script {
public:
    fault_script() = default;

    /// Takes both forms. Throws std::invalid_argument that names what is wrong, and where.
    static fault_script parse(std::string_view text);
    /// In the forms that parse() takes.
    std::string text() const;
    std::string json() const;

    std::vector<fault> faults;
    /// What chances are drawn from, where the service is one that draws. Only JSON has it.
    std::optional<std::uint64_t> seed;
};

std::string_view to_string(fault_kind kind) noexcept;

/// All kinds, for those who list or draw them.
const std::vector<fault_kind>& fault_kinds();

}  // namespace rangeio::testing
