#include "common/event_log.hpp"

#include "common/process.hpp"

#include <fmt/format.h>

#include <utility>

namespace rangeio::tool {
namespace {

constexpr std::size_t max_lines = 1000;

}  // namespace

void waiting_notice::on_event(const event& what) noexcept {
    if (what.kind != event_kind::waiting_for_connection) return;
    try {
        complain(what.why.message());
    } catch (...) {
        // Out of memory: the command reports the failure at its end, too.
    }
}

event_log::event_log() : writer_([this] { write_lines(); }) {}

void event_log::on_event(const event& what) noexcept {
    std::string line;
    try {
        line = to_string(what);
        if (what.kind != event_kind::waiting_for_connection) {
            line = fmt::format("{}: {}", what.object.to_string(), line);
        }
    } catch (...) {
        line.clear();  // counted as lost
    }
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    switch (what.kind) {
        case event_kind::stream_opened: ++opened_; break;
        case event_kind::stream_ended: ++ended_; break;
        case event_kind::stream_resumed: ++resumed_; break;
        case event_kind::stream_redirected: ++redirected_; break;
        case event_kind::stream_stalled: ++stalled_; break;
        case event_kind::stream_retired: ++retired_; break;
        case event_kind::range_refused: ++refused_; break;
        case event_kind::rejected_chunk: ++rejected_chunks_; break;
        case event_kind::unchecked_chunk: ++unchecked_chunks_; break;
        case event_kind::orphans_dropped: orphan_bytes_ += what.bytes; break;
        case event_kind::lease_waited:
            ++waits_;
            wait_time_ += what.time;
            break;
        case event_kind::stream_broke:
        case event_kind::stream_resuming:
        case event_kind::pool_closed:
        case event_kind::waiting_for_connection: break;
    }
    if (line.empty() || lines_.size() >= max_lines) {
        ++lost_;
        return;
    }
    try {
        lines_.push_back(std::move(line));
    } catch (...) {
        ++lost_;
    }
    wake_.notify_one();
}

void event_log::finish() noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
    }
    wake_.notify_one();
    writer_.join();
    try {
        complain(summary());
    } catch (...) {
        // Out of memory: the summary cannot be formatted.
    }
}

void event_log::write_lines() {
    std::unique_lock lock(mutex_);
    while (!finished_ || !lines_.empty()) {
        wake_.wait(lock, [this] { return finished_ || !lines_.empty(); });
        if (lines_.empty()) continue;
        const std::string line = std::move(lines_.front());
        lines_.pop_front();
        lock.unlock();
        complain(line);
        lock.lock();
    }
}

std::string event_log::summary() const {
    return fmt::format(
        "summary: opened={} ended={} resumed={} redirected={} stalled={} retired={} refused={} "
        "rejected_chunks={} "
        "unchecked_chunks={} orphan_bytes={} waits={} wait_ms={:.1f} lines_lost={}",
        opened_,
        ended_,
        resumed_,
        redirected_,
        stalled_,
        retired_,
        refused_,
        rejected_chunks_,
        unchecked_chunks_,
        orphan_bytes_,
        waits_,
        std::chrono::duration<double, std::milli>(wait_time_).count(),
        lost_
    );
}

}  // namespace rangeio::tool
