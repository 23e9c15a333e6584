#pragma once

#include <rangeio/observer.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace rangeio::tool {

/// Reports on standard error that the endpoint does not answer, the only event that is shown without `--verbose`: a
/// mistyped address looks like a service that will be back in a moment.
class waiting_notice final : public observer {
public:
    void on_event(const event& what) noexcept override;
};

/// The output of `--verbose`: a line on standard error for each event, and a summary at the end.
///
/// Events are reported on threads that must not block, and standard error may be a pipe without a reader: so another
/// thread writes. Lines that arrive while a thousand of them wait are counted and dropped.
class event_log final : public observer {
public:
    event_log();
    event_log(const event_log&) = delete;
    event_log& operator=(const event_log&) = delete;
    ~event_log() override { finish(); }

    void on_event(const event& what) noexcept override;
    /// Writes the remaining lines, and the summary. Later events are not shown.
    ///
    /// Threads: not to be called by several threads at once.
    void finish() noexcept;

private:
    void write_lines();
    std::string summary() const;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::string> lines_;
    bool finished_ = false;
    std::uint64_t lost_ = 0;
    std::uint64_t opened_ = 0, ended_ = 0, resumed_ = 0, redirected_ = 0, stalled_ = 0, retired_ = 0;
    std::uint64_t refused_ = 0, rejected_chunks_ = 0, unchecked_chunks_ = 0, orphan_bytes_ = 0, waits_ = 0;
    std::chrono::nanoseconds wait_time_{0};
    std::thread writer_;
};

}  // namespace rangeio::tool
