#include <rangeio/sim/strategy.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace rangeio::sim {

// SplitMix64: small, good enough, and the same everywhere, which the distributions of the standard library are not.
std::uint64_t random_numbers::next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

pct_strategy::pct_strategy(std::uint64_t seed, std::size_t depth) : random_(seed), depth_(depth) {
    const std::size_t length = std::size_t{16} << random_.below(9);
    for (std::size_t i = 1; i < depth_; ++i) changes_.push_back(random_.below(length));
    std::ranges::sort(changes_, std::ranges::greater());
}

std::uint64_t pct_strategy::priority_of(actor_id who) {
    const auto [it, fresh] = priorities_.try_emplace(who, 0);
    // Above all priorities that a change hands out.
    if (fresh) it->second = depth_ + (random_.next() >> 1);
    return it->second;
}

std::size_t pct_strategy::pick(std::span<const actor_id> ready) {
    const auto best = [&] {
        std::size_t out = 0;
        for (std::size_t i = 1; i < ready.size(); ++i) {
            if (priority_of(ready[i]) > priority_of(ready[out])) out = i;
        }
        return out;
    };
    while (!changes_.empty() && step_ >= changes_.back()) {
        changes_.pop_back();
        priorities_[ready[best()]] = changes_.size();
    }
    ++step_;
    return best();
}

std::size_t replay_strategy::next(std::size_t n) noexcept {
    const std::size_t taken = at_ < decisions_.size() ? decisions_[at_] : 0;
    ++at_;
    return taken < n ? taken : 0;
}

std::size_t dfs_strategy::decide(std::size_t n) {
    if (at_ == path_.size()) path_.push_back({0, static_cast<std::uint32_t>(n)});
    const decision& d = path_[at_++];
    if (d.of != n) diverged_ = true;
    return d.taken < n ? d.taken : 0;
}

bool dfs_strategy::advance() {
    path_.resize(at_);
    at_ = 0;
    auto deviations =
        static_cast<std::size_t>(std::ranges::count_if(path_, [](const decision& d) { return d.taken != 0; })
        );
    for (; !path_.empty(); path_.pop_back()) {
        decision& last = path_.back();
        const std::size_t before = deviations - (last.taken != 0 ? 1U : 0U);
        if (last.taken + 1 < last.of && before < max_deviations_) {
            ++last.taken;
            return true;
        }
        deviations = before;
    }
    return false;
}

std::string decisions_text(std::span<const std::uint32_t> decisions) {
    std::string out;
    for (std::size_t i = 0; i < decisions.size();) {
        std::size_t end = i + 1;
        while (end < decisions.size() && decisions[end] == decisions[i]) ++end;
        if (!out.empty()) out += '.';
        out += std::to_string(decisions[i]);
        if (end - i > 1) out += '*' + std::to_string(end - i);
        i = end;
    }
    return out;
}

std::vector<std::uint32_t> read_decisions(std::string_view text) {
    constexpr std::size_t max_decisions = 10'000'000;
    std::vector<std::uint32_t> out;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&] {
        std::uint32_t value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc()) {
            throw std::invalid_argument("not a list of decisions: \"" + std::string(text) + '"');
        }
        at = next;
        return value;
    };
    while (at != end) {
        const std::uint32_t value = number();
        std::uint32_t times = 1;
        if (at != end && *at == '*') {
            ++at;
            times = number();
        }
        if (times > max_decisions - out.size()) throw std::invalid_argument("too many decisions");
        out.insert(out.end(), times, value);
        if (at != end && *at++ != '.') {
            throw std::invalid_argument("not a list of decisions: \"" + std::string(text) + '"');
        }
    }
    return out;
}

}  // namespace rangeio::sim
