#pragma once

#include <rangeio/sim/world.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rangeio::sim {

/// Which runs to try.
enum class search {
    /// All runs with few deviations from the plainest one, until there is none left or the limit is reached.
    dfs,
    /// Priorities that change at a few random moments.
    pct,
    /// Any.
    random,
};

/// Names one run of a program, for ever: `random:42`, `pct3:42`, `run:0*12.2.1`.
class run_name {
public:
    static run_name random(std::uint64_t seed);
    static run_name pct(std::size_t depth, std::uint64_t seed);
    /// By all its decisions; where they end, the plainest follow.
    static run_name of(std::vector<std::uint32_t> decisions);
    /// Throws std::invalid_argument that says what is wrong.
    static run_name parse(std::string_view text);

    std::string text() const;
    std::unique_ptr<strategy> make_strategy() const;

private:
    enum class kind { random, pct, decisions };
    run_name() = default;

    kind kind_ = kind::random;
    std::size_t depth_ = 0;
    std::uint64_t seed_ = 0;
    std::vector<std::uint32_t> decisions_;
};

/// What to try, and how much of it. Checked where it is used.
class explore_options {
public:
    explore_options() = default;

    /// Default: random.
    explore_options& by(search how) {
        how_ = how;
        return *this;
    }
    search by() const noexcept { return how_; }

    /// The most runs, from 1. Default 1000.
    explore_options& schedules(std::uint64_t count) {
        schedules_ = count;
        return *this;
    }
    std::uint64_t schedules() const noexcept { return schedules_; }

    /// Random runs have the names seed, seed + 1, and so on. Default 1.
    explore_options& seed(std::uint64_t first) {
        seed_ = first;
        return *this;
    }
    std::uint64_t seed() const noexcept { return seed_; }

    /// Ordering constraints that a PCT run looks for, 1 to 16. Default 3.
    explore_options& depth(std::size_t constraints) {
        depth_ = constraints;
        return *this;
    }
    std::size_t depth() const noexcept { return depth_; }

    /// Decisions in which a depth-first run may differ from the plainest one. Default 3.
    explore_options& deviations(std::size_t most) {
        deviations_ = most;
        return *this;
    }
    std::size_t deviations() const noexcept { return deviations_; }

    /// Runs spent on making a failing one shorter. Default 2000; zero: none.
    explore_options& shrink_runs(std::size_t most) {
        shrink_runs_ = most;
        return *this;
    }
    std::size_t shrink_runs() const noexcept { return shrink_runs_; }

    explore_options& world(world_options options) {
        world_ = options;
        return *this;
    }
    const world_options& world() const noexcept { return world_; }

    /// Called after each run with how many there were; false ends the exploration. Default: none.
    explore_options& progress(std::function<bool(std::uint64_t)> call) {
        progress_ = std::move(call);
        return *this;
    }
    const std::function<bool(std::uint64_t)>& progress() const noexcept { return progress_; }

private:
    search how_ = search::random;
    std::uint64_t schedules_ = 1000;
    std::uint64_t seed_ = 1;
    std::size_t depth_ = 3;
    std::size_t deviations_ = 3;
    std::size_t shrink_runs_ = 2000;
    world_options world_;
    std::function<bool(std::uint64_t)> progress_;
};

/// A run that went wrong, or that was asked for by its name.
class finding {
public:
    /// What was violated. Empty: nothing.
    std::string what;
    /// Names of the run as it was found, of so many decisions, and as short as it could be made.
    std::string found_as;
    std::size_t decisions = 0;
    std::string shrunk_to;
    /// What happens in the shrunk one.
    std::string trace;

    /// For people, several lines; the first says whether anything was violated.
    std::string text() const;
};

/// What was tried, and what was found.
class exploration {
public:
    std::uint64_t schedules = 0;
    std::uint64_t steps = 0;
    /// The most decisions of a run.
    std::size_t longest = 0;
    /// Depth first only: there is no other run with so few deviations; or there are others, which the limit cut off.
    bool exhausted = false;
    bool cut_off = false;
    std::optional<finding> found;

    explicit operator bool() const noexcept { return !found; }
    /// For people, one line, or several if there is a finding.
    std::string text() const;
};

/// A program builds what it needs in the world, runs it, and says what is wrong by `world::violate`. It must depend on
/// nothing but the world: equal decisions, equal runs. What it throws is a violation, and so is a run in which nothing
/// ran: without `world::run` after what was spawned, or without any step or decision.
using program = std::function<void(world&)>;

/// Tries runs of `p` until one goes wrong, makes that one short, and traces it.
///
/// A run that goes wrong is repeated, and so are a few of the others: if equal decisions do not lead to an equal run, the
/// finding is that `p` is not deterministic.
///
/// Throws: std::invalid_argument for an unusable option; std::bad_alloc.
exploration explore(const program& p, const explore_options& options = {});

/// One run of `p`, by its name. The finding has the trace even if nothing went wrong; its `what` is empty then. `p` is run
/// a second time, to see whether it repeats itself.
finding replay(const program& p, const run_name& name, world_options options = {});

}  // namespace rangeio::sim
