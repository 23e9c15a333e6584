#include "fsm/link_estimate.hpp"

#include <algorithm>

namespace rangeio::fsm {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr auto latency_expiry = 10s;
// A few messages end in a bunch where a stream interleaves its ranges: a sample has to cover more than that.
constexpr nanoseconds min_rate_sample = 1ms;
constexpr nanoseconds min_rate_validity = 250ms;
// A stream that others leave idle has not become slower: without it, the window would be too small to use it again.
constexpr auto stream_expiry = 10s;
constexpr nanoseconds min_rate_memory = 16ms;

double seconds(nanoseconds time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

link_estimate::link_estimate(std::size_t streams) : streams_(std::max<std::size_t>(streams, 1)) {}

void link_estimate::arrived(const prefetch_arrival& arrival) noexcept {
    if (arrival.stream == 0) return;
    observe_latency(arrival);
    auto it = std::ranges::find(streams_, arrival.stream, &stream_rate::stream);
    if (it == streams_.end()) {
        it = std::ranges::min_element(streams_, {}, &stream_rate::last);
        *it = {};
        it->stream = arrival.stream;
    } else {
        observe_rate(*it, arrival);
    }
    it->last = arrival.now;
}

void link_estimate::observe_latency(const prefetch_arrival& arrival) noexcept {
    const nanoseconds sample = std::max<nanoseconds>(arrival.first - arrival.sent, 1ns);
    const bool probed = probe_begin_ && arrival.sent >= *probe_begin_ + latency_;
    if (latency_ == 0ns || sample < latency_ || probed) {
        latency_ = sample;
    } else if (sample > latency_ + latency_ / 8) {
        if (!probe_begin_ && arrival.now - confirmed_ > latency_expiry) probe_begin_ = arrival.now;
        return;
    }
    confirmed_ = arrival.now;
    probe_begin_.reset();
}

void link_estimate::observe_rate(stream_rate& s, const prefetch_arrival& arrival) noexcept {
    // Bytes reported in parts, of one moment, count as the first part does.
    if (arrival.now > s.last) s.back_to_back = arrival.sent + latency_ <= s.last;
    if (!s.back_to_back) return;
    s.bytes += arrival.range.length();
    s.time += arrival.now - s.last;
    if (s.time < std::max(min_rate_sample, latency_ / 8)) return;
    // By time, not by number: of a bunch there are many samples, and of the pause before it there is one.
    const double sample = static_cast<double>(s.bytes) / seconds(s.time);
    s.measured_for = std::min(s.measured_for + s.time, std::max({min_rate_memory, 4 * latency_, s.time}));
    const double weight = seconds(s.time) / seconds(s.measured_for);
    s.bytes_per_second += weight * (sample - s.bytes_per_second);
    s.measured = arrival.now;
    s.bytes = 0;
    s.time = 0ns;
}

double link_estimate::bandwidth(prefetch_time now) const noexcept {
    double sum = 0;
    bool fresh = false;
    for (const stream_rate& s : streams_) {
        const nanoseconds age = now - s.measured;
        if (s.bytes_per_second == 0 || age > stream_expiry) continue;
        sum += s.bytes_per_second;
        fresh = fresh || age <= std::max(2 * latency_, min_rate_validity);
    }
    return fresh ? sum : 0;
}

bool link_estimate::measured() const noexcept {
    return std::ranges::any_of(streams_, [](const stream_rate& s) { return s.bytes_per_second > 0; });
}

double link_estimate::bytes_in_flight(prefetch_time now) const noexcept {
    return bandwidth(now) * seconds(latency_);
}

}  // namespace rangeio::fsm
