#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace rangeio {

/// What may happen to a pool and its streams; and which members of `event` say more.
enum class event_kind {
    /// A stream is open. `time`: since its opening was begun.
    stream_opened,
    /// Its call ended, and not because this side wanted it. `why`, empty if with OK; `attempt`: attempts that are
    /// used up since the last progress. What follows is stream_resuming, stream_ended, or, if no range is under way,
    /// nothing.
    stream_broke,
    /// The same, because the service wants the next call to go elsewhere.
    stream_redirected,
    /// Its call is given up, for no byte came. `time`: the stall timeout.
    stream_stalled,
    /// Its call is given up, for it owes too much that nobody wants. `bytes`: so many.
    stream_retired,
    /// Another call is to be made. `attempt`; `time`: after a wait of so long.
    stream_resuming,
    /// That call has been answered, on a stream that had opened before. `time`: since the call was begun.
    stream_resumed,
    /// Nothing of the stream is left. `why`, empty if it was closed as asked.
    stream_ended,
    /// A piece of `range` was not what was due: its checksum, its offset, surplus bytes. It is asked for again, or
    /// the range fails with this. `why`; `bytes`: of the piece, which is dropped.
    rejected_chunk,
    /// The service refused `range`. `why`.
    range_refused,
    /// Bytes came for a range that was over, and were dropped. `bytes`.
    orphans_dropped,
    /// Somebody who had to wait got a lease. `time`: after so long.
    lease_waited,
    /// The pool is closed and the last of its streams has ended.
    pool_closed,
    /// The client's endpoint has not answered any call since the first one was made. Told once by a client, with no
    /// object. `time`: for so long; `why`: which endpoint.
    waiting_for_connection,
    /// A piece of `range` came without a checksum, and counts all the same. `bytes`.
    unchecked_chunk,
};

/// Something that happened. Valid as long as the observer is being called.
class event {
public:
    event(event_kind what, const object_ref& which) noexcept : kind(what), object(which) {}

    event_kind kind;
    const object_ref& object;
    /// Which stream, numbered from 1 by its pool; 0: the event is the pool's.
    std::uint64_t stream = 0;
    unsigned attempt = 0;
    std::uint64_t bytes = 0;
    byte_range range;
    std::chrono::nanoseconds time{0};
    failure why;
};

/// Hears what happens behind the reads of a client or a pool. Set by `client_options::observe` or
/// `pool_options::observe`; without one, nothing is done for it but to look.
///
/// Threads:    on whatever thread it happens: those of gRPC, those of the execution context, whoever calls the pool.
///             Several at once. Of one stream, what concerns its calls is told in order, rejected chunks and orphans in
///             between. Under no lock of the library, so pools may be asked for their stats().
/// Must not:   block (one of gRPC's few threads may be waiting for it), throw, or destroy the pool or the client.
/// Lifetimes:  kept by the client, and by pools and streams until the last has ended; so it may be dropped by any
///             thread.
/// Secrets:    events have neither tokens nor read handles. Texts in `why` may come from the service.
class observer {
public:
    virtual ~observer() = default;
    virtual void on_event(const event& what) noexcept = 0;
};

/// As it is written in code: "stream_opened".
const char* to_string(event_kind kind) noexcept;

/// One line for people, without the object: "stream 1 opened after 3.2 ms". Allocates, so not for delivering threads.
std::string to_string(const event& what);

}  // namespace rangeio
