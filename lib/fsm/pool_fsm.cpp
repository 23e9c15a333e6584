#include "fsm/pool_fsm.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

error_value closed_failure() {
    return errc::pool_closed;
}

}  // namespace

void pool_fsm::initialize(waiter_id who, bool rides, pool_actions& out) {
    if (state_ == pool_state::open) {
        out.push_back({pool_action_kind::complete, 0, who});
    } else if (state_ != pool_state::fresh) {
        out.push_back({pool_action_kind::complete, 0, who, closed_failure()});
    } else {
        reserve_for_one_more();
        initializers_.push_back(who);
        const bool first = live() == 0;
        pump(out);
        if (first && rides) streams_.back().rider = who;
    }
}

void pool_fsm::acquire(
    waiter_id who,
    std::chrono::steady_clock::time_point now,
    request_class what,
    pool_actions& out,
    bool shares
) {
    if (state_ == pool_state::closing || state_ == pool_state::closed) {
        out.push_back({pool_action_kind::complete, 0, who, closed_failure()});
        return;
    }
    reserve_for_one_more();
    waiter added{who, now};
    added.what = what;
    added.shares = shares && options_.multi_request;
    // From the back: most waiters are of one class, and there may be thousands.
    auto to = waiters_.end();
    while (to != waiters_.begin() && place_of((to - 1)->what) > place_of(what)) --to;
    waiters_.insert(to, added);
    pump(out);
    if (waiter* const w = find_waiter(who)) {
        w->waited = true;
        return;
    }
    // The pool grows for those that come later; nobody waits for it.
    const stream* const s = find(last_shared_);
    if (shares && s != nullptr && s->leases > 1 && live() < options_.pool_size && !is_opening()) {
        start_open(0, out);
    }
}

void pool_fsm::promote(waiter_id who) noexcept {
    const auto it = std::ranges::find(waiters_, who, &waiter::id);
    if (it == waiters_.end() || it->what == request_class::demand) return;
    const auto to = waiters_.begin() + std::ranges::count_if(waiters_, [&](const waiter& w) {
                        return w.id != who && place_of(w.what) <= place_of(request_class::demand);
                    });
    it->what = request_class::demand;
    if (to > it) {
        std::rotate(it, it + 1, to + 1);
    } else {
        std::rotate(to, it, it + 1);
    }
}

void pool_fsm::close(waiter_id who, pool_actions& out) {
    if (state_ == pool_state::closed) {
        out.push_back({pool_action_kind::complete, 0, who, first_close_error_});
        return;
    }
    closers_.push_back(who);
    if (state_ == pool_state::closing) return;
    state_ = pool_state::closing;
    fail_everybody(closed_failure(), out);
    for (stream& s : streams_) {
        if (s.leases == 0 || s.state == stream_state::opening) start_close(s, out);
    }
    finish_close_if_over(out);
}

void pool_fsm::close_now(pool_actions& out) {
    if (state_ == pool_state::closed) return;
    if (state_ != pool_state::closing) {
        state_ = pool_state::closing;
        fail_everybody(closed_failure(), out);
    }
    for (stream& s : streams_) start_close(s, out);
    finish_close_if_over(out);
}

bool pool_fsm::cancel(waiter_id who, pool_actions&) {
    if (waiter* w = find_waiter(who)) {
        // Its open continues for the next waiter; a failure of that open is then reported to no waiter.
        if (stream* s = find(w->open)) s->asker = 0;
        std::erase_if(waiters_, [who](const waiter& x) { return x.id == who; });
        return true;
    }
    for (stream& s : streams_) {
        if (s.rider == who) s.rider = 0;
    }
    return std::erase(initializers_, who) + std::erase(closers_, who) > 0;
}

void pool_fsm::release(stream_id id, pool_actions& out) {
    stream* s = find(id);
    if (s == nullptr || s->leases == 0 || --s->leases > 0) return;
    if (s->state == stream_state::gone) {
        forget_if_over(id, out);
        return;
    }
    if (state_ == pool_state::closing) {
        start_close(*s, out);
        return;
    }
    s->idle_since = ++releases_;
    pump(out);
}

// P12. Nothing is known of the object yet, so the rider is the only caller that has a use for the stream.
pool_fsm::before_open pool_fsm::made(stream_id id, std::shared_ptr<multi_range_downloader> handle) {
    before_open out{size_to_know()};
    if (stream* s = find(id)) {
        s->handle = std::move(handle);
        out.rider = std::exchange(s->rider, 0);
        if (out.rider != 0) {
            std::erase(initializers_, out.rider);
            ++s->leases;
            s->ridden = true;
            last_shared_ = s->id;
        }
    }
    return out;
}

void pool_fsm::opened(stream_id id, std::shared_ptr<const object_info> info, pool_actions& out) {
    if (info_ == nullptr) info_ = std::move(info);
    stream* s = find(id);
    if (s == nullptr || s->state != stream_state::opening) return;  // closed meanwhile
    s->state = stream_state::ready;
    s->idle_since = ++releases_;
    state_ = pool_state::open;
    for (waiter_id who : initializers_) out.push_back({pool_action_kind::complete, 0, who});
    initializers_.clear();
    pump(out);
    if (stream* t = find(id)) t->asker = 0;
}

void pool_fsm::reconnecting(stream_id id, pool_actions&) {
    stream* s = find(id);
    if (s != nullptr && s->state == stream_state::ready) s->state = stream_state::reconnecting;
}

void pool_fsm::reconnected(stream_id id, pool_actions& out) {
    stream* s = find(id);
    if (s == nullptr || s->state != stream_state::reconnecting) return;
    s->state = stream_state::ready;
    pump(out);
}

void pool_fsm::ended(stream_id id, const error_value& why, pool_actions& out) {
    stream* s = find(id);
    if (s == nullptr || s->state == stream_state::gone) return;
    const stream_state was = std::exchange(s->state, stream_state::gone);
    const waiter_id asker = std::exchange(s->asker, 0);
    // An open that ends without an error has failed, too: no waiter may get it as a stream.
    if (was == stream_state::opening) {
        const error_value reason = why ? why : error_value(errc::stream_closed);
        // P12. A range that rode was refused, and the stream ended with it: the next one opens without ranges.
        const bool riders_fault = s->ridden && reason.code() == errc::range_not_satisfiable;
        if (state_ == pool_state::fresh) {
            if (!riders_fault) fail_everybody(reason, out);
        } else if (waiter* const w = find_waiter(asker)) {
            w->open = 0;
            w->declined = reason;
            // The fault is not the stream's, and the other waiters will meet it, too.
            if (reason.code() == errc::generation_changed) {
                out.push_back({pool_action_kind::complete, 0, asker, reason});
                std::erase_if(waiters_, [asker](const waiter& x) { return x.id == asker; });
            }
        }
    }
    tell_declined(out);
    if (was == stream_state::closing) {
        if (why && !first_close_error_) first_close_error_ = why;
    } else {
        ++failed_;
    }
    forget_if_over(id, out);
    pump(out);
    finish_close_if_over(out);
}

void pool_fsm::set_load(stream_id id, std::uint64_t bytes) {
    if (stream* s = find(id)) s->load = bytes;
}

std::uint64_t pool_fsm::updated(std::shared_ptr<const object_info> info) {
    if (info == nullptr || info_ == nullptr || info->size < info_->size || info_->finalized) return 0;
    const std::uint64_t before = info_->size;
    info_ = std::move(info);
    return info_->size > before ? info_->size : 0;
}

// P14. Also checked at each grant: a caller that has read a larger size from the pool's info() may acquire a lease
// before the shell has updated all streams.
std::uint64_t pool_fsm::size_to_know() const {
    return info_ == nullptr || info_->finalized ? 0 : info_->size;
}

void pool_fsm::count_wait(std::chrono::nanoseconds time) {
    ++waits_;
    wait_time_ += time;
}

bool pool_fsm::knows(stream_id id) const noexcept {
    return std::ranges::find(streams_, id, &stream::id) != streams_.end();
}

std::shared_ptr<multi_range_downloader> pool_fsm::handle(stream_id id) const noexcept {
    const auto it = std::ranges::find(streams_, id, &stream::id);
    return it == streams_.end() ? nullptr : it->handle;
}

stream_id pool_fsm::next(stream_id id) const noexcept {
    const auto it = std::ranges::upper_bound(streams_, id, {}, &stream::id);
    return it == streams_.end() ? 0 : it->id;
}

pool_stats pool_fsm::stats() const noexcept {
    pool_stats out;
    out.opened = opened_;
    out.closed = closed_;
    out.failed = failed_;
    out.waits = waits_;
    out.wait_time = wait_time_;
    out.waiters = waiters_.size() + initializers_.size();
    for (const stream& s : streams_) {
        out.leases += s.leases;
        switch (s.state) {
            case stream_state::opening: ++out.opening; break;
            case stream_state::ready: ++out.ready; break;
            case stream_state::reconnecting: ++out.reconnecting; break;
            case stream_state::closing: ++out.closing; break;
            case stream_state::gone: break;
        }
    }
    return out;
}

std::size_t pool_fsm::action_bound() const noexcept {
    // Each waiter is answered once and may start one open; each stream, including those, is closed once and dropped
    // once. One more stream may follow a first one that carried a bad range.
    return 4 * waiters_.size() + initializers_.size() + closers_.size() + 2 * streams_.size() + 3;
}

pool_fsm::stream* pool_fsm::find(stream_id id) {
    const auto it = std::ranges::find(streams_, id, &stream::id);
    return it == streams_.end() ? nullptr : &*it;
}

pool_fsm::waiter* pool_fsm::find_waiter(waiter_id id) {
    const auto it = std::ranges::find(waiters_, id, &waiter::id);
    return it == waiters_.end() ? nullptr : &*it;
}

// Events from the network and from destructors must not allocate, so the callers' events reserve the memory: each
// waiter may open one more stream, one may follow a first one that carried a bad range, and ended streams are kept as
// long as they have leases.
void pool_fsm::reserve_for_one_more() {
    const std::size_t room = streams_.size() + waiters_.size() + 2;
    if (streams_.capacity() < room) streams_.reserve(2 * room);
}

// A closing stream is still a connection: it counts against the limit until its end.
std::size_t pool_fsm::live() const {
    return static_cast<std::size_t>(std::ranges::count_if(streams_, [](const stream& s) {
        return s.state != stream_state::gone;
    }));
}

pool_fsm::stream* pool_fsm::most_recently_idle() {
    stream* best = nullptr;
    for (stream& s : streams_) {
        const bool idle = s.state == stream_state::ready && s.leases == 0;
        if (idle && (best == nullptr || s.idle_since > best->idle_since)) best = &s;
    }
    return best;
}

pool_fsm::stream* pool_fsm::shared_by_policy() {
    stream* best = nullptr;
    for (stream& s : streams_) {
        if (s.state != stream_state::ready) continue;
        if (best == nullptr) {
            best = &s;
        } else if (options_.sharing == share_policy::least_outstanding) {
            // Leases break a tie: the holders of new leases have not requested any range yet.
            if (std::pair(s.load, s.leases) < std::pair(best->load, best->leases)) best = &s;
        } else if ((s.id > last_shared_) != (best->id > last_shared_)) {
            if (s.id > last_shared_)
                best = &s;  // those after the last shared one come before those of the next round
        } else if (s.id < best->id) {
            best = &s;
        }
    }
    return best;
}

stream_id pool_fsm::start_open(waiter_id asker, pool_actions& out) {
    streams_.push_back({++last_stream_, stream_state::opening, 0, asker});
    ++opened_;
    out.push_back({pool_action_kind::open_stream, last_stream_});
    return last_stream_;
}

void pool_fsm::start_close(stream& s, pool_actions& out) {
    if (s.state == stream_state::closing || s.state == stream_state::gone) return;
    s.state = stream_state::closing;
    s.asker = 0;
    ++closed_;
    out.push_back({pool_action_kind::close_stream, s.id});
}

void pool_fsm::grant(waiter& w, stream& s, pool_actions& out) {
    // An open that one waiter requested may serve an older one. Then the two trade places: the younger waiter inherits
    // the open of the older one, or its failure, so that each open has a waiter for its failure.
    waiter* const other = s.asker == w.id ? nullptr : find_waiter(s.asker);
    if (stream* own = find(w.open); own != nullptr && own != &s)
        own->asker = other != nullptr ? other->id : 0;
    if (other != nullptr) {
        other->open = w.open;
        other->declined = w.declined;
    }
    s.asker = 0;
    ++s.leases;
    last_shared_ = s.id;
    out.push_back({pool_action_kind::grant, s.id, w.id, {}, s.handle, size_to_know()});
    if (w.waited) out.back().since = w.since;
}

// Serves the waiters in their order (P8), each by the order of rule P2. A waiter that has requested an open waits
// for a stream of its own, the new one or one that becomes idle before; only callers for whom the pool cannot grow
// share.
void pool_fsm::pump(pool_actions& out) {
    if (state_ == pool_state::fresh) {
        // P1: one first stream for all callers. Its failure is reported to all of them, so it has no asker.
        if ((!initializers_.empty() || !waiters_.empty()) && live() == 0) start_open(0, out);
        return;
    }
    if (state_ != pool_state::open) return;
    for (std::size_t i = 0; i < waiters_.size();) {
        waiter& w = waiters_[i];
        stream* s = most_recently_idle();
        if (s == nullptr) {
            const bool shares = w.shares && w.open == 0 && shared_by_policy() != nullptr;
            const bool can_open = !w.declined && !shares && live() < options_.pool_size;
            stream* const busy = options_.multi_request && !can_open ? shared_by_policy() : nullptr;
            // Later waiters cannot be served either, unless they may open a stream and this one may not.
            if (!can_open && busy == nullptr && !w.declined) break;
            if (w.open != 0 || (w.declined && busy == nullptr)) {
                ++i;
                continue;
            }
            if (can_open) {
                w.open = start_open(w.id, out);
                ++i;
                continue;
            }
            s = busy;
        }
        grant(w, *s, out);
        const request_class granted = w.what;
        waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
        // In another order, those that were skipped are skipped again.
        if (count_passes(granted)) i = 0;
    }
}

// P8. The order of the classes; one that was passed too often comes first.
int pool_fsm::place_of(request_class what) const noexcept {
    const auto own = static_cast<int>(what);
    return passes(what) < options_.max_passes ? own : own - static_cast<int>(request_classes);
}

// The waiters of a class stand together, and those of the others are in order. True: they have moved.
bool pool_fsm::move_to_place(request_class what) noexcept {
    const auto is_one = [what](const waiter& w) { return w.what == what; };
    const auto begin = std::ranges::find_if(waiters_, is_one);
    const auto end = std::find_if_not(begin, waiters_.end(), is_one);
    const auto to = std::ranges::find_if(waiters_, [&](const waiter& w) {
        return w.what != what && place_of(w.what) > place_of(what);
    });
    if (begin == end || to == end) return false;
    if (to < begin) {
        std::rotate(to, begin, end);
    } else {
        std::rotate(begin, end, to);
    }
    return true;
}

bool pool_fsm::count_passes(request_class granted) noexcept {
    if (waiters_.empty() ||
        (waiters_.front().what == waiters_.back().what && waiters_.back().what <= granted)) {
        passes_ = {};
        return false;
    }
    bool moved = false;
    for (std::size_t c = static_cast<std::size_t>(granted); c < request_classes; ++c) {
        const auto what = static_cast<request_class>(c);
        const bool passed = what > granted && std::ranges::count(waiters_, what, &waiter::what) > 0;
        passes_[c] = passed ? std::min(passes_[c] + 1, options_.max_passes) : 0;
        moved = move_to_place(what) || moved;
    }
    return moved;
}

bool pool_fsm::is_opening() const {
    return std::ranges::count(streams_, stream_state::opening, &stream::state) > 0;
}

// A reconnecting stream counts, too: it reports its reconnection or its end, within its budget.
bool pool_fsm::any_serves() const {
    return std::ranges::any_of(streams_, [](const stream& s) {
        return s.state == stream_state::ready || s.state == stream_state::reconnecting;
    });
}

void pool_fsm::tell_declined(pool_actions& out) {
    if (any_serves()) return;
    std::erase_if(waiters_, [&out](const waiter& w) {
        if (w.declined) out.push_back({pool_action_kind::complete, 0, w.id, w.declined});
        return static_cast<bool>(w.declined);
    });
}

void pool_fsm::fail_everybody(const error_value& why, pool_actions& out) {
    for (waiter_id who : initializers_) out.push_back({pool_action_kind::complete, 0, who, why});
    for (const waiter& w : waiters_) out.push_back({pool_action_kind::complete, 0, w.id, why});
    initializers_.clear();
    waiters_.clear();
    for (stream& s : streams_) s.asker = s.rider = 0;
}

void pool_fsm::finish_close_if_over(pool_actions& out) {
    if (state_ != pool_state::closing || live() != 0) return;
    state_ = pool_state::closed;
    for (waiter_id who : closers_) out.push_back({pool_action_kind::complete, 0, who, first_close_error_});
    closers_.clear();
}

// A stream that has ended is kept as long as it has leases, or a grant of one is being performed: a lease reports the
// end of its stream.
void pool_fsm::forget_if_over(stream_id id, pool_actions& out) {
    const auto it = std::ranges::find(streams_, id, &stream::id);
    if (it == streams_.end() || it->state != stream_state::gone || it->leases > 0) return;
    if (it->handle != nullptr) out.push_back({pool_action_kind::drop, id, 0, {}, std::move(it->handle)});
    streams_.erase(it);
}

}  // namespace rangeio::fsm
