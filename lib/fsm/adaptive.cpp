#include "fsm/adaptive.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

// Which scan a read belongs to; adaptive_window.cpp has how far ahead of it to fetch.

namespace rangeio::fsm {
namespace {

constexpr std::int64_t kib = 1024, mib = 1024 * kib;
constexpr int to_establish = 2;
// A skipped byte costs this many used ones, so that reading half of an object in pieces earns nothing.
constexpr std::int64_t skip_cost = 4, skip_cost_in_debt = 20;
// Scans that take turns rest between their reads; others rest because they are over.
constexpr std::uint64_t parked_after_reads = 2, interleaved_parked_after_reads = 16;
constexpr std::uint64_t interleaved_parked_after_bytes = 4 * mib;
// An established cursor is evicted as if it had been read so much later.
constexpr std::uint64_t eviction_grace_reads = 64;
// What is behind the ring is dropped in steps, not with each small read.
constexpr std::int64_t drop_step = 256 * kib;

using phase = scan_cursor::phase;

}  // namespace

adaptive::adaptive(options o, std::shared_ptr<waste_account> account)
    : options_(o), account_(std::move(account)), link_(o.streams) {}

adaptive::~adaptive() {
    for (scan_cursor& c : cursors_) refund(c);
    account_->refund(prepaid_);
}

void adaptive::read_begins(const prefetch_read& read, prefetch_plan& out) {
    now_ = read.now;
    account_->refund(std::exchange(prepaid_, 0));  // it had not been requested
    ++reads_;
    read_bytes_ += read.range.length();
    account_->read(read.range.length());
    if (pattern_ == access_pattern::random) return;

    scan_cursor* c = match(read.range);
    if (c != nullptr) {
        if (c->is == phase::parked) resume(*c, out);
        step(*c, read.range, out);
    } else {
        c = begin(read.range, out);
    }
    for (scan_cursor& other : cursors_) {
        if (other.is != phase::running || &other == c) continue;
        const bool may_return = other.interleaved;
        if (reads_ - other.last_read < (may_return ? interleaved_parked_after_reads : parked_after_reads))
            continue;
        if (may_return && read_bytes_ - other.last_bytes < interleaved_parked_after_bytes) continue;
        park(other, out);
    }
    if (c == nullptr || c->is != phase::running) return;
    take_over(*c, out);
    grow(*c, read);
    extend(*c, out);
    const scan_position kept = c->pos - back_of(*c);
    if (kept - c->tail >= drop_step) drop_span(*c, {std::exchange(c->tail, kept), kept}, out);
}

void adaptive::read_ended(byte_range range, bool, prefetch_time now, prefetch_plan&) {
    now_ = now;
    for (scan_cursor& c : cursors_) {
        if (c.step_end == range.end()) c.stepping = false;
        if (c.growth_end == range.end()) c.growing = false;
    }
}

void adaptive::arrived(const prefetch_arrival& arrival, prefetch_plan&) {
    now_ = arrival.now;
    link_.arrived(arrival);
    // A reader that slows down has no figure any more, but what it may waste does not shrink with that.
    const double bytes = link_.bytes_in_flight(now_), most = static_cast<double>(options_.max_window_bytes);
    if (bytes > 0) full_allowance_ = std::max(min_allowance, std::min(2 * bytes, most));
}

void adaptive::lost(byte_range range, prefetch_plan&) {
    // A hole further back is fetched by the read that reaches it.
    for (scan_cursor& c : cursors_) {
        if (!c.established()) continue;
        const scan_span gone = along(range, c.backward);
        if (gone.end < c.front || gone.begin >= c.front || c.front <= c.pos) continue;
        const auto bytes = static_cast<std::uint64_t>(c.front - std::max(c.pos, gone.begin));
        c.front -= static_cast<std::int64_t>(bytes);
        const std::uint64_t paid = std::min(c.charged, bytes);
        c.charged -= paid;
        prepaid_ += paid;
        // Memory is short, or the service fails: the window is earned again. What is lost is not planned at once.
        c.window = std::max<std::uint64_t>(c.window / 2, 128 * kib);
    }
}

void adaptive::wasted(std::uint64_t bytes) noexcept {
    const std::uint64_t paid = std::min(prepaid_, bytes);
    prepaid_ -= paid;
    account_->wasted(bytes - paid);
}

void adaptive::reset() noexcept {
    for (scan_cursor& c : cursors_) {
        prepaid_ += c.charged;
        c = {};
    }
}

void adaptive::advise(access_pattern pattern, prefetch_plan& out) {
    pattern_ = pattern;
    if (pattern != access_pattern::random) return;
    for (scan_cursor& c : cursors_) drop(c, out);
}

scan_cursor* adaptive::match(byte_range range) noexcept {
    const auto length = static_cast<std::int64_t>(range.length());
    scan_cursor* best = nullptr;
    std::int64_t least = 0;
    const auto consider = [&](scan_cursor& c, bool backward, scan_position pos, scan_position last_end) {
        const scan_span s = along(range, backward);
        const std::int64_t back = c.established() ? std::max(back_of(c), length) : 0;
        const scan_position reach =
            std::max(c.established() ? c.front : pos, pos + std::min(length, c.last_length));
        if (s.begin < pos - back || s.begin > reach) return false;
        const std::int64_t distance = std::abs(s.begin - last_end);
        if (best != nullptr && distance >= least) return false;
        best = &c;
        least = distance;
        return true;
    };
    bool turned = false;
    for (scan_cursor& c : cursors_) {
        if (c.is == phase::free) continue;
        if (consider(c, c.backward, c.pos, c.last_end)) turned = false;
        if (c.undecided && consider(c, true, -c.start, -c.start)) turned = true;
    }
    if (best == nullptr) return nullptr;
    if (turned) {
        best->backward = true;
        std::tie(best->start, best->pos) = std::pair(-best->pos, -best->start);
        best->last_end = best->front = best->pos;
        best->tail = best->start;
    }
    best->undecided = false;
    return best;
}

/// A candidate of one read.
void adaptive::start(scan_cursor& c, scan_span read) noexcept {
    c.is = phase::candidate;
    c.start = c.tail = read.begin;
    c.pos = c.front = c.last_end = read.end;
    c.earned = c.last_length = read.end - read.begin;
    c.last_read = reads_;
    c.last_bytes = read_bytes_;
}

scan_cursor* adaptive::begin(byte_range range, prefetch_plan& out) {
    const bool hinted = pattern_ == access_pattern::sequential;
    if (reads_ == 1 && !hinted) {
        // Of a header or a footer: what follows is somewhere else.
        const bool header = range.offset() == 0 && range.length() < 64 * kib;
        const bool footer = range.offset() > 0 && object_bytes_ - range.offset() <= mib;
        if (header || footer) return nullptr;
    }
    scan_cursor& c = *std::ranges::min_element(cursors_, {}, [](const scan_cursor& slot) {
        if (slot.is == phase::free) return std::uint64_t{0};
        return slot.last_read + (slot.established() ? eviction_grace_reads : 0);
    });
    drop(c, out);
    start(c, along(range, false));
    c.stepping = true;
    c.step_end = range.end();
    if (hinted || history_.shortest() > 2 * range.length()) establish(c, out);
    return &c;
}

void adaptive::step(scan_cursor& c, byte_range range, prefetch_plan& out) {
    const scan_span s = along(range, c.backward);
    // A required chunk and its read-ahead, requested at once, are one step.
    if (!c.stepping) {
        c.score += s.begin == c.last_end && c.last_read + 1 == reads_ ? 2 : 1;
        c.stepping = true;
        c.step_end = range.end();
    }
    const std::int64_t gap = std::max<std::int64_t>(s.begin - c.pos, 0);
    c.earned += std::max<std::int64_t>(s.end - std::max(c.pos, s.begin), 0);
    c.earned -= gap * (allowance() > 0 ? skip_cost : skip_cost_in_debt);
    c.skipped += gap;
    c.wasted += std::min(gap, c.unread());
    c.pos = std::max(c.pos, s.end);
    c.last_end = s.end;
    c.last_length = s.end - s.begin;
    c.last_read = reads_;
    c.last_bytes = read_bytes_;
    if (c.skipped > c.earned) {
        const bool backward = c.backward;
        drop(c, out);
        start(c, s);
        c.backward = backward;
        c.undecided = false;
        c.score = -to_establish;
        return;
    }
    if (c.is == phase::candidate && c.score >= to_establish) establish(c, out);
}

void adaptive::establish(scan_cursor& c, prefetch_plan& out) {
    if (std::ranges::count_if(cursors_, &scan_cursor::established) == max_scans) {
        scan_cursor* oldest = nullptr;
        for (scan_cursor& other : cursors_) {
            if (other.established() && (oldest == nullptr || other.last_read < oldest->last_read))
                oldest = &other;
        }
        drop(*oldest, out);
    }
    c.is = phase::running;
    c.undecided = false;
    // Three times the run, but for large reads, of which two in a row are more often chance than a scan.
    const std::int64_t first = std::min(3 * c.earned, std::max(c.earned, mib));
    c.window = static_cast<std::uint64_t>(std::max(128 * kib, first));
    if (pattern_ == access_pattern::sequential) c.window = std::max(c.window, needed(c.last_length) / 2);
    c.front = std::max(c.front, c.pos);
    c.grown_at = c.pos;
    c.predicted = history_.predicted() >= c.length();
}

/// A scan that enters what another one has left takes it over: the bytes are there, or on their way.
void adaptive::take_over(scan_cursor& c, prefetch_plan& out) {
    for (scan_cursor& other : cursors_) {
        if (&other == &c || !other.established() || other.backward != c.backward) continue;
        const bool rests = other.is == phase::parked || reads_ - other.last_read >= parked_after_reads;
        if (!rests || c.pos < other.tail || c.pos > other.front) continue;
        if (other.is == phase::parked) {
            history_.resumed(other.end, true);
            refund(other);
        } else {
            history_.ended(other.length(), static_cast<std::uint64_t>(other.wasted), other.predicted);
        }
        c.tail = std::min(c.tail, other.tail);
        c.front = std::max(c.front, other.front);
        c.window = std::max(c.window, other.window);
        c.grown_at = std::max(c.grown_at, c.front);
        plan(c, {c.pos, c.front}, unit_of(c.front - c.pos), out);
        other = {};
    }
}

void adaptive::end_run(scan_cursor& c) noexcept {
    c.end = history_.ended(c.length(), static_cast<std::uint64_t>(c.unread() + c.wasted), c.predicted);
}

void adaptive::park(scan_cursor& c, prefetch_plan& out) {
    end_run(c);
    c.is = phase::parked;
    c.charged = static_cast<std::uint64_t>(c.unread());
    account_->wasted(c.charged);
    const byte_range kept = bytes_of(c.territory(), c.backward);
    if (!kept.empty()) out.park.push_back(kept);
}

void adaptive::resume(scan_cursor& c, prefetch_plan& out) {
    history_.resumed(c.end);
    refund(c);
    c.end = {};
    c.is = phase::running;
    c.interleaved = true;
    // What had not been requested when it was parked is not there any more.
    plan(c, {c.pos, c.front}, unit_of(c.unread()), out);
}

void adaptive::refund(scan_cursor& c) noexcept {
    account_->refund(std::exchange(c.charged, 0));
}

void adaptive::drop(scan_cursor& c, prefetch_plan& out) {
    prepaid_ += c.charged;
    if (c.is == phase::running) end_run(c);
    if (c.established()) drop_span(c, c.territory(), out);
    c = {};
}

/// Drops what no other scan has.
void adaptive::drop_span(const scan_cursor& of, scan_span span, prefetch_plan& out) const {
    byte_range rest = bytes_of(span, of.backward);
    while (!rest.empty()) {
        std::uint64_t end = rest.end(), next = rest.end();
        for (const scan_cursor& other : cursors_) {
            if (&other == &of || !other.established()) continue;
            const byte_range held = rest.intersect(bytes_of(other.territory(), other.backward));
            if (held.empty() || held.offset() > end || (held.offset() == end && held.end() <= next)) continue;
            end = held.offset();
            next = held.end();
        }
        if (end > rest.offset()) out.drop.push_back(byte_range::from_to(rest.offset(), end));
        rest = byte_range::from_to(next, rest.end());
    }
}

}  // namespace rangeio::fsm
