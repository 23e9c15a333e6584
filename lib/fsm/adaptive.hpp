#pragma once

#include "fsm/link_estimate.hpp"
#include "fsm/prefetch_policy.hpp"
#include "fsm/run_history.hpp"
#include "fsm/scan_cursor.hpp"
#include "fsm/waste_account.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

// The policy that a reader has by default. It follows up to four scans of an object, in either direction, and fetches
// ahead of each what the bytes that it has used have earned, up to what the link needs.
//
// clang-format off
// | cursor    | is                                  | leaves by                                                        |
// |-----------|-------------------------------------|------------------------------------------------------------------|
// | free      | one of eight slots                  | a read that no cursor matches -> candidate                       |
// | candidate | a read, or a few; nothing planned   | score 2 -> running; a newer candidate -> free                    |
// | running   | a scan with a window                | reads elsewhere -> parked; more skipped than used -> candidate   |
// | parked    | a scan that rests, what it has      | a read of it -> running; taken over, evicted -> free             |
// |           | planned is kept while memory allows |                                                                  |
//
// | the window of a scan is the least of | which is                                                                 |
// |--------------------------------------|--------------------------------------------------------------------------|
// | its own                              | 128 KiB, times 4 when a read waits for bytes planned after the last time |
// | its share of what the link needs     | 1.25 x bandwidth x latency + 2 units a stream, divided by the scans      |
// | what it has earned                   | up to 3 x the bytes used, or the rest of the shortest of the last runs   |
// | the allowance of the client          | max(32 MiB, 2 x bandwidth x latency) - its debt                           |
// | the expected end of the run          | where the last runs ended, if they were equal                            |
// clang-format on
//
// A scan without think time waits for ever on a full link, so it is bandwidth x latency that ends the growth, not the
// last wait. Without a bandwidth (there is none before streams bring messages back to back) the other rows bound it.

namespace rangeio::fsm {

class adaptive final : public prefetch_policy {
public:
    struct options {
        std::uint64_t max_window_bytes = std::uint64_t{128} << 20;
        std::uint64_t back_bytes = std::uint64_t{1} << 20;  // kept behind a scan, for reads that go back
        std::size_t streams = 4;
    };

    /// `account` is the client's, for all its readers.
    adaptive(options o, std::shared_ptr<waste_account> account);
    ~adaptive() override;
    adaptive(const adaptive&) = delete;
    adaptive& operator=(const adaptive&) = delete;

    void read_begins(const prefetch_read& read, prefetch_plan& out) override;
    void read_ended(byte_range range, bool ok, prefetch_time now, prefetch_plan& out) override;
    void arrived(const prefetch_arrival& arrival, prefetch_plan& out) override;
    void lost(byte_range range, prefetch_plan& out) override;
    void wasted(std::uint64_t bytes) noexcept override;
    void reset() noexcept override;
    void advise(access_pattern pattern, prefetch_plan& out) override;
    void resize(std::uint64_t bytes) noexcept override { object_bytes_ = bytes; }

    std::uint64_t max_under_way() const noexcept override;
    std::uint64_t window() const noexcept override { return last_window_; }

    // The state, for checkers.
    static constexpr std::size_t max_cursors = 8, max_scans = 4;
    const std::array<scan_cursor, max_cursors>& cursors() const noexcept { return cursors_; }
    const link_estimate& link() const noexcept { return link_; }

private:
    static constexpr double min_allowance = 32.0 * (1 << 20);

    struct extent {
        std::int64_t bytes = 0;
        bool at_end = false;  // of the run, as far as it is known: no more will follow
    };

    // Which scan a read belongs to.
    scan_cursor* match(byte_range range) noexcept;
    void start(scan_cursor& c, scan_span read) noexcept;
    scan_cursor* begin(byte_range range, prefetch_plan& out);
    void step(scan_cursor& c, byte_range range, prefetch_plan& out);
    void establish(scan_cursor& c, prefetch_plan& out);
    void take_over(scan_cursor& c, prefetch_plan& out);
    void end_run(scan_cursor& c) noexcept;
    void park(scan_cursor& c, prefetch_plan& out);
    void resume(scan_cursor& c, prefetch_plan& out);
    void refund(scan_cursor& c) noexcept;
    void drop(scan_cursor& c, prefetch_plan& out);
    void drop_span(const scan_cursor& of, scan_span span, prefetch_plan& out) const;
    // How far ahead of it to fetch.
    void grow(scan_cursor& c, const prefetch_read& read) noexcept;
    void extend(scan_cursor& c, prefetch_plan& out);
    void plan(const scan_cursor& c, scan_span span, std::int64_t unit, prefetch_plan& out) const;
    extent extent_of(scan_cursor& c) const noexcept;
    double earned(const scan_cursor& c) const noexcept;
    std::int64_t unit_of(std::int64_t window) const noexcept;
    double allowance() const noexcept;
    std::uint64_t needed(std::int64_t length) const noexcept;
    std::int64_t back_of(const scan_cursor& c) const noexcept;

    options options_;
    std::shared_ptr<waste_account> account_;
    link_estimate link_;
    run_history history_;
    std::array<scan_cursor, max_cursors> cursors_;
    std::uint64_t prepaid_ = 0;  // of what was charged: dropped since, and not reported as wasted yet
    double full_allowance_ = min_allowance;  // by what was last known of the link
    access_pattern pattern_ = access_pattern::unknown;
    std::uint64_t object_bytes_ = 0;
    std::uint64_t reads_ = 0, read_bytes_ = 0;
    std::uint64_t last_window_ = 0;
    prefetch_time now_{};
};

}  // namespace rangeio::fsm
