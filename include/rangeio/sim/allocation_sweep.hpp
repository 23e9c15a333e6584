#pragma once

#include <rangeio/sim/explore.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace rangeio::sim {

/// Which allocations fail, and in which run. Checked where it is used.
class sweep_options {
public:
    sweep_options() = default;

    /// The run in which they fail, one after the other. The plainest by default.
    sweep_options& run(run_name name) {
        run_ = std::move(name);
        return *this;
    }
    const run_name& run() const noexcept { return run_; }

    /// The most allocations that are tried, at least 1. 100 000 by default.
    sweep_options& most(std::uint64_t allocations) {
        most_ = allocations;
        return *this;
    }
    std::uint64_t most() const noexcept { return most_; }

    /// How many in a row fail, at least 1. 1 by default; more is an outage, which also meets the cleanup after the
    /// first.
    sweep_options& times(std::uint64_t in_a_row) {
        times_ = in_a_row;
        return *this;
    }
    std::uint64_t times() const noexcept { return times_; }

    sweep_options& world(world_options options) {
        world_ = options;
        return *this;
    }
    const world_options& world() const noexcept { return world_; }

private:
    run_name run_ = run_name::of({});
    std::uint64_t most_ = 100'000;
    std::uint64_t times_ = 1;
    world_options world_;
};

/// The allocations that a sweep tried, and its finding.
class sweep_result {
public:
    /// Allocations that were made to fail, one a run.
    std::uint64_t points = 0;
    /// There was no other: the last run made fewer allocations.
    bool exhausted = false;
    /// The number of the allocation whose failure led to a violation, and that violation.
    std::uint64_t failing = 0;
    std::optional<finding> found;

    explicit operator bool() const noexcept { return !found; }
    /// For people, one line, or several if there is a finding.
    std::string text() const;
};

/// Runs `p` again and again, and makes its first, its second, its third allocation fail, until there are no more.
/// Allocations of the kit itself do not count; those of `p` and of the code that it tests do.
///
/// A failed allocation permits a coroutine, or the program, to end with std::bad_alloc or with a system_error of
/// errc::not_enough_memory, and excuses nothing else: each run has to end by the rules of `world::run`, pass all checks
/// of `p`, and free every block (see `live_allocations`; so `p` must keep nothing from one run to the next). A `p` that
/// allocates no memory is a violation, too: nothing was swept.
///
/// Requires:   as allocation_failures; and that runs differ in nothing but memory.
/// Throws:     std::invalid_argument for an option that is out of its range; std::logic_error, as allocation_failures;
///             std::bad_alloc, if there really is no memory.
sweep_result sweep(const program& p, const sweep_options& options = {});

/// The one run in which allocation `n` fails, traced. `what` of the finding is empty if there was no violation.
finding replay_failure(const program& p, std::uint64_t n, const sweep_options& options = {});

/// Whether code reports by this exception that it has no memory.
bool is_out_of_memory(const std::exception_ptr& thrown) noexcept;

}  // namespace rangeio::sim
