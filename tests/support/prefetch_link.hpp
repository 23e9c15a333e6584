#pragma once

#include "fsm/prefetch_policy.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

// A reader, its streams and their link in virtual time, for what prefetch policies claim: discrete events, without I/O,
// chance or clock. `prefetch_reader` drives a policy as `prefetch_fsm` does, with one read at a time.

namespace support {

using rangeio::byte_range;
namespace fsm = rangeio::fsm;

struct link_shape {
    enum class order : std::uint8_t {
        streams,      // each stream has its part of the bandwidth, and serves its requests in order
        shared,       // all streams have one bandwidth, and all requests are served in order
        interleaved,  // each stream has its part, and its requests take turns
    };
    double bytes_per_second = 1e9;
    std::chrono::nanoseconds latency{1'000'000};
    order how = order::streams;
    std::size_t streams = 4;
};

/// Requests, and when their bytes arrive.
class simulated_link {
public:
    struct request {
        byte_range range;
        std::size_t stream = 0;
        bool demand = false;
        std::int64_t sent = 0, ready = 0, first = 0;  // ns
        std::uint64_t left = 0;
    };

    explicit simulated_link(link_shape shape)
        : shape_(shape),
          servers_(shape.how == link_shape::order::shared ? 1 : shape.streams),
          outstanding_(shape.streams) {}

    void latency(std::chrono::nanoseconds time) { shape_.latency = time; }
    const link_shape& shape() const { return shape_; }

    /// On the stream with the least outstanding.
    void send(byte_range range, bool demand, std::int64_t now) {
        const auto least = std::ranges::min_element(outstanding_);
        const auto stream = static_cast<std::size_t>(least - outstanding_.begin());
        *least += range.length();
        server& s = servers_[stream % servers_.size()];
        s.queue.push_back({range, stream, demand, now, now + shape_.latency.count(), 0, range.length()});
    }
    /// Runs until a request is complete, and returns it and the time; empty if there is none.
    std::optional<std::pair<request, std::int64_t>> next() {
        while (true) {
            server* soonest = nullptr;
            for (server& s : servers_) {
                if (!s.queue.empty() && (soonest == nullptr || done_at(s) < done_at(*soonest))) soonest = &s;
            }
            if (soonest == nullptr) return {};
            if (auto whole = serve(*soonest)) return std::pair(*whole, soonest->free_at);
        }
    }
    /// When something arrives that may be the end of a request.
    std::optional<std::int64_t> next_at() const {
        std::optional<std::int64_t> at;
        for (const server& s : servers_) {
            if (!s.queue.empty()) at = std::min(at.value_or(done_at(s)), done_at(s));
        }
        return at;
    }

private:
    struct server {
        std::deque<request> queue;
        std::int64_t free_at = 0;
    };

    std::uint64_t message_of(const request& r) const {
        const bool turns = shape_.how == link_shape::order::interleaved;
        return std::min<std::uint64_t>(r.left, (turns ? 256u : 2048u) << 10);
    }
    std::int64_t done_at(const server& s) const {
        const double rate = shape_.bytes_per_second / static_cast<double>(servers_.size());
        const double time = static_cast<double>(message_of(s.queue.front())) / rate * 1e9;
        return std::max(s.free_at, s.queue.front().ready) + static_cast<std::int64_t>(time);
    }
    std::optional<request> serve(server& s) {
        s.free_at = done_at(s);
        request& r = s.queue.front();
        r.left -= message_of(r);
        if (r.first == 0) r.first = s.free_at;
        request copy = r;
        if (copy.left == 0) {
            s.queue.pop_front();
            outstanding_[copy.stream] -= copy.range.length();
            return copy;
        }
        if (shape_.how == link_shape::order::interleaved) {
            // Behind those that are ready.
            s.queue.pop_front();
            const auto later =
                std::ranges::find_if(s.queue, [&](const request& q) { return q.ready > s.free_at; });
            s.queue.insert(later, copy);
        }
        return {};
    }

    link_shape shape_;
    std::vector<server> servers_;
    std::vector<std::uint64_t> outstanding_;
};

/// Reads one range after another, and fetches what its policy plans.
class prefetch_reader {
public:
    struct counts {
        std::uint64_t read = 0;     // bytes
        std::uint64_t sent = 0;     // planned ones, requested
        std::uint64_t wasted = 0;   // of those, dropped unread
        std::uint64_t planned = 0;  // units
        std::uint64_t peak = 0;     // bytes in memory or under way, demands aside
        std::int64_t waited = 0;    // ns
    };

    prefetch_reader(
        fsm::prefetch_policy* policy,
        simulated_link link,
        std::uint64_t size,
        std::uint64_t budget = 128 << 20
    )
        : policy_(policy), link_(std::move(link)), budget_(budget) {
        if (policy_ != nullptr) policy_->resize(size);
    }

    /// Reads `range`; its consumer takes a microsecond, what memory needs to copy it, and `think`.
    void read(byte_range range, std::chrono::nanoseconds think = {}) {
        begin(range);
        const std::int64_t begun = now_;
        while (waits(range)) arrive();
        counts_.waited += now_ - begun;
        counts_.read += range.length();
        const double copy =
            static_cast<double>(range.length()) / static_cast<double>(std::uint64_t{8} << 30) * 1e9;
        pause(std::chrono::nanoseconds(1000 + static_cast<std::int64_t>(copy)));
        end(range);
        pause(think);
    }
    void advise(fsm::access_pattern pattern) {
        fsm::prefetch_plan plan;
        policy_->advise(pattern, plan);
        apply(plan);
    }
    void pause(std::chrono::nanoseconds time) {
        const std::int64_t until = now_ + time.count();
        while (link_.next_at().value_or(until) < until) arrive();
        now_ = std::max(now_, until);
    }

    std::chrono::nanoseconds now() const { return std::chrono::nanoseconds(now_); }
    const counts& totals() const { return counts_; }
    std::uint64_t under_way() const { return under_way_; }
    simulated_link& link() { return link_; }

private:
    enum class state : std::uint8_t { queued, sent, here };
    struct piece {
        std::uint64_t end = 0;
        state is = state::queued;
        bool read = false, parked = false;
    };
    using pieces = std::map<std::uint64_t, piece>;

    static fsm::prefetch_time at(std::int64_t ns) { return fsm::prefetch_time(std::chrono::nanoseconds(ns)); }

    void begin(byte_range range) {
        std::optional<std::uint64_t> waits_at;
        std::uint64_t missing = 0, next = range.offset();
        const auto wait_for = [&](std::uint64_t offset) {
            waits_at = std::min(waits_at.value_or(offset), offset);
        };
        std::vector<byte_range> gaps;
        each(range, [&](pieces::iterator it) {
            if (it->first > next) gaps.push_back(byte_range::from_to(next, it->first));
            next = it->second.end;
            if (it->second.is == state::queued) request(it);
            if (it->second.is == state::sent) wait_for(it->first);
            it->second.read = true;
            it->second.parked = false;
        });
        if (next < range.end()) gaps.push_back(byte_range::from_to(next, range.end()));
        for (const byte_range& gap : gaps) {
            wait_for(gap.offset());
            missing += gap.length();
            // As the read is divided, not what it lacks: otherwise bytes in memory would make it slower.
            const std::uint64_t most = std::min<std::uint64_t>(range.length() >> 18, link_.shape().streams);
            const std::uint64_t parts =
                std::clamp<std::uint64_t>(gap.length() >> 16, 1, std::max<std::uint64_t>(most, 1));
            for (std::uint64_t i = 0; i < parts; ++i) {
                const std::uint64_t from = gap.length() * i / parts, to = gap.length() * (i + 1) / parts;
                link_.send({gap.offset() + from, to - from}, true, now_);
                ++demands_;
            }
        }
        if (policy_ == nullptr) return;
        fsm::prefetch_plan plan;
        policy_->read_begins({range, waits_at, missing, at(now_)}, plan);
        apply(plan);
    }
    void end(byte_range range) {
        if (policy_ == nullptr) return;
        fsm::prefetch_plan plan;
        policy_->read_ended(range, true, at(now_), plan);
        apply(plan);
    }
    bool waits(byte_range range) {
        if (demands_ > 0) return true;
        bool missing = false;
        for (auto it = first(range); it != table_.end() && it->first < range.end(); ++it) {
            missing = missing || it->second.is != state::here;
        }
        return missing;
    }
    void arrive() {
        const auto next = link_.next();
        const auto& [r, time] = *next;
        now_ = std::max(now_, time);
        if (r.demand) {
            --demands_;
            report(r.range, r);
            return;
        }
        under_way_ -= r.range.length();
        std::vector<byte_range> came;
        each(r.range, [&](pieces::iterator it) {
            if (it->second.is != state::sent) return;
            it->second.is = state::here;
            came.push_back(byte_range::from_to(it->first, it->second.end));
        });
        for (const byte_range& c : came) report(c, r);
        pump();
    }
    void report(byte_range range, const simulated_link::request& r) {
        if (policy_ == nullptr) return;
        fsm::prefetch_plan plan;
        policy_->arrived({range, r.stream + 1, at(r.sent), at(r.first), at(now_)}, plan);
        apply(plan);
    }
    void apply(const fsm::prefetch_plan& plan) {
        for (const byte_range& range : plan.drop) drop(range);
        for (const byte_range& range : plan.park) {
            each(range, [&](pieces::iterator it) { it->second.parked = true; });
            drop_if(range, [](const piece& p) { return p.is == state::queued; });
        }
        for (const fsm::prefetch_unit& unit : plan.fetch) {
            ++counts_.planned;
            std::uint64_t next = unit.range.offset();
            std::vector<byte_range> gaps;
            each(unit.range, [&](pieces::iterator it) {
                if (it->first > next) gaps.push_back(byte_range::from_to(next, it->first));
                next = it->second.end;
                it->second.parked = false;
            });
            if (next < unit.range.end()) gaps.push_back(byte_range::from_to(next, unit.range.end()));
            for (const byte_range& gap : gaps) {
                table_[gap.offset()] = {gap.end(), state::queued};
                queue_.push_back(gap);
            }
        }
        pump();
    }
    void pump() {
        while (policy_ != nullptr && !queue_.empty()) {
            const byte_range unit = queue_.front();
            if (under_way_ >= policy_->max_under_way() || !make_room(unit.length())) return;
            queue_.pop_front();
            each(unit, [&](pieces::iterator it) {
                if (it->second.is == state::queued) request(it);
            });
        }
    }
    void request(pieces::iterator it) {
        const byte_range range = byte_range::from_to(it->first, it->second.end);
        it->second.is = state::sent;
        under_way_ += range.length();
        memory_ += range.length();
        counts_.sent += range.length();
        counts_.peak = std::max(counts_.peak, memory_);
        link_.send(range, false, now_);
    }
    bool make_room(std::uint64_t bytes) {
        while (memory_ + bytes > budget_) {
            const auto it = std::ranges::find_if(table_, [](const auto& p) {
                return p.second.parked && p.second.is != state::queued;
            });
            if (it == table_.end()) return false;
            const byte_range gone = byte_range::from_to(it->first, it->second.end);
            drop(gone);
            fsm::prefetch_plan plan;
            policy_->lost(gone, plan);
        }
        return true;
    }
    void drop(byte_range range) {
        drop_if(range, [](const piece&) { return true; });
    }
    template <class Predicate>
    void drop_if(byte_range range, Predicate condition) {
        std::uint64_t unread = 0;
        split(range.offset());
        split(range.end());
        for (auto it = first(range); it != table_.end() && it->first < range.end();) {
            const piece& p = it->second;
            if (!condition(p)) {
                ++it;
                continue;
            }
            if (p.is != state::queued) {
                memory_ -= p.end - it->first;
                if (!p.read) unread += p.end - it->first;
            }
            it = table_.erase(it);
        }
        if (unread == 0) return;
        counts_.wasted += unread;
        policy_->wasted(unread);
    }
    /// Calls `action` for what there is of `range`, cut to it.
    template <class Action>
    void each(byte_range range, Action action) {
        split(range.offset());
        split(range.end());
        for (auto it = first(range); it != table_.end() && it->first < range.end(); ++it) action(it);
    }
    pieces::iterator first(byte_range range) {
        auto it = table_.lower_bound(range.offset());
        if (it != table_.begin() && std::prev(it)->second.end > range.offset()) --it;
        return it;
    }
    void split(std::uint64_t position) {
        auto it = table_.lower_bound(position);
        if (it == table_.begin() || std::prev(it)->second.end <= position) return;
        --it;
        piece second = it->second;
        it->second.end = position;
        table_.emplace(position, second);
    }

    fsm::prefetch_policy* policy_;  // null: reads are all there is
    simulated_link link_;
    std::uint64_t budget_;
    pieces table_;
    std::deque<byte_range> queue_;
    counts counts_;
    std::int64_t now_ = 0;
    std::uint64_t under_way_ = 0, memory_ = 0;
    int demands_ = 0;
};

}  // namespace support
