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

/// How the runs to try are selected.
enum class search {
    /// All runs with few deviations from the plainest one, until none is left or the limit is reached.
    dfs,
    /// Priorities that change at a few random moments.
    pct,
    /// Random decisions.
    random,
};

/// The permanent name of one run of a program: `random:42`, `pct3:42`, `run:0*12.2.1`.
class run_name {
public:
    static run_name random(std::uint64_t seed);
    static run_name pct(std::size_t depth, std::uint64_t seed);
    /// The run with these decisions; the plainest ones follow after their end.
    static run_name of(std::vector<std::uint32_t> decisions);
    /// Throws: std::invalid_argument that names the error.
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

/// Which runs to try, and how many. Checked where it is used.
class explore_options {
public:
    explore_options() = default;

    /// `search::random` by default.
    explore_options& by(search how) {
        how_ = how;
        return *this;
    }
    search by() const noexcept { return how_; }

    /// The most runs, at least 1. 1000 by default.
    explore_options& schedules(std::uint64_t count) {
        schedules_ = count;
        return *this;
    }
    std::uint64_t schedules() const noexcept { return schedules_; }

    /// Random runs have the names seed, seed + 1, and so on. 1 by default.
    explore_options& seed(std::uint64_t first) {
        seed_ = first;
        return *this;
    }
    std::uint64_t seed() const noexcept { return seed_; }

    /// The number of ordering constraints that a PCT run looks for, 1 to 16. 3 by default.
    explore_options& depth(std::size_t constraints) {
        depth_ = constraints;
        return *this;
    }
    std::size_t depth() const noexcept { return depth_; }

    /// The most decisions in which a depth-first run may differ from the plainest one. 3 by default.
    explore_options& deviations(std::size_t most) {
        deviations_ = most;
        return *this;
    }
    std::size_t deviations() const noexcept { return deviations_; }

    /// The most runs that are spent on making a failing one shorter. 2000 by default; 0: none.
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

    /// Called after each run with the number of runs so far; a return of false ends the exploration. Empty by default.
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

/// A failing run, or a run that was requested by its name.
class finding {
public:
    /// The violation. Empty: there was none.
    std::string what;
    /// Names of the run as it was found, with its number of decisions, and as short as it could be made.
    std::string found_as;
    std::size_t decisions = 0;
    std::string shrunk_to;
    /// The events of the shrunk run.
    std::string trace;

    /// For people, several lines; the first states whether there was a violation.
    std::string text() const;
};

/// The runs that were tried, and the finding.
class exploration {
public:
    std::uint64_t schedules = 0;
    std::uint64_t steps = 0;
    /// The most decisions of one run.
    std::size_t longest = 0;
    /// Depth first only: there is no other run with so few deviations; or there are others, which the limit cut off.
    bool exhausted = false;
    bool cut_off = false;
    std::optional<finding> found;

    explicit operator bool() const noexcept { return !found; }
    /// For people, one line, or several if there is a finding.
    std::string text() const;
};

/// A program builds its objects in the world, runs it, and reports errors by `world::violate`. It must depend on
/// nothing but the world: equal decisions, equal runs. An exception of the program is a violation, and so is a run in
/// which nothing ran: without `world::run` after a spawn, or without any step or decision.
using program = std::function<void(world&)>;

/// Tries runs of `p` until one fails, shrinks that run, and traces it.
///
/// A failing run is repeated, and so are a few of the others: if equal decisions do not lead to an equal run, the
/// finding is that `p` is not deterministic.
///
/// Throws: std::invalid_argument for an option that is out of its range; std::bad_alloc.
exploration explore(const program& p, const explore_options& options = {});

/// Runs `p` once, by the name of a run. The finding has the trace even if there was no violation; its `what` is empty
/// then. `p` is run a second time, to check that the run repeats itself.
finding replay(const program& p, const run_name& name, world_options options = {});

}  // namespace rangeio::sim
