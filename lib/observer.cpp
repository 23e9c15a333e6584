#include <rangeio/observer.hpp>

#include <fmt/format.h>

namespace rangeio {
namespace {

std::string milliseconds(std::chrono::nanoseconds time) {
    return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(time).count());
}

std::string reason(const event& what) {
    return what.why ? what.why.message() : "OK";
}

std::string tail_of(const event& what) {
    switch (what.kind) {
        case event_kind::stream_opened: return "opened after " + milliseconds(what.time);
        case event_kind::stream_broke: return fmt::format("broke: {}", reason(what));
        case event_kind::stream_redirected: return "was redirected";
        case event_kind::stream_stalled: return fmt::format("stalled for {}", milliseconds(what.time));
        case event_kind::stream_retired:
            return fmt::format("retired its call: {} orphan bytes due", what.bytes);
        case event_kind::stream_resuming:
            if (what.attempt == 0) return "continues with another call";
            return fmt::format("resumes after {}, attempt {}", milliseconds(what.time), what.attempt);
        case event_kind::stream_resumed: return "resumed after " + milliseconds(what.time);
        case event_kind::stream_ended:
            return what.why ? fmt::format("failed: {}", reason(what)) : std::string("ended");
        case event_kind::rejected_chunk:
            return fmt::format(
                "rejected a chunk of {} bytes of {}: {}", what.bytes, to_string(what.range), reason(what)
            );
        case event_kind::range_refused:
            return fmt::format("was refused {}: {}", to_string(what.range), reason(what));
        case event_kind::orphans_dropped: return fmt::format("dropped {} orphan bytes", what.bytes);
        case event_kind::lease_waited: return "waited " + milliseconds(what.time) + " for a lease";
        case event_kind::pool_closed: return "closed";
        case event_kind::waiting_for_connection:
            return fmt::format("waits for {}: {}", milliseconds(what.time), reason(what));
        case event_kind::unchecked_chunk:
            return fmt::format(
                "received {} bytes of {} without a checksum", what.bytes, to_string(what.range)
            );
    }
    return {};
}

}  // namespace

const char* to_string(event_kind kind) noexcept {
    switch (kind) {
        case event_kind::stream_opened: return "stream_opened";
        case event_kind::stream_broke: return "stream_broke";
        case event_kind::stream_redirected: return "stream_redirected";
        case event_kind::stream_stalled: return "stream_stalled";
        case event_kind::stream_retired: return "stream_retired";
        case event_kind::stream_resuming: return "stream_resuming";
        case event_kind::stream_resumed: return "stream_resumed";
        case event_kind::stream_ended: return "stream_ended";
        case event_kind::rejected_chunk: return "rejected_chunk";
        case event_kind::range_refused: return "range_refused";
        case event_kind::orphans_dropped: return "orphans_dropped";
        case event_kind::lease_waited: return "lease_waited";
        case event_kind::pool_closed: return "pool_closed";
        case event_kind::waiting_for_connection: return "waiting_for_connection";
        case event_kind::unchecked_chunk: return "unchecked_chunk";
    }
    return "";
}

std::string to_string(const event& what) {
    const std::string tail = tail_of(what);
    if (what.kind == event_kind::waiting_for_connection) return "client " + tail;
    return what.stream == 0 ? "pool " + tail : fmt::format("stream {} {}", what.stream, tail);
}

}  // namespace rangeio
