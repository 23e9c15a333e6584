#include "stress/tally.hpp"

#include <numeric>
#include <utility>

namespace rangeio::tool {

void stress_counts::add(const stress_counts& others) {
    started += others.started;
    for (std::size_t i = 0; i < stress_outcomes; ++i) outcomes[i] += others.outcomes[i];
    for (std::size_t i = 0; i < stress_operations; ++i) done[i] += others.done[i];
    bytes += others.bytes;
    for (const auto& [why, count] : others.faults) faults[why] += count;
    resumed += others.resumed;
    times.add(others.times);
    if (others.longest_time > longest_time) {
        longest = others.longest;
        longest_time = others.longest_time;
    }
}

std::uint64_t stress_counts::ended() const noexcept {
    return std::accumulate(outcomes.begin(), outcomes.end(), std::uint64_t{0});
}

void stress_tally::begin(stress_operation what) {
    began_ = stress_clock::now();
    what_.store(what, std::memory_order_relaxed);
    step();
    const std::lock_guard lock(mutex_);
    ++counts_.started;
}

void stress_tally::checked(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    counts_.bytes += bytes;
}

void stress_tally::end(stress_outcome how, const error_value& why) {
    since_.store(0, std::memory_order_relaxed);
    const stress_operation what = what_.load(std::memory_order_relaxed);
    const auto time = stress_clock::now() - began_;
    const std::lock_guard lock(mutex_);
    ++counts_.outcomes[static_cast<std::size_t>(how)];
    if (how == stress_outcome::done) ++counts_.done[static_cast<std::size_t>(what)];
    if (how == stress_outcome::faulted) ++counts_.faults[why.code().message()];
    counts_.times.add(time);
    if (time > counts_.longest_time) {
        counts_.longest = what;
        counts_.longest_time = time;
    }
}

bool stress_tally::busy(activity& out) const noexcept {
    const std::int64_t since = since_.load(std::memory_order_relaxed);
    if (since == 0) return false;
    out.what = what_.load(std::memory_order_relaxed);
    out.since = std::chrono::nanoseconds(now() - since);
    return true;
}

stress_counts stress_tally::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(counts_, {});
}

void stress_violations::add(std::string what) {
    const std::lock_guard lock(mutex_);
    any_.store(true, std::memory_order_relaxed);
    if (list_.size() < most_kept) list_.push_back(std::move(what));
}

std::vector<std::string> stress_violations::list() const {
    const std::lock_guard lock(mutex_);
    return list_;
}

}  // namespace rangeio::tool
