#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rangeio::sim {

/// One thread of control in a simulated world: it runs one task after the other.
using actor_id = std::uint32_t;

/// Random numbers that are the same on every machine, for the same seed.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept;
    /// A number in 0 .. n - 1.
    ///
    /// Requires: n > 0.
    std::size_t below(std::size_t n) noexcept { return static_cast<std::size_t>(next() % n); }

private:
    std::uint64_t state_;
};

/// Decides what a world leaves open: which actor continues, and the outcomes of chance. Equal decisions make equal
/// runs.
class strategy {
public:
    virtual ~strategy() = default;

    /// The actor that continues: an index into `ready`, which has at least two members. The first is the actor that ran
    /// last, if it can continue; the others are in the order in which they became ready.
    virtual std::size_t pick(std::span<const actor_id> ready) = 0;
    /// A number in 0 .. n - 1, with n at least 2. 0 is the plainest choice: no fault, no delay.
    virtual std::size_t choose(std::size_t n) = 0;
};

/// Picks any of the ready actors, all equally likely.
class random_strategy final : public strategy {
public:
    explicit random_strategy(std::uint64_t seed) noexcept : random_(seed) {}
    std::size_t pick(std::span<const actor_id> ready) override { return random_.below(ready.size()); }
    std::size_t choose(std::size_t n) override { return random_.below(n); }

private:
    random_numbers random_;
};

/// Priorities that change at a few random moments: finds a bug that needs `depth` ordering constraints with a
/// probability that does not vanish as programs grow (Burckhardt et al., "A randomized scheduler with probabilistic
/// guarantees of finding bugs", ASPLOS 2010).
///
/// The length of the run is not known beforehand; the moments are drawn from a length that is itself drawn, from 16
/// to 4096 steps.
class pct_strategy final : public strategy {
public:
    pct_strategy(std::uint64_t seed, std::size_t depth);
    std::size_t pick(std::span<const actor_id> ready) override;
    std::size_t choose(std::size_t n) override { return random_.below(n); }

private:
    std::uint64_t priority_of(actor_id who);

    random_numbers random_;
    std::size_t depth_;
    std::vector<std::size_t> changes_;  // the moments that are still ahead, the next one last
    std::size_t step_ = 0;
    std::unordered_map<actor_id, std::uint64_t> priorities_;
};

/// Repeats recorded decisions. The plainest decision replaces those that are missing or out of range.
class replay_strategy final : public strategy {
public:
    explicit replay_strategy(std::vector<std::uint32_t> decisions) : decisions_(std::move(decisions)) {}
    std::size_t pick(std::span<const actor_id> ready) override { return next(ready.size()); }
    std::size_t choose(std::size_t n) override { return next(n); }

private:
    std::size_t next(std::size_t n) noexcept;

    std::vector<std::uint32_t> decisions_;
    std::size_t at_ = 0;
};

/// All runs with up to `max_deviations` decisions other than the plainest, one after the other, depth first.
class dfs_strategy final : public strategy {
public:
    explicit dfs_strategy(std::size_t max_deviations) : max_deviations_(max_deviations) {}
    std::size_t pick(std::span<const actor_id> ready) override { return decide(ready.size()); }
    std::size_t choose(std::size_t n) override { return decide(n); }

    /// Moves to the next run. Returns false if there is none.
    bool advance();
    /// Whether equal decisions have led to different choices: the program depends on something that is not decided
    /// here.
    bool diverged() const noexcept { return diverged_; }

private:
    struct decision {
        std::uint32_t taken;
        std::uint32_t of;
    };
    std::size_t decide(std::size_t n);

    std::size_t max_deviations_;
    std::vector<decision> path_;
    std::size_t at_ = 0;
    bool diverged_ = false;
};

/// Decisions as text, `0*12.2.1`, and back.
///
/// Throws: std::invalid_argument (read_decisions).
std::string decisions_text(std::span<const std::uint32_t> decisions);
std::vector<std::uint32_t> read_decisions(std::string_view text);

}  // namespace rangeio::sim
