#pragma once

#include <rangeio/byte_range.hpp>
#include <rangeio/detail/visibility.hpp>
#include <rangeio/error.hpp>
#include <rangeio/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace rangeio {

/// The kinds of events of a pool and its streams, each with the members of `event` that have details.
enum class event_kind {
    /// A stream is open. `time`: since its opening began.
    stream_opened,
    /// Its call ended, but not by a decision of this side. `why`, empty if it ended with OK; `attempt`: the attempts
    /// used since the last progress. The next event is stream_resuming or stream_ended, or none if no range is pending.
    stream_broke,
    /// The same, because the service redirects the next call.
    stream_redirected,
    /// Its call is abandoned, because no byte arrived. `time`: the stall timeout.
    stream_stalled,
    /// Its call is abandoned, because it owes too many orphan bytes. `bytes`: their number.
    stream_retired,
    /// Another call will be made. `attempt`; `time`: the wait before it.
    stream_resuming,
    /// That call has been answered, on a stream that had opened before. `time`: since the call began.
    stream_resumed,
    /// The stream has ended. `why`, empty if it was closed as requested.
    stream_ended,
    /// A chunk of `range` was rejected: its checksum is wrong, or missing where one is required; its offset is wrong;
    /// or it has surplus bytes. Its bytes are requested again, or the range fails with this error. `why`; `bytes`: the
    /// length of the chunk, which is dropped.
    rejected_chunk,
    /// The service rejected `range`. `why`.
    range_refused,
    /// Bytes arrived for a range that was done, and were dropped. `bytes`.
    orphans_dropped,
    /// A caller that had to wait was granted a lease. `time`: the length of the wait.
    lease_waited,
    /// The pool is closed and the last of its streams has ended.
    pool_closed,
    /// The endpoint of the client has not answered any call since the first one was made. Reported once by a client,
    /// with no object. `time`: since that first call; `why`: the endpoint.
    waiting_for_connection,
    /// A chunk of `range` arrived without a checksum, and was accepted. `bytes`.
    unchecked_chunk,
};

/// An event. Valid until the observer returns.
class event {
public:
    event(event_kind what, const object_ref& which) noexcept : kind(what), object(which) {}

    event_kind kind;
    const object_ref& object;
    /// The number of the stream, from 1 in its pool; 0: the event is the pool's.
    std::uint64_t stream = 0;
    unsigned attempt = 0;
    std::uint64_t bytes = 0;
    byte_range range;
    std::chrono::nanoseconds time{0};
    error_value why;
};

/// Receives the events behind the reads of a client or a pool. Set by `client_options::observe` or
/// `pool_options::observe`; without an observer, the only cost is a check for one.
///
/// Events have neither tokens nor read handles. Texts in `why` may originate from the service.
///
/// Threads:    called on the thread of the event: gRPC's, the execution context's, or that of a caller of the pool; by
///             several at once. Events of the calls of one stream are in order, with those of rejected chunks and
///             orphans in between. No lock of the library is held, so a pool may be asked for its stats().
/// Requires:   on_event() must not block (one of gRPC's few threads may be waiting for it), throw, or destroy the pool
///             or the client.
/// Lifetimes:  kept by the client, and by pools and streams until the last has ended; so any thread may release it.
class RANGEIO_API observer {
public:
    virtual ~observer() = default;
    virtual void on_event(const event& what) noexcept = 0;
};

/// Returns the name of the enumerator: "stream_opened".
RANGEIO_API const char* to_string(event_kind kind) noexcept;

/// Returns one line for people, without the object: "stream 1 opened after 3.2 ms". Allocates, so it must not be called
/// on delivering threads.
RANGEIO_API std::string to_string(const event& what);

}  // namespace rangeio
