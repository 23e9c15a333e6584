#include "fsm/connections_fsm.hpp"

#include <algorithm>
#include <utility>

namespace rangeio::fsm {
namespace {

// The time that so many bytes need, in checks: with a margin of two, and bounded for a link that delivers a byte now
// and then. `came`: bytes that arrived between two checks; 0: unknown.
std::uint64_t checks_for(std::uint64_t bytes, std::uint64_t came) noexcept {
    const std::uint64_t on_a_slow_link = checks_per_stall * bytes / connections_fsm::slow_link;
    return came == 0 ? on_a_slow_link : std::min(2 * bytes / came, 4 * on_a_slow_link);
}

}  // namespace

// Selects the connection with the fewest calls, round robin among equals: so streams that are opened in a row get
// different connections.
connection_id connections_fsm::place() {
    if (open_.size() < options_.spread) open_.resize(options_.spread);
    // Every open connection may have to be replaced later, in events that must not allocate.
    replaced_.reserve(open_.size() + 1 + replaced_.size());
    const auto fewest = [this](bool with_room) {
        std::size_t best = open_.size();
        for (std::size_t n = 0; n < open_.size(); ++n) {
            const std::size_t i = (turn_ + n) % open_.size();
            if (with_room && !has_room(open_[i])) continue;
            if (best == open_.size() || open_[i].calls < open_[best].calls) best = i;
        }
        return best;
    };
    std::size_t chosen = fewest(true);
    if (chosen == open_.size()) {
        if (may_grow()) {
            open_.emplace_back();
        } else {
            chosen = fewest(false);  // the call waits there for room
        }
    }
    connection& c = open_[chosen];
    if (c.id == 0) c.id = ++last_id_;
    ++c.calls;
    turn_ = chosen + 1;
    return c.id;
}

void connections_fsm::answered(connection_id on) noexcept {
    if (connection* const c = find(on)) ++c->answered;
}

bool connections_fsm::ended(connection_id on, bool answered) noexcept {
    connection* const c = find(on);
    if (c == nullptr) return false;
    --c->calls;
    if (answered) --c->answered;
    if (c->calls != 0) return false;
    if (std::erase_if(replaced_, [on](const connection& r) { return r.id == on; }) != 0) return true;
    const auto further = open_.begin() + static_cast<std::ptrdiff_t>(options_.spread);
    const auto it = std::find_if(further, open_.end(), [on](const connection& r) { return r.id == on; });
    if (it == open_.end()) return false;
    open_.erase(it);
    return true;
}

connections_fsm::verdict connections_fsm::silent(const silent_call& call) noexcept {
    connection* const c = find(call.on);
    if (c == nullptr) return {};
    verdict out;
    if (crowded(*c, call)) {
        out.how = silence::crowded;
        return out;
    }
    const auto interval = options_.stall_timeout / checks_per_stall;
    const auto quiet = call.now - call.heard;
    const bool asking = c->asked && call.heard < c->asked_at;
    if (quiet >= interval && c->askable && !asking) {
        out.ask = c->asked = true;
        c->asked_at = call.now;
        c->due = call.due;
    }
    if (call.checks < checks_per_stall) return out;
    const bool alive = quiet < options_.stall_timeout * (1 << std::min(call.excused, max_excused));
    out.dead =
        !alive && asking && call.now - c->asked_at >= std::max(interval, time_for_answer(*c, call.excused));
    const bool unsure = !alive && c->askable;
    if (!out.dead && (unsure || call.checks < time_of(call, alive))) return out;
    out.how = out.dead || call.excused >= max_excused ? silence::stalled : silence::slow;
    // If the connection answers other calls, a new connection would not serve this call better.
    if (out.dead || call.answered || c->answered == 0) replace(call.on);
    return out;
}

void connections_fsm::unaskable(connection_id on) noexcept {
    if (connection* const c = find(on)) c->askable = c->asked = false;
}

connections_fsm::connection* connections_fsm::find(connection_id id) noexcept {
    for (auto* const list : {&open_, &replaced_}) {
        const auto it = std::ranges::find(*list, id, &connection::id);
        if (it != list->end()) return &*it;
    }
    return nullptr;
}

bool connections_fsm::has_room(const connection& c) const noexcept {
    return c.calls < std::min(limit_, c.room_for);
}

bool connections_fsm::may_grow() const noexcept {
    return open_.size() + replaced_.size() < options_.max_connections;
}

// The peer accepts no more calls, or is slow to open them: so the time limit for that doubles, too.
bool connections_fsm::crowded(connection& c, const silent_call& call) noexcept {
    if (call.answered || c.answered == 0 || call.checks < 1U << std::min(call.excused, max_excused))
        return false;
    const std::size_t limit = std::min(limit_, c.answered);
    const bool elsewhere = std::ranges::any_of(open_, [&](const connection& other) {
        return &other != &c && other.calls < std::min(limit, other.room_for);
    });
    if (!elsewhere && !may_grow()) return false;
    c.room_for = std::min(c.room_for, c.answered);
    // A limit that was observed on a connection that may be dead applies to no other connection.
    if (call.heard >= call.began) limit_ = limit;
    return true;
}

// The time of a call, in checks. It doubles after each call for which it was too short.
unsigned connections_fsm::time_of(const silent_call& call, bool alive) const noexcept {
    const unsigned twice = std::min(call.excused, max_excused);
    const std::uint64_t doubled = std::uint64_t{checks_per_stall} << twice;
    if (!alive) return static_cast<unsigned>(doubled);
    std::uint64_t more = std::max(checks_for(call.due, 0), checks_for(call.due, rate_ / checks_per_stall));
    if (call.came != 0) more = checks_for(call.due, std::max<std::uint64_t>(call.came / call.checks, 1));
    constexpr std::uint64_t most = 1U << 20;
    return static_cast<unsigned>(std::min(std::max(doubled, checks_per_stall + (more << twice)), most));
}

std::chrono::nanoseconds connections_fsm::time_for_answer(const connection& c, unsigned excused)
    const noexcept {
    constexpr std::uint64_t most = checks_per_stall << max_excused;
    // Before the first byte has arrived, the buffers on the path can hold far less than the bytes due.
    const std::uint64_t ahead = rate_ == 0 ? std::min(c.due, slow_link) : c.due;
    const auto checks = checks_for(ahead, rate_ / checks_per_stall) << std::min(excused, max_excused);
    return options_.stall_timeout / checks_per_stall * static_cast<int>(std::min(checks, most));
}

// The rate changes by a factor of two at most: bytes that were in flight for long are seen at once, when a message is
// complete.
void connections_fsm::moved(time_point now, std::uint64_t came, bool drained) noexcept {
    using seconds = std::chrono::duration<double>;
    constexpr std::uint64_t enough = std::uint64_t{64} << 10;
    const std::uint64_t bytes = came - window_.came;
    const auto elapsed =
        std::max<std::chrono::nanoseconds>(now - window_.since, std::chrono::milliseconds(1));
    if (bytes < enough || !(drained || bytes >= 2 * message_bytes || elapsed >= options_.stall_timeout / 32))
        return;
    const double seen = static_cast<double>(bytes) * (seconds(options_.stall_timeout) / seconds(elapsed));
    const auto before = static_cast<double>(rate_);
    const double now_taken = rate_ == 0 ? seen : std::clamp(seen, before / 2, before * 2);
    rate_ = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::min(now_taken, 1e18)), 1);
    window_ = {now, came};
}

void connections_fsm::replace(connection_id id) noexcept {
    const auto it = std::ranges::find(open_, id, &connection::id);
    if (it == open_.end()) return;
    replaced_.push_back(*it);  // place() has reserved the memory
    if (std::cmp_less(it - open_.begin(), options_.spread)) {
        *it = {};
    } else {
        open_.erase(it);
    }
}

}  // namespace rangeio::fsm
