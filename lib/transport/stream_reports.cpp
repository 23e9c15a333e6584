#include "transport/stream_reports.hpp"

namespace rangeio::transport {
namespace {

void count(stream_stats& so_far, const event& what) noexcept {
    switch (what.kind) {
        case event_kind::stream_resumed: ++so_far.resumed; break;
        case event_kind::stream_redirected: ++so_far.redirected; break;
        case event_kind::stream_stalled: ++so_far.stalled; break;
        case event_kind::stream_retired: ++so_far.retired; break;
        case event_kind::range_refused: ++so_far.refused; break;
        case event_kind::unchecked_chunk: ++so_far.unchecked_chunks; break;
        case event_kind::orphans_dropped: so_far.orphan_bytes += what.bytes; break;
        case event_kind::rejected_chunk:
            ++so_far.rejected_chunks;
            if (what.why.code() == errc::data_corrupted) ++so_far.checksum_failures;
            break;
        case event_kind::stream_opened:
        case event_kind::stream_broke:
        case event_kind::stream_resuming:
        case event_kind::stream_ended:
        case event_kind::lease_waited:
        case event_kind::pool_closed:
        case event_kind::waiting_for_connection: break;
    }
}

}  // namespace

void stream_reports::tell(const event& what) noexcept {
    {
        const std::lock_guard lock(mutex_);
        count(counted_, what);
    }
    if (observer_ != nullptr) observer_->on_event(what);
}

stream_stats stream_reports::counted() const noexcept {
    const std::lock_guard lock(mutex_);
    return counted_;
}

}  // namespace rangeio::transport
