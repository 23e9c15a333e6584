#include "fsm/pool_cache_fsm.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

constexpr std::size_t max_live = 1024;  // names whose generations are kept

bool same_name(const object_ref& a, const object_ref& b) noexcept {
    return a.name() == b.name() && a.bucket() == b.bucket();
}

}  // namespace

pool_id pool_cache_fsm::enter(const object_ref& object) {
    if (state_ != cache_state::open) return 0;
    // Without a generation the final key is not determined yet: each such pool begins with a key of its own.
    key* k = object.generation() == 0 ? nullptr : find_key(object);
    if (pools_.capacity() == pools_.size()) pools_.reserve(2 * pools_.size() + 4);
    if (k == nullptr) {
        keys_.push_back({++last_id_, object});
        k = &keys_.back();
    }
    ++k->pools;
    pools_.push_back({++last_id_, k->id});
    return last_id_;
}

void pool_cache_fsm::leave(pool_id id, cache_actions& out) {
    const pool* const p = find_pool(id);
    if (p == nullptr) return;
    key* const k = find_key(p->key);
    std::erase_if(pools_, [id](const pool& x) { return x.id == id; });
    if (--k->pools > 0) return;
    k->last_used = ++turns_;
    forget_key_if_over(k->id);
    evict_keys(out);
}

void pool_cache_fsm::open(caller_id user, pool_id id, time_point now, cache_actions& out) {
    pool* const p = find_pool(id);
    if (state_ != cache_state::open || p == nullptr) {
        out.push_back({cache_action_kind::detach, 0, user, errc::pool_closed});
        return;
    }
    // First, because a failed allocation must leave the state unchanged.
    if (streams_.capacity() == streams_.size()) streams_.reserve(2 * streams_.size() + 4);
    if (const key& k = *find_key(p->key); k.object.generation() == 0) remember_question(k.object, now);
    expire(now, out);
    if (stream* const s = newest_that_fits(*p)) {
        ++hits_;
        s->state = cached_state::up;
        s->user = user;
        s->pool = id;
        if (!p->opened) p->size = s->seen.size;
        p->opened = true;
        out.push_back({cache_action_kind::attach, s->id, user});
        return;
    }
    stream fresh;
    fresh.id = last_id_ + 1;
    fresh.user = user;
    fresh.pool = id;
    fresh.asked = now;
    streams_.push_back(fresh);
    ++last_id_;
    ++misses_;
    out.push_back({cache_action_kind::open_stream, fresh.id, user});
}

void pool_cache_fsm::give_up(
    caller_id user, bool reusable, const error_value& why, time_point now, cache_actions& out
) {
    const auto it = std::ranges::find(streams_, user, &stream::user);
    if (user == 0 || it == streams_.end()) return;
    const bool keepable = reusable && !why && it->state == cached_state::up && it->key != 0;
    if (keepable && state_ == cache_state::open && options_.max_idle_streams_per_key > 0) {
        keep(*it, now, out);
    } else {
        start_close(*it, why, out);
    }
}

void pool_cache_fsm::opened(cached_id id, const sight& seen, cache_actions& out) {
    stream* const s = find(id);
    if (s == nullptr || s->state != cached_state::opening) return;  // released meanwhile
    s->state = cached_state::up;
    s->seen = seen;
    if (pool* const p = find_pool(s->pool)) {
        if (!p->opened) p->size = seen.size;
        p->opened = true;
        if (const key& k = *find_key(p->key); k.object.generation() == 0) remember_answer(k.object, *s);
        s->key = update_key(*p, seen.generation);
    }
    out.push_back({cache_action_kind::opened, id, s->user});
}

std::int64_t pool_cache_fsm::known_generation(const object_ref& object, time_point now) const noexcept {
    const auto it = std::ranges::find_if(live_, [&](const live& x) { return same_name(x.object, object); });
    if (it == live_.end() || now - it->asked >= options_.generation_max_age) return 0;
    return it->object.generation();
}

void pool_cache_fsm::forget_generation(const object_ref& object) noexcept {
    std::erase_if(live_, [&](const live& x) { return x.object == object; });
}

void pool_cache_fsm::remember_question(const object_ref& object, time_point now) {
    if (options_.generation_max_age == std::chrono::nanoseconds::zero()) return;
    std::erase_if(live_, [&](const live& x) { return now - x.asked >= options_.generation_max_age; });
    if (std::ranges::any_of(live_, [&](const live& x) { return same_name(x.object, object); })) return;
    if (live_.size() == max_live) live_.erase(std::ranges::min_element(live_, {}, &live::asked));
    live_.push_back({object, now});
}

// The answer is as old as the request: the object may have been replaced since.
void pool_cache_fsm::remember_answer(const object_ref& object, const stream& s) noexcept {
    const auto it = std::ranges::find_if(live_, [&](const live& x) { return same_name(x.object, object); });
    if (it == live_.end() || s.seen.generation <= 0) return;
    if (it->object.generation() != 0 && s.asked < it->asked) return;
    it->object.generation(s.seen.generation);
    it->asked = s.asked;
}

void pool_cache_fsm::reconnecting(cached_id id, cache_actions& out) {
    stream* const s = find(id);
    if (s == nullptr) return;
    if (s->state == cached_state::up) {
        s->state = cached_state::reconnecting;
        out.push_back({cache_action_kind::reconnecting, id, s->user});
    } else if (s->state == cached_state::idle) {
        fail(id, {}, out);  // only a user may wait for the reconnection, and an idle stream has none
    }
}

void pool_cache_fsm::reconnected(cached_id id, cache_actions& out) {
    stream* const s = find(id);
    if (s == nullptr || s->state != cached_state::reconnecting) return;
    s->state = cached_state::up;
    out.push_back({cache_action_kind::reconnected, id, s->user});
}

void pool_cache_fsm::fail(cached_id id, const error_value& why, cache_actions& out) {
    stream* const s = find(id);
    if (s == nullptr) return;
    if (s->state == cached_state::idle) ++died_;
    const std::uint64_t k = s->key;
    start_close(*s, why, out);
    forget_key_if_over(k);
}

void pool_cache_fsm::ended(cached_id id, const error_value& why, cache_actions& out) {
    const stream* const s = find(id);
    if (s == nullptr) return;
    const stream was = *s;
    std::erase_if(streams_, [id](const stream& x) { return x.id == id; });
    if (was.state == cached_state::idle) ++died_;
    if (was.state == cached_state::closing && state_ == cache_state::closing && why && !first_close_error_) {
        first_close_error_ = why;
    }
    out.push_back({cache_action_kind::forget, id});
    if (was.user != 0) out.push_back({cache_action_kind::detach, id, was.user, why});
    forget_key_if_over(was.key);
    finish_close_if_over(out);
}

void pool_cache_fsm::close(caller_id who, cache_actions& out) {
    if (state_ == cache_state::closed) {
        if (who != 0) out.push_back({cache_action_kind::complete, 0, who, first_close_error_});
        return;
    }
    if (who != 0) closers_.push_back(who);
    if (state_ == cache_state::closing) return;
    state_ = cache_state::closing;
    for (stream& s : streams_) {
        if (s.state != cached_state::idle) continue;
        ++closed_;
        start_close(s, {}, out);
    }
    std::erase_if(keys_, [](const key& k) { return k.pools == 0; });
    finish_close_if_over(out);
}

bool pool_cache_fsm::cancel(caller_id who) {
    return std::erase(closers_, who) > 0;
}

void pool_cache_fsm::tick(time_point now, cache_actions& out) {
    expire(now, out);
}

std::optional<pool_cache_fsm::time_point> pool_cache_fsm::next_expiry() const noexcept {
    std::optional<time_point> out;
    if (options_.idle_timeout == std::chrono::nanoseconds::zero()) return out;
    for (const stream& s : streams_) {
        if (s.state != cached_state::idle) continue;
        const time_point due = s.idle_since + options_.idle_timeout;
        if (!out || due < *out) out = due;
    }
    return out;
}

pool_cache_stats pool_cache_fsm::stats() const noexcept {
    pool_cache_stats out;
    for (const key& k : keys_) ++(k.pools > 0 ? out.keys_in_use : out.idle_keys);
    for (const stream& s : streams_) out.idle_streams += s.state == cached_state::idle ? 1U : 0U;
    out.hits = hits_;
    out.misses = misses_;
    out.donated = donated_;
    out.expired = expired_;
    out.evicted = evicted_;
    out.died = died_;
    out.closed = closed_;
    return out;
}

pool_cache_fsm::key* pool_cache_fsm::find_key(std::uint64_t id) {
    const auto it = std::ranges::find(keys_, id, &key::id);
    return it == keys_.end() ? nullptr : &*it;
}

pool_cache_fsm::key* pool_cache_fsm::find_key(const object_ref& object) {
    const auto it = std::ranges::find(keys_, object, &key::object);
    return it == keys_.end() ? nullptr : &*it;
}

pool_cache_fsm::pool* pool_cache_fsm::find_pool(pool_id id) {
    const auto it = std::ranges::find(pools_, id, &pool::id);
    return it == pools_.end() ? nullptr : &*it;
}

pool_cache_fsm::stream* pool_cache_fsm::find(cached_id id) {
    const auto it = std::ranges::find(streams_, id, &stream::id);
    return it == streams_.end() ? nullptr : &*it;
}

std::size_t pool_cache_fsm::idle_streams(std::uint64_t id) const {
    return static_cast<std::size_t>(std::ranges::count_if(streams_, [id](const stream& s) {
        return s.state == cached_state::idle && s.key == id;
    }));
}

// The first stream of a pool determines the object size for its users, so a cached one must have seen the object
// finalized. A further one must have seen at least the size of the first: a stream may be unable to serve bytes that
// were appended after it was opened.
pool_cache_fsm::stream* pool_cache_fsm::newest_that_fits(const pool& p) {
    stream* best = nullptr;
    for (stream& s : streams_) {
        if (s.state != cached_state::idle || s.key != p.key) continue;
        const bool fits = p.opened ? s.seen.size >= p.size : s.seen.finalized;
        if (fits && (best == nullptr || s.turn > best->turn)) best = &s;
    }
    return best;
}

// The key under which a stream of this pool can be kept; 0: none.
std::uint64_t pool_cache_fsm::update_key(pool& p, std::int64_t generation) {
    key* const own = find_key(p.key);
    if (generation <= 0) return 0;
    if (own->object.generation() == 0) {
        const auto known = std::ranges::find_if(keys_, [&](const key& k) {
            return k.object.generation() == generation && k.object.name() == own->object.name() &&
                   k.object.bucket() == own->object.bucket();
        });
        if (known != keys_.end()) {
            ++known->pools;
            p.key = known->id;
            std::erase_if(keys_, [id = own->id](const key& k) { return k.id == id; });
            return p.key;
        }
        own->object.generation(generation);
    }
    return own->object.generation() == generation ? own->id : 0;
}

void pool_cache_fsm::keep(stream& s, time_point now, cache_actions& out) {
    ++donated_;
    out.push_back({cache_action_kind::detach, s.id, std::exchange(s.user, 0)});
    s.state = cached_state::idle;
    s.pool = 0;
    s.idle_since = now;
    s.turn = ++turns_;
    if (idle_streams(s.key) <= options_.max_idle_streams_per_key) return;
    // One stream too many: close the oldest, not the one that has just worked.
    stream* oldest = &s;
    for (stream& other : streams_) {
        const bool idle = other.state == cached_state::idle && other.key == s.key;
        if (idle && other.turn < oldest->turn) oldest = &other;
    }
    ++evicted_;
    start_close(*oldest, {}, out);
}

void pool_cache_fsm::expire(time_point now, cache_actions& out) {
    if (options_.idle_timeout == std::chrono::nanoseconds::zero()) return;
    for (stream& s : streams_) {
        if (s.state != cached_state::idle || now - s.idle_since < options_.idle_timeout) continue;
        ++expired_;
        const std::uint64_t k = s.key;
        start_close(s, {}, out);
        forget_key_if_over(k);
    }
}

void pool_cache_fsm::evict_keys(cache_actions& out) {
    const auto unused = [](const key& k) { return k.pools == 0; };
    while (std::cmp_greater(std::ranges::count_if(keys_, unused), options_.max_idle_keys)) {
        const key* oldest = nullptr;
        for (const key& k : keys_) {
            if (unused(k) && (oldest == nullptr || k.last_used < oldest->last_used)) oldest = &k;
        }
        const std::uint64_t id = oldest->id;
        for (stream& s : streams_) {
            if (s.state != cached_state::idle || s.key != id) continue;
            ++evicted_;
            start_close(s, {}, out);
        }
        forget_key_if_over(id);
    }
}

void pool_cache_fsm::start_close(stream& s, const error_value& why, cache_actions& out) {
    if (s.state == cached_state::closing) return;
    s.state = cached_state::closing;
    s.key = 0;
    out.push_back({cache_action_kind::close_stream, s.id, 0, why});
}

void pool_cache_fsm::forget_key_if_over(std::uint64_t id) {
    if (idle_streams(id) > 0) return;
    std::erase_if(keys_, [id](const key& k) { return k.id == id && k.pools == 0; });
}

void pool_cache_fsm::finish_close_if_over(cache_actions& out) {
    if (state_ != cache_state::closing || !streams_.empty()) return;
    state_ = cache_state::closed;
    out.push_back({cache_action_kind::closed});
    for (const caller_id who : closers_) {
        out.push_back({cache_action_kind::complete, 0, who, first_close_error_});
    }
    closers_.clear();
}

}  // namespace rangeio::fsm
