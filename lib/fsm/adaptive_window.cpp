#include "fsm/adaptive.hpp"

#include <algorithm>
#include <bit>

// How far ahead of a scan to fetch, and in which units; adaptive.cpp has which scan a read belongs to.

namespace rangeio::fsm {
namespace {

constexpr std::int64_t first_window = std::int64_t{128} << 10;
constexpr std::int64_t smallest_unit = std::int64_t{4} << 10;
constexpr std::int64_t min_unit = std::int64_t{256} << 10, max_unit = std::int64_t{1} << 20;
constexpr std::int64_t units_in_window = 32;
// Streams that were back to back and are not any more are close to what they need.
constexpr std::uint64_t growth = 4, growth_once_measured = 2;
constexpr double sequential_kappa = 7;
// Above what the figures say, for they are noisy; and below it, for a queue to empty.
constexpr double margin = 1.25, probe_margin = 0.75;
constexpr double units_a_stream = 2;
// Scans that take turns wait for the slowest of their streams: each needs units on all of them.
constexpr double extra_units_a_stream = 1;

double full_unit(double bytes_in_flight) {
    return std::clamp(bytes_in_flight * margin / units_in_window, double{min_unit}, double{max_unit});
}

}  // namespace

/// What keeps the link full for reads of `length`; zero if that is not known. A large read that follows a pause is to
/// find all its bytes.
std::uint64_t adaptive::needed(std::int64_t length) const noexcept {
    const double in_flight = link_.bytes_in_flight(now_);
    if (in_flight == 0) return 0;
    const double slack = units_a_stream * static_cast<double>(options_.streams) * full_unit(in_flight);
    return static_cast<std::uint64_t>(margin * in_flight + std::max(slack, static_cast<double>(length)));
}

std::uint64_t adaptive::max_under_way() const noexcept {
    const std::uint64_t need = needed(0);
    return need == 0 ? options_.max_window_bytes : std::min(need, options_.max_window_bytes);
}

std::int64_t adaptive::back_of(const scan_cursor& c) const noexcept {
    return std::max(static_cast<std::int64_t>(options_.back_bytes), c.last_length);
}

double adaptive::allowance() const noexcept {
    return full_allowance_ - static_cast<double>(account_->debt());
}

/// At most once a round trip: when a read waits for bytes that were planned after the last growth, and the read that
/// was its reason has ended.
void adaptive::grow(scan_cursor& c, const prefetch_read& read) noexcept {
    if (!read.waits_at || c.growing) return;
    if (along({*read.waits_at, 1}, c.backward).begin < c.grown_at) return;
    const std::uint64_t need = needed(c.last_length);
    if (need != 0 && c.window >= need) {
        c.window = need;
        return;
    }
    const std::uint64_t factor = need == 0 && link_.measured() ? growth_once_measured : growth;
    c.window =
        std::min({factor * c.window, need == 0 ? options_.max_window_bytes : need, options_.max_window_bytes}
        );
    c.grown_at = std::max(c.front, c.pos);
    c.growing = true;
    c.growth_end = read.range.end();
}

/// What the scan has shown to use, or what earlier ones have.
double adaptive::earned(const scan_cursor& c) const noexcept {
    const bool hinted = pattern_ == access_pattern::sequential;
    const double used = static_cast<double>(c.earned);
    const double kappa = hinted ? sequential_kappa : history_.kappa(c.length());
    double bytes = kappa * used + std::min<double>(first_window, kappa * first_window);
    bytes = std::max(bytes, static_cast<double>(history_.shortest()) - static_cast<double>(c.length()));
    if (hinted) bytes = std::max(bytes, static_cast<double>(needed(c.last_length) / 2));
    double allowed = allowance();
    for (const scan_cursor& other : cursors_) {
        // What is parked is in the account.
        if (other.is == scan_cursor::phase::running && &other != &c)
            allowed -= static_cast<double>(other.unread());
    }
    return std::min(bytes, std::max(allowed, used / waste_account::bytes_per_pardon));
}

adaptive::extent adaptive::extent_of(scan_cursor& c) const noexcept {
    const auto active = std::ranges::count(cursors_, scan_cursor::phase::running, &scan_cursor::is);
    const std::uint64_t need = needed(c.last_length);
    double share =
        static_cast<double>(need == 0 ? options_.max_window_bytes : need) / static_cast<double>(active);
    if (active > 1)
        share += extra_units_a_stream * static_cast<double>(options_.streams) *
                 full_unit(link_.bytes_in_flight(now_));
    double bytes = std::min({static_cast<double>(c.window), share, earned(c)});
    if (link_.probing()) bytes = std::min(bytes, probe_margin * link_.bytes_in_flight(now_));
    extent e{static_cast<std::int64_t>(std::max(bytes, 0.0)), false};

    const std::uint64_t predicted = history_.predicted();
    if (predicted >= c.length() && c.skipped == 0 && allowance() + full_allowance_ > 0) {
        c.predicted = true;
        const auto rest = static_cast<std::int64_t>(predicted - c.length());
        e.bytes = std::min(rest, static_cast<std::int64_t>(share));
        e.at_end = e.bytes == rest;
    }
    const scan_position object_end = c.backward ? 0 : static_cast<scan_position>(object_bytes_);
    if (c.pos + e.bytes >= object_end) e = {std::max<std::int64_t>(object_end - c.pos, 0), true};
    return e;
}

std::int64_t adaptive::unit_of(std::int64_t window) const noexcept {
    const std::int64_t unit = std::min(std::clamp(window / units_in_window, min_unit, max_unit), window / 2);
    return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::max(unit, smallest_unit)))
    );
}

void adaptive::extend(scan_cursor& c, prefetch_plan& out) {
    const extent e = extent_of(c);
    last_window_ = static_cast<std::uint64_t>(e.bytes);
    c.front = std::max(c.front, c.pos);
    const scan_position target = c.pos + e.bytes;
    const std::int64_t unit = unit_of(e.bytes);
    if (target <= c.front || (!e.at_end && (target - c.front < unit || e.bytes < smallest_unit))) return;
    const std::int64_t length = target - c.front;
    const scan_position end = e.at_end ? target : target - length % unit;
    plan(c, {c.front, end}, unit, out);
    c.front = end;
}

void adaptive::plan(const scan_cursor& c, scan_span span, std::int64_t unit, prefetch_plan& out) const {
    for (scan_position at = span.begin; at < span.end; at += unit) {
        out.fetch.push_back({bytes_of({at, std::min(at + unit, span.end)}, c.backward)});
    }
}

}  // namespace rangeio::fsm
